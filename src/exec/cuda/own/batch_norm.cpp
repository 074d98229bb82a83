// BatchNormalization with known statistics, as y = x * scale + shift with one of each a channel. (`compile`
// does the same for float32; this is for the 16-bit floats.)
#include "exec/cuda/kernels/elementwise.h"
#include "exec/cuda/own/families.h"
#include "exec/cuda/own/launch_kernel.h"
#include "exec/cuda/own/operands.h"
#include "ref/formats.h"

#include <cmath>

namespace mts::exec::cuda {
namespace {

// The parameter as floats; nothing when it is not known, or not one a channel.
std::optional<std::vector<float>> parameter(const ExecPlan& plan, const Step& step, size_t i,
                                            int64_t channels) {
  const Tensor* const tensor = has_input(step, i) ? known(plan, step.inputs[i]) : nullptr;
  if (tensor == nullptr || !float_type_of(tensor->dtype()) || tensor->element_count() != channels)
    return std::nullopt;
  const Tensor wide = tensor->dtype() == DType::kFloat32 ? *tensor : ref::widen(*tensor);
  return std::vector<float>(wide.as<float>(), wide.as<float>() + channels);
}

struct Affine {
  std::vector<float> scale, shift;
};
std::optional<Affine> affine_of(const ExecPlan& plan, const Step& step) {
  const Node* const node = node_of(plan, step);
  if (node == nullptr || step.op != "BatchNormalization" || step.outputs.size() != 1 ||
      node->int_or("training_mode", 0) != 0 || node->int_or("spatial", 1) == 0)
    return std::nullopt;
  const PlanValue& input = plan.value(step.inputs[0]);
  if (input.dims.size() < 2 || !float_type_of(input.dtype) || input.layout != 0) return std::nullopt;
  const int64_t channels = input.dims[1];
  std::optional<std::vector<float>> parameters[4];
  for (size_t i = 0; i < 4; ++i) {
    parameters[i] = parameter(plan, step, i + 1, channels);
    if (!parameters[i]) return std::nullopt;
  }
  const double epsilon = node->float_or("epsilon", 1e-5f);
  Affine affine;
  for (size_t c = 0; c < static_cast<size_t>(channels); ++c) {
    const double slope = (*parameters[0])[c] / std::sqrt((*parameters[3])[c] + epsilon);
    affine.scale.push_back(static_cast<float>(slope));
    affine.shift.push_back(static_cast<float>((*parameters[1])[c] - (*parameters[2])[c] * slope));
  }
  return affine;
}

}  // namespace

bool accepts_batch_norm(const ExecPlan& plan, const Step& step) {
  return all_fit(plan, step) && all_row_major(plan, step) && affine_of(plan, step).has_value();
}

KernelResult make_batch_norm(OwnDevice& device, const ExecPlan& plan, const Step& step) {
  const Affine affine = *affine_of(plan, step);
  const PlanValue& input = plan.value(step.inputs[0]);
  const std::span<const int64_t> all = input.dims;
  const int64_t dims[] = {all[0], all[1], element_count(all.subspan(2))};
  const std::vector<int64_t> image = row_major_strides(dims), channel = {0, 1, 0};
  const std::vector<int64_t> strides[] = {image, image, channel, channel};
  ElementwiseArgs args;
  args.nest = *nest_of<kMaxOperands + 1>(dims, strides);
  args.operands = 3;
  args.input_types[0] = args.output_type = *float_type_of(input.dtype);
  args.program.length = 2;
  args.program.code[0] = {ElementOp::kMul, 0, 1, -1, 0.f, 0.f};
  args.program.code[1] = {ElementOp::kAdd, kAccumulator, 2, -1, 0.f, 0.f};
  MTS_ASSIGN(args.inputs[1], device.upload(std::as_bytes(std::span(affine.scale))));
  MTS_ASSIGN(args.inputs[2], device.upload(std::as_bytes(std::span(affine.shift))));
  return make_launch(device, launch_elementwise, args,
                     [x = step.inputs[0], y = step.outputs[0]](ElementwiseArgs& a, const Pointers& p) {
                       a.inputs[0] = p[x];
                       a.output = p[y];
                     });
}

}  // namespace mts::exec::cuda
