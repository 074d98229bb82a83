// Fused elementwise steps, and single elementwise nodes of 16-bit floats (which `compile` does not fuse).
#include "exec/cuda/kernels/elementwise.h"

#include "exec/cuda/own/families.h"
#include "exec/cuda/own/launch_kernel.h"
#include "exec/cuda/own/operands.h"
#include "exec/cuda/own/program.h"
#include "ref/formats.h"

namespace mts::exec::cuda {
namespace {

std::optional<float> scalar(const ExecPlan& plan, ValueIndex v) {
  const Tensor* const tensor = known(plan, v);
  if (tensor == nullptr || !float_type_of(tensor->dtype()) || tensor->element_count() != 1)
    return std::nullopt;
  return tensor->dtype() == DType::kFloat32 ? *tensor->as<float>() : *ref::widen(*tensor).as<float>();
}

struct Work {
  Program program;
  std::vector<ValueIndex> inputs;
};
std::optional<Work> work_of(const ExecPlan& plan, const Step& step) {
  if (step.op == "Elementwise") return Work{step.program, step.inputs};
  const Node* const node = node_of(plan, step);
  if (node == nullptr || step.outputs.size() != 1 || step.inputs.empty()) return std::nullopt;
  std::vector<std::optional<float>> bounds;
  if (node->is("Clip")) {
    for (size_t i = 1; i < step.inputs.size(); ++i) bounds.push_back(scalar(plan, step.inputs[i]));
  }
  std::optional<Instruction> instruction = instruction_of(*node, bounds);
  if (!instruction) return std::nullopt;
  Work work;
  work.inputs = {step.inputs.begin(), step.inputs.begin() + (is_binary(instruction->op) ? 2 : 1)};
  if (std::find(work.inputs.begin(), work.inputs.end(), kAbsent) != work.inputs.end()) return std::nullopt;
  if (is_binary(instruction->op)) instruction->b = 1;
  work.program = Program{static_cast<int>(work.inputs.size()), {*instruction}};
  return work;
}

std::optional<ElementwiseArgs> args_of(const ExecPlan& plan, const Step& step, const Work& work) {
  ElementwiseArgs args;
  const auto program = device_program(work.program);
  const PlanValue& output = plan.value(step.outputs[0]);
  const auto type = float_type_of(output.dtype);
  if (!program || !type) return std::nullopt;
  args.program = *program;
  args.output_type = *type;
  args.operands = static_cast<int32_t>(work.inputs.size());
  std::vector<int64_t> dims = output.dims;
  std::vector<std::vector<int64_t>> strides = {strides_of(output)};
  for (size_t k = 0; k < work.inputs.size(); ++k) {
    const PlanValue& value = plan.value(work.inputs[k]);
    const auto input_type = float_type_of(value.dtype);
    if (!input_type || value.dims.size() > dims.size()) return std::nullopt;
    args.input_types[k] = *input_type;
    strides.push_back(strides_in(value, dims));
  }
  if (output.layout == kChannelsLast) {  // memory order: the channels innermost
    const auto to_back = [](std::vector<int64_t>& v) { std::rotate(v.begin() + 1, v.begin() + 2, v.end()); };
    to_back(dims);
    for (std::vector<int64_t>& operand : strides) to_back(operand);
  }
  const auto nest = nest_of<kMaxOperands + 1>(dims, strides);
  if (!nest) return std::nullopt;
  args.nest = *nest;
  return args;
}

}  // namespace

bool accepts_elementwise(const ExecPlan& plan, const Step& step) {
  if (!all_fit(plan, step)) return false;
  const std::optional<Work> work = work_of(plan, step);
  // Steps that fusion makes of accepted ones must do as well: any program over up to kMaxAxes axes does.
  return work && plan.value(step.outputs[0]).dims.size() <= static_cast<size_t>(kMaxAxes) &&
         args_of(plan, step, *work).has_value();
}

KernelResult make_elementwise(OwnDevice& device, const ExecPlan& plan, const Step& step) {
  const std::optional<Work> work = work_of(plan, step);
  const auto args = work ? args_of(plan, step, *work) : std::nullopt;
  if (!args) return fail(ErrorCode::kInternal, "an elementwise step is too large for its kernel");
  return make_launch(
      device, launch_elementwise, *args,
      [inputs = work->inputs, output = step.outputs[0]](ElementwiseArgs& a, const Pointers& p) {
        for (size_t k = 0; k < inputs.size(); ++k) a.inputs[k] = p[inputs[k]];
        a.output = p[output];
      });
}

}  // namespace mts::exec::cuda
