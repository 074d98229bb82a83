// Epilogues as libraries know them (see lowering.h).
#include "exec/cuda/lowering.h"
#include "exec/geometry.h"

#include <algorithm>

namespace mts::exec::cuda {
namespace {

// One value a channel of the output: [C,1,1], [1,C,1,1]; [C] where the channels are the last axis.
bool is_channel_vector(const Dims& dims, const Dims& output, size_t channel_axis) {
  if (dims.size() > output.size()) return false;
  const size_t shift = output.size() - dims.size();
  if (channel_axis < shift) return false;
  for (size_t i = 0; i < dims.size(); ++i) {
    const bool is_channel = i + shift == channel_axis;
    if (dims[i] != (is_channel ? output[channel_axis] : 1)) return false;
  }
  return output[channel_axis] > 1 || element_count(dims) == 1;
}

}  // namespace

bool extend_epilogue(const ExecPlan& plan, const Step& step, const EpilogueRules& rules,
                     const Instruction& next, ValueIndex operand, LibraryEpilogue& epilogue) {
  if (epilogue.activation != Activation::kNone) return false;  // it comes last
  if (next.op == ElementOp::kRelu) {
    epilogue.activation = Activation::kRelu;
    return true;
  }
  if (next.op == ElementOp::kGeluTanh && rules.gelu) {
    epilogue.activation = Activation::kGeluTanh;
    return true;
  }
  if (next.op != ElementOp::kAdd || operand == kAbsent) return false;
  const PlanValue &output = plan.value(step.outputs[0]), &value = plan.value(operand);
  if (!value.is_static || value.dtype != output.dtype) return false;
  if (value.dims == output.dims && element_count(value.dims) > 1) {
    if (rules.has_addend || epilogue.addend != kAbsent) return false;
    epilogue.addend = operand;
    return true;
  }
  if (!is_channel_vector(value.dims, output.dims, rules.channel_axis)) return false;
  if (rules.has_bias || epilogue.bias != kAbsent) return false;
  epilogue.bias = operand;
  return true;
}

std::optional<LibraryEpilogue> parse_epilogue(const ExecPlan& plan, const Step& step,
                                              const EpilogueRules& rules) {
  LibraryEpilogue epilogue;
  for (const Instruction& instruction : step.program.code) {
    const ValueIndex operand = is_binary(instruction.op)
                                   ? step.inputs[static_cast<size_t>(step.node_inputs + instruction.b - 1)]
                                   : kAbsent;
    if (!extend_epilogue(plan, step, rules, instruction, operand, epilogue)) return std::nullopt;
  }
  return epilogue;
}

EpilogueRules epilogue_rules_of(const ExecPlan& plan, const Step& step) {
  EpilogueRules rules;
  const bool third = step.node_inputs > 2 && step.inputs[2] != kAbsent;
  if (step.op == "Conv") {
    rules.has_bias = third;
    return rules;
  }
  const Dims& output = plan.value(step.outputs[0]).dims;
  rules.channel_axis = output.empty() ? 0 : output.size() - 1;
  rules.gelu = true;
  if (!third) return rules;
  const bool whole = plan.value(step.inputs[2]).dims == output && output.size() == 2 && output[0] > 1;
  (whole ? rules.has_addend : rules.has_bias) = true;
  return rules;
}

}  // namespace mts::exec::cuda
