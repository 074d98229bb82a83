// Which work of a plan goes to which library, as calls bound to the plan's values. No device, no library:
// what libraries take is asked through Libraries, what own kernels take through OwnKernels.
#pragma once

#include "exec/backend.h"
#include "exec/cuda/library_calls.h"
#include "exec/plan.h"

#include <optional>
#include <variant>
#include <vector>

namespace mts::exec::cuda {

// Kernels that come with mts, for whatever the libraries have not; row-major operands.
class OwnKernels {
 public:
  virtual ~OwnKernels() = default;
  virtual bool accepts(const ExecPlan& plan, const Step& step) const = 0;
  virtual bool accepts_epilogue(const ExecPlan& plan, const Step& step, const Instruction& next,
                                ValueIndex operand) const = 0;
  virtual Result<std::unique_ptr<Kernel>> prepare(const ExecPlan& plan, const Step& step) = 0;
  virtual Result<void> check_run() { return {}; }  // see Backend, also the next
  virtual bool mixes_small_floats() const { return false; }
};

// An operand of a call: a value, the weight of a convolution (to be packed channels-last), or as many zeros
// as there are output channels.
struct CallOperand {
  enum class Kind : uint8_t { kValue, kPackedWeight, kZeros };
  Kind kind = Kind::kValue;
  ValueIndex value = kAbsent;
};
struct LoweredCall {
  std::variant<ConvCall, GemmCall, PoolCall, CopyCall> call;
  std::vector<CallOperand> operands;
};

bool is_pool(const Step& step);

class Lowering {
 public:
  Lowering(Libraries& libraries, const OwnKernels& own, Math math)
      : libraries_(libraries), own_(own), math_(math) {}

  const OwnKernels& own() const { return own_; }

  // The step as library calls one after another; empty: own kernels. The answer does not depend on layouts: a
  // call says which it wants (wants_channels_last).
  std::vector<LoweredCall> lower(const ExecPlan& plan, const Step& step) const;
  // Whether the step is one for libraries, before its epilogue and the device's plans are looked at.
  static bool is_library_step(const ExecPlan& plan, const Step& step);
  static bool wants_channels_last(const Step& step) { return step.op != "MatMul" && step.op != "Gemm"; }
  // Whether the epilogue of a library step may grow by `next`.
  bool library_accepts_epilogue(const ExecPlan& plan, const Step& step, const Instruction& next,
                                ValueIndex operand) const;
  // Whether own kernels take the step with its whole epilogue.
  bool own_accepts(const ExecPlan& plan, const Step& step) const;

 private:
  std::vector<LoweredCall> lower_conv(const ExecPlan& plan, const Step& step) const;
  std::vector<LoweredCall> lower_gemm(const ExecPlan& plan, const Step& step) const;
  std::vector<LoweredCall> lower_pool(const ExecPlan& plan, const Step& step) const;

  Libraries& libraries_;
  const OwnKernels& own_;
  Math math_;
};

// Copies between layouts, between images of models side by side and one after another, and the copies that a
// Concat or Split of channels-last images is.
LoweredCall lower_reorder(const ExecPlan& plan, const Step& step);
std::vector<LoweredCall> lower_parts(const ExecPlan& plan, const Step& step);

// The epilogue as libraries know it: nothing when it is more than adding a whole tensor, adding one value a
// channel, and one activation at the end, in that order or with the additions swapped.
struct LibraryEpilogue {
  ValueIndex addend = kAbsent, bias = kAbsent;
  Activation activation = Activation::kNone;
};
struct EpilogueRules {
  size_t channel_axis = 1;
  bool has_bias = false;  // the node's own
  bool has_addend = false;
  bool gelu = false;  // the library has GELU (the tanh formula)
};
std::optional<LibraryEpilogue> parse_epilogue(const ExecPlan& plan, const Step& step,
                                              const EpilogueRules& rules);
bool extend_epilogue(const ExecPlan& plan, const Step& step, const EpilogueRules& rules,
                     const Instruction& next, ValueIndex operand, LibraryEpilogue& epilogue);
EpilogueRules epilogue_rules_of(const ExecPlan& plan, const Step& step);

}  // namespace mts::exec::cuda
