// What the oneDNN kernels of this folder share: the device, layouts as descriptors, prepared primitives,
// packed weights.
#pragma once

#include "exec/backend.h"
#include "exec/layout.h"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <oneapi/dnnl/dnnl.hpp>

namespace mts::exec {

// Constants in the layout that a primitive wants, made once for all plans of a session.
class PackedWeights {
 public:
  uint64_t bytes() const { return bytes_; }
  std::optional<dnnl::memory> find(const std::string& key) const;
  void keep(const std::string& key, dnnl::memory memory);

 private:
  std::map<std::string, dnnl::memory> packed_;
  uint64_t bytes_ = 0;
};

struct Device {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  PackedWeights weights;
};

// The layout of a primitive between the two: channels-last when either says so or neither cares.
int32_t layout_between(const PlanValue& input, const PlanValue& output);
dnnl::memory::desc desc_of(const Dims& dims, int32_t layout);
// The tensor seen with other dims (same element count), row-major.
dnnl::memory::desc plain(const std::vector<int64_t>& dims);

// A primitive with the values that it reads and writes.
class DnnlKernel final : public Kernel {
 public:
  // `small`: made, and to be run, on one thread (parallel.h).
  DnnlKernel(Device& device, dnnl::primitive primitive, const dnnl::memory::desc& scratchpad, bool small);
  void bind(int argument, ValueIndex value, const dnnl::memory::desc& desc);
  void bind(int argument, dnnl::memory fixed);  // a packed weight
  Result<void> launch(const Pointers& pointers) override;
  uint64_t workspace_bytes() const override { return workspace_; }
  bool reads(ValueIndex value) const override;

 private:
  struct Operand {
    ValueIndex value;
    dnnl::memory memory;
  };
  Device& device_;
  dnnl::primitive primitive_;
  std::vector<Operand> operands_;
  std::vector<dnnl::memory> fixed_;
  std::vector<dnnl_exec_arg_t> arguments_;  // ready for the C interface, which copies nothing
  dnnl::memory scratchpad_;
  uint64_t workspace_ = 0;
  bool small_;
};

// The epilogue of a step as post-ops. Operands are read as `output` broadcast allows; the caller binds them
// with bind_epilogue after it has made the kernel. `dims`: the output as the primitive sees it (MatMul folds
// its batch).
struct Epilogue {
  dnnl::primitive_attr attributes;
  struct Operand {
    int argument;
    ValueIndex value;
    dnnl::memory::desc desc;
  };
  std::vector<Operand> operands;
};
Epilogue epilogue_of(const ExecPlan& plan, const Step& step, const std::vector<int64_t>& dims, int32_t layout,
                     size_t channel_axis);
void bind_epilogue(DnnlKernel& kernel, const Epilogue& epilogue);
// Whether the instruction can be a post-op of a primitive with this output.
// Besides whole outputs, scalars and one value a channel.
bool is_post_op(const ExecPlan& plan, const Instruction& instruction, ValueIndex operand,
                const PlanValue& output, size_t channel_axis);

// Binds a constant as `wanted`: reordered if need be and kept for all plans, else read where it lies.
// `given`: how its bytes lie. `scale` multiplies it.
void bind_constant(DnnlKernel& kernel, int argument, Device& device, const ExecPlan& plan,
                   ValueIndex constant, const dnnl::memory::desc& given, const dnnl::memory::desc& wanted,
                   float scale = 1.f);

// Runs `make`, turning oneDNN's exceptions into errors of the step.
template <class F>
auto guarded(const ExecPlan& plan, const Step& step, F make) -> decltype(make()) {
  try {
    return make();
  } catch (const dnnl::error& error) {
    return fail(ErrorCode::kInternal, std::string("oneDNN: ") + error.what(),
                {.file = {},
                 .node = step.node == kNoNode ? step.op : plan.graph->node(step.node).label(),
                 .value = {}});
  }
}

using KernelResult = Result<std::unique_ptr<Kernel>>;

// Convolutions and pools in the layouts of their values.
bool accepts_conv(const ExecPlan& plan, const Step& step);
int32_t preferred_conv_layout(Device& device, const ExecPlan& plan, const Step& step);
KernelResult make_conv(Device& device, const ExecPlan& plan, const Step& step);
bool accepts_pool(const ExecPlan& plan, const Step& step);
KernelResult make_pool(Device& device, const ExecPlan& plan, const Step& step);

// MatMul and Gemm, row-major.
bool accepts_matmul(const ExecPlan& plan, const Step& step);
// A binary post-op whose operand has one row a batch, [M,1,N] against [M,S,N]: the bias of M stacked linears.
bool is_row_a_batch(const ExecPlan& plan, const Step& step, const Instruction& instruction,
                    ValueIndex operand);
KernelResult make_matmul(Device& device, const ExecPlan& plan, const Step& step);

// Copies between layouts.
KernelResult make_reorder(Device& device, const ExecPlan& plan, const Step& step);

}  // namespace mts::exec
