#include "exec/cuda/own/families.h"

#include "exec/cuda/kernels/element_program.h"
#include "exec/cuda/own/operands.h"

namespace mts::exec::cuda {
namespace {

constexpr OwnFamily kFamilies[] = {
    {"conv", accepts_conv, make_conv},
    {"matmul", accepts_matmul, make_matmul},
    {"attention", accepts_attention, make_attention},
    {"elementwise", accepts_elementwise, make_elementwise},
    {"batch_norm", accepts_batch_norm, make_batch_norm},
    {"movement", accepts_movement, make_movement},
    {"rows", accepts_rows, make_rows},
    {"reduce", accepts_reduce, make_reduce},
    {"gather", accepts_gather, make_gather},
    {"pool", accepts_pool, make_pool},
    {"resize", accepts_resize, make_resize},
    {"quantised", accepts_quantised, make_quantised},
    {"recurrent", accepts_recurrent, make_recurrent},
    {"map", accepts_map, make_map},
};

}  // namespace

std::span<const OwnFamily> own_families() { return kFamilies; }

const OwnFamily* own_family_of(const ExecPlan& plan, const Step& step) {
  for (const OwnFamily& family : kFamilies) {
    if (family.accepts(plan, step)) return &family;
  }
  return nullptr;
}

bool own_accepts_epilogue(const ExecPlan& plan, const Step& step, const Instruction& next,
                          ValueIndex operand) {
  const bool conv = step.op == "Conv" || step.op == "ConvTranspose";
  if (!conv && step.op != "MatMul" && step.op != "Gemm") return false;
  // Room for a bias, which takes an instruction and an operand.
  const size_t operands = step.inputs.size() - static_cast<size_t>(step.node_inputs);
  if (step.program.code.size() + 2 > static_cast<size_t>(kMaxProgram) ||
      operands + 2 > static_cast<size_t>(kMaxOperands))
    return false;
  if (is_binary(next.op) &&
      (operand == kAbsent || !fits(plan, operand) || !float_type_of(plan.value(operand).dtype)))
    return false;
  // The step with the operand must be one that its family takes.
  Step joined = step;
  joined.program = Program{};
  if (operand != kAbsent) {
    joined.inputs.push_back(operand);
    joined.program = Program{static_cast<int>(joined.inputs.size()) - step.node_inputs + 1, {}};
  }
  return conv ? accepts_conv(plan, joined) : accepts_matmul(plan, joined);
}

}  // namespace mts::exec::cuda
