// Steps of a plan as launches of the own kernels: one row a family. The CUDA backend asks its libraries'
// families first and these next; a backend of these alone is complete, too.
//
// How to add a kernel: arguments and launcher in kernels/<family>.{h,cu}, accepts_<family> and make_<family>
// in own/<family>.cpp, one row in families.cpp, and a list of shapes in tests/exec/cuda/kernels_test.cpp.
// Preconditions: values are row-major, or channels-last (layout 1) where a family says so; every value has
// less than 2^31 elements.
#pragma once

#include "exec/backend.h"
#include "exec/cuda/own/device.h"

#include <memory>
#include <span>
#include <string_view>

namespace mts::exec::cuda {

using KernelResult = Result<std::unique_ptr<Kernel>>;

struct OwnFamily {
  std::string_view name;
  bool (*accepts)(const ExecPlan& plan, const Step& step);
  // Precondition: accepts(plan, step). `device` outlives the kernel.
  KernelResult (*make)(OwnDevice& device, const ExecPlan& plan, const Step& step);
};

std::span<const OwnFamily> own_families();
// The first family that takes the step; null: it runs on the host.
const OwnFamily* own_family_of(const ExecPlan& plan, const Step& step);

// Whether `next` may join the epilogue of a step that own_family_of takes (see Backend::accepts_epilogue).
bool own_accepts_epilogue(const ExecPlan& plan, const Step& step, const Instruction& next,
                          ValueIndex operand);

bool accepts_attention(const ExecPlan& plan, const Step& step);
KernelResult make_attention(OwnDevice& device, const ExecPlan& plan, const Step& step);
bool accepts_elementwise(const ExecPlan& plan, const Step& step);
KernelResult make_elementwise(OwnDevice& device, const ExecPlan& plan, const Step& step);
bool accepts_batch_norm(const ExecPlan& plan, const Step& step);
KernelResult make_batch_norm(OwnDevice& device, const ExecPlan& plan, const Step& step);
bool accepts_movement(const ExecPlan& plan, const Step& step);
KernelResult make_movement(OwnDevice& device, const ExecPlan& plan, const Step& step);
bool accepts_rows(const ExecPlan& plan, const Step& step);
KernelResult make_rows(OwnDevice& device, const ExecPlan& plan, const Step& step);
bool accepts_reduce(const ExecPlan& plan, const Step& step);
KernelResult make_reduce(OwnDevice& device, const ExecPlan& plan, const Step& step);
bool accepts_gather(const ExecPlan& plan, const Step& step);
KernelResult make_gather(OwnDevice& device, const ExecPlan& plan, const Step& step);
bool accepts_pool(const ExecPlan& plan, const Step& step);
KernelResult make_pool(OwnDevice& device, const ExecPlan& plan, const Step& step);
bool accepts_resize(const ExecPlan& plan, const Step& step);
KernelResult make_resize(OwnDevice& device, const ExecPlan& plan, const Step& step);
bool accepts_map(const ExecPlan& plan, const Step& step);
KernelResult make_map(OwnDevice& device, const ExecPlan& plan, const Step& step);
bool accepts_quantised(const ExecPlan& plan, const Step& step);
KernelResult make_quantised(OwnDevice& device, const ExecPlan& plan, const Step& step);
bool accepts_recurrent(const ExecPlan& plan, const Step& step);
KernelResult make_recurrent(OwnDevice& device, const ExecPlan& plan, const Step& step);
bool accepts_conv(const ExecPlan& plan, const Step& step);
KernelResult make_conv(OwnDevice& device, const ExecPlan& plan, const Step& step);
bool accepts_matmul(const ExecPlan& plan, const Step& step);
KernelResult make_matmul(OwnDevice& device, const ExecPlan& plan, const Step& step);

}  // namespace mts::exec::cuda
