// Softmax, LogSoftmax, and Layer-, RMS-, Instance- and GroupNormalization.
#include "exec/cuda/kernels/rows.h"

#include "exec/cuda/own/families.h"
#include "exec/cuda/own/launch_kernel.h"
#include "exec/cuda/own/operands.h"

namespace mts::exec::cuda {
namespace {

bool is_softmax(const Step& step) { return step.op == "Softmax" || step.op == "LogSoftmax"; }

// From opset 13 on one axis (default: the last); before, all axes from `axis` (default 1) on.
std::optional<SoftmaxArgs> softmax_of(const ExecPlan& plan, const Step& step) {
  const Node& node = *node_of(plan, step);
  const std::span<const int64_t> dims = plan.value(step.inputs[0]).dims;
  const auto type = common_float_type(plan, step);
  const bool flat = plan.opset < 13;
  const auto axis = normal_axis(node.int_or("axis", flat ? 1 : -1), dims.size());
  if (!axis || !type) return std::nullopt;
  SoftmaxArgs args;
  args.type = *type;
  args.logarithm = step.op == "LogSoftmax";
  args.outer = element_count(dims.first(*axis));
  args.length = static_cast<int32_t>(flat ? element_count(dims.subspan(*axis)) : dims[*axis]);
  args.inner = static_cast<int32_t>(flat ? 1 : element_count(dims.subspan(*axis + 1)));
  return args;
}

bool is_normalisation(const Step& step) {
  return step.op == "LayerNormalization" || step.op == "RMSNormalization" ||
         step.op == "InstanceNormalization" || step.op == "GroupNormalization";
}

std::optional<NormaliseArgs> normalisation_of(const ExecPlan& plan, const Step& step) {
  const Node& node = *node_of(plan, step);
  const Dims& dims = plan.value(step.inputs[0]).dims;
  const std::span<const int64_t> all = dims;
  NormaliseArgs args;
  args.epsilon = node.float_or("epsilon", 1e-5f);
  const auto type = float_type_of(plan.value(step.inputs[0]).dtype);
  if (!type) return std::nullopt;
  args.type = *type;
  for (size_t i = 0; i < static_cast<size_t>(step.node_inputs); ++i) {
    if (has_input(step, i) && float_type_of(plan.value(step.inputs[i]).dtype) != type) return std::nullopt;
  }
  const auto count = [&](size_t i) {
    return has_input(step, i) ? element_count(plan.value(step.inputs[i]).dims) : -1;
  };
  if (step.op == "LayerNormalization" || step.op == "RMSNormalization") {
    const auto axis = normal_axis(node.int_or("axis", -1), dims.size());
    if (!axis || step.outputs[0] == kAbsent) return std::nullopt;
    for (size_t i = 1; i < step.outputs.size(); ++i) {
      if (step.outputs[i] != kAbsent && plan.value(step.outputs[i]).dtype != DType::kFloat32)
        return std::nullopt;
    }
    args.centred = step.op == "LayerNormalization";
    args.rows = element_count(all.first(*axis));
    args.length = static_cast<int32_t>(element_count(all.subspan(*axis)));
    if (count(1) != args.length || (count(2) != -1 && count(2) != args.length)) return std::nullopt;
    return args;
  }
  if (dims.size() < 3) return std::nullopt;
  const int64_t groups = step.op == "GroupNormalization" ? node.int_or("num_groups", 0) : dims[1];
  if (groups < 1 || dims[1] % groups != 0 || count(1) != count(2)) return std::nullopt;
  args.groups = static_cast<int32_t>(groups);
  args.rows = dims[0] * groups;
  const int64_t pixels = element_count(all.subspan(2)), channels = dims[1] / groups;
  args.length = static_cast<int32_t>(channels * pixels);
  if (count(1) == dims[1]) {
    args.run = static_cast<int32_t>(pixels);
    args.parameters_a_row = static_cast<int32_t>(channels);
  } else if (count(1) == groups) {  // before opset 21: one a group
    args.run = args.length;
    args.parameters_a_row = 1;
  } else {
    return std::nullopt;
  }
  return args;
}

}  // namespace

bool accepts_rows(const ExecPlan& plan, const Step& step) {
  if (node_of(plan, step) == nullptr || !all_fit(plan, step) || !all_row_major(plan, step)) return false;
  if (is_softmax(step)) return softmax_of(plan, step).has_value();
  return is_normalisation(step) && normalisation_of(plan, step).has_value();
}

KernelResult make_rows(OwnDevice& device, const ExecPlan& plan, const Step& step) {
  if (is_softmax(step)) {
    return make_launch(device, launch_softmax, *softmax_of(plan, step),
                       [input = step.inputs[0], output = step.outputs[0]](SoftmaxArgs& a, const Pointers& p) {
                         a.input = p[input];
                         a.output = p[output];
                       });
  }
  return make_launch(device, launch_normalise, *normalisation_of(plan, step),
                     [inputs = step.inputs, outputs = step.outputs](NormaliseArgs& a, const Pointers& p) {
                       const auto input = [&](size_t i) -> const void* {
                         return i < inputs.size() && inputs[i] != kAbsent ? p[inputs[i]] : nullptr;
                       };
                       const auto statistic = [&](size_t i) {
                         return i < outputs.size() && outputs[i] != kAbsent
                                    ? reinterpret_cast<float*>(p[outputs[i]])
                                    : nullptr;
                       };
                       a.input = input(0);
                       a.scale = input(1);
                       a.bias = input(2);
                       a.output = p[outputs[0]];
                       a.mean_output = statistic(1);
                       a.inverse_output = statistic(2);
                     });
}

}  // namespace mts::exec::cuda
