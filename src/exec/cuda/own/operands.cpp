#include "exec/cuda/own/operands.h"

namespace mts::exec::cuda {

std::optional<FloatType> float_type_of(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return FloatType::kFloat32;
    case DType::kFloat16:
      return FloatType::kFloat16;
    case DType::kBfloat16:
      return FloatType::kBfloat16;
    default:
      return std::nullopt;
  }
}

std::optional<ScalarType> scalar_type_of(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return ScalarType::kFloat32;
    case DType::kFloat16:
      return ScalarType::kFloat16;
    case DType::kBfloat16:
      return ScalarType::kBfloat16;
    case DType::kFloat64:
      return ScalarType::kFloat64;
    case DType::kInt8:
      return ScalarType::kInt8;
    case DType::kUint8:
      return ScalarType::kUint8;
    case DType::kInt16:
      return ScalarType::kInt16;
    case DType::kUint16:
      return ScalarType::kUint16;
    case DType::kInt32:
      return ScalarType::kInt32;
    case DType::kUint32:
      return ScalarType::kUint32;
    case DType::kInt64:
      return ScalarType::kInt64;
    case DType::kUint64:
      return ScalarType::kUint64;
    case DType::kBool:
      return ScalarType::kBool;
    default:
      return std::nullopt;
  }
}

std::optional<int32_t> width_of(DType dtype) {
  const int bits = bit_width(dtype);
  if (bits != 8 && bits != 16 && bits != 32 && bits != 64) return std::nullopt;
  return bits / 8;
}

bool fits(const ExecPlan& plan, ValueIndex v) {
  if (v == kAbsent) return true;
  const PlanValue& value = plan.value(v);
  return value.is_static && element_count(value.dims) <= std::numeric_limits<int32_t>::max();
}

bool all_fit(const ExecPlan& plan, const Step& step) {
  const auto fit = [&](ValueIndex v) { return fits(plan, v); };
  return std::all_of(step.inputs.begin(), step.inputs.end(), fit) &&
         std::all_of(step.outputs.begin(), step.outputs.end(), fit);
}

bool all_row_major(const ExecPlan& plan, const Step& step) {
  const auto plain = [&](ValueIndex v) { return v == kAbsent || plan.value(v).layout == 0; };
  return std::all_of(step.inputs.begin(), step.inputs.end(), plain) &&
         std::all_of(step.outputs.begin(), step.outputs.end(), plain);
}

std::optional<FloatType> common_float_type(const ExecPlan& plan, const Step& step) {
  const auto type = float_type_of(plan.value(step.outputs[0]).dtype);
  const auto same = [&](ValueIndex v) { return v == kAbsent || float_type_of(plan.value(v).dtype) == type; };
  if (!type || !std::all_of(step.inputs.begin(), step.inputs.end(), same) ||
      !std::all_of(step.outputs.begin(), step.outputs.end(), same))
    return std::nullopt;
  return type;
}

const Node* node_of(const ExecPlan& plan, const Step& step) {
  return step.node == kNoNode ? nullptr : &plan.graph->node(step.node);
}

bool has_input(const Step& step, size_t i) {
  return i < static_cast<size_t>(step.node_inputs) && step.inputs[i] != kAbsent;
}

const Tensor* known(const ExecPlan& plan, ValueIndex v) {
  if (v == kAbsent || !plan.value(v).is_constant()) return nullptr;
  return plan.constants[static_cast<size_t>(plan.value(v).constant)].tensor();
}

std::optional<std::vector<int64_t>> known_ints(const ExecPlan& plan, const Step& step, size_t i) {
  const Tensor* const tensor = has_input(step, i) ? known(plan, step.inputs[i]) : nullptr;
  if (tensor == nullptr) return std::nullopt;
  return to_int64s(*tensor);
}

std::vector<int64_t> strides_in(const PlanValue& value, std::span<const int64_t> target) {
  const std::vector<int64_t> own = strides_of(value);
  std::vector<int64_t> strides(target.size(), 0);
  const size_t shift = target.size() - value.dims.size();
  for (size_t i = 0; i < value.dims.size(); ++i) strides[i + shift] = value.dims[i] == 1 ? 0 : own[i];
  return strides;
}

}  // namespace mts::exec::cuda
