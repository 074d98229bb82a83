#include "exec/cuda/own/epilogue.h"

#include "exec/cuda/own/program.h"

#include <utility>

namespace mts::exec::cuda {
namespace {

// One stride for the axes [begin, end) walked as one: every inner axis continues the one outside it.
std::optional<int64_t> joined_stride(std::span<const int64_t> dims, std::span<const int64_t> strides) {
  int64_t stride = 0, extent = 1;
  for (size_t i = dims.size(); i-- > 0;) {
    if (dims[i] == 1) continue;
    if (extent == 1) {
      stride = strides[i];
    } else if (strides[i] != stride * extent) {
      return std::nullopt;
    }
    extent *= dims[i];
  }
  return stride;
}

}  // namespace

std::optional<EpilogueOperand> epilogue_operand(const PlanValue& operand,
                                                std::span<const int64_t> output_dims,
                                                const OutputView& view) {
  const auto type = float_type_of(operand.dtype);
  if (!type || operand.dims.size() > output_dims.size()) return std::nullopt;
  const std::vector<int64_t> strides = strides_in(operand, output_dims);
  EpilogueOperand result;
  result.type = *type;
  // The axes of the output that make up each part of the view, from the front.
  size_t axis = 0;
  const auto take = [&](int64_t extent) -> std::optional<int64_t> {
    const size_t first = axis;
    int64_t count = 1;
    while (axis < output_dims.size() && (count < extent || output_dims[axis] == 1))
      count *= output_dims[axis++];
    if (count != extent) return std::nullopt;
    return joined_stride(output_dims.subspan(first, axis - first),
                         std::span(strides).subspan(first, axis - first));
  };
  for (size_t i = 0; i < view.outer.size(); ++i) {
    const auto stride = take(view.outer[i]);
    if (!stride) return std::nullopt;
    result.outer[i] = *stride;
  }
  const auto row = take(view.rows);
  const auto column = row ? take(view.columns) : std::nullopt;
  if (!column || axis != output_dims.size()) return std::nullopt;
  result.row = *row;
  result.column = *column;
  return result;
}

std::optional<StepEpilogue> epilogue_of(const ExecPlan& plan, const Step& step, const OutputView& view,
                                        const std::optional<std::pair<ValueIndex, EpilogueOperand>>& bias) {
  StepEpilogue result;
  Program program = step.program;
  if (program.code.empty()) program.inputs = 1;
  if (bias) {
    // A new operand 1 and a first instruction: the other registers move up.
    const auto inputs = static_cast<int16_t>(program.inputs);
    const auto moved = [&](int16_t r) {
      return static_cast<int16_t>(r == 0 ? inputs + 1 : (r < inputs ? r + 1 : r + 2));
    };
    for (Instruction& instruction : program.code) {
      instruction.a = moved(instruction.a);
      if (is_binary(instruction.op)) instruction.b = moved(instruction.b);
    }
    program.inputs += 1;
    program.code.insert(program.code.begin(), Instruction{.op = ElementOp::kAdd, .a = 0, .b = 1});
    result.values.push_back(bias->first);
    result.epilogue.operands[0] = bias->second;
  }
  const auto device = device_epilogue(program);
  if (!device || device->temporaries != 0) return std::nullopt;
  result.epilogue.program = *device;
  const PlanValue& output = plan.value(step.outputs[0]);
  for (auto i = static_cast<size_t>(step.node_inputs); i < step.inputs.size(); ++i) {
    const auto operand = epilogue_operand(plan.value(step.inputs[i]), output.dims, view);
    if (!operand) return std::nullopt;
    result.epilogue.operands[result.values.size()] = *operand;
    result.values.push_back(step.inputs[i]);
  }
  return result;
}

}  // namespace mts::exec::cuda
