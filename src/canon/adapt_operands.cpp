// Attributes that became inputs, and operators that were renamed.
#include "canon/adapters.h"
#include "canon/scalar.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace mts::canon::adapt {
namespace {

using Ints = std::vector<int64_t>;

std::string first_name(const Scope& scope, NodeId id) {
  for (const ValueId output : scope.graph().node(id).outputs)
    if (output != kNoValue) return scope.graph().value(output).name;
  return scope.graph().node(id).op_type;
}

// Moves an attribute of integers to input `position`, when it is there.
void ints_to_input(const Scope& scope, NodeId id, const std::string& attribute, size_t position) {
  Graph& graph = scope.graph();
  Node& node = graph.node(id);
  if (node.find(attribute) == nullptr) return;
  const ValueId constant =
      scope.add_ints(first_name(scope, id) + "_" + attribute, node.ints_or(attribute, {}));
  node.remove(attribute);
  if (node.inputs.size() <= position) graph.resize_inputs(id, position + 1);
  graph.set_input(id, position, constant);
}

// Puts a scalar of the first input's element type at `position`.
Result<void> number_to_input(const Scope& scope, NodeId id, double number, const std::string& what,
                             size_t position) {
  Graph& graph = scope.graph();
  const Type& type = graph.value(graph.node(id).inputs.at(0)).type;
  WeightPtr scalar = type.is_tensor() ? scalar_of(type.dtype, number) : nullptr;
  if (scalar == nullptr) return fail(ErrorCode::kModel, "the element type of its input is not known");
  const ValueId constant = scope.add_constant(first_name(scope, id) + "_" + what, std::move(scalar));
  if (graph.node(id).inputs.size() <= position) graph.resize_inputs(id, position + 1);
  graph.set_input(id, position, constant);
  return {};
}

}  // namespace

Result<void> slice_10(const Scope& scope, NodeId id) {
  ints_to_input(scope, id, "starts", 1);
  ints_to_input(scope, id, "ends", 2);
  ints_to_input(scope, id, "axes", 3);
  return {};
}

Result<void> top_k_10(const Scope& scope, NodeId id) {
  Node& node = scope.graph().node(id);
  const int64_t k = node.int_or("k", 0);
  node.set("k", Ints{k});
  ints_to_input(scope, id, "k", 1);
  return {};
}

Result<void> clip_11(const Scope& scope, NodeId id) {
  Node& node = scope.graph().node(id);
  constexpr float kMost = std::numeric_limits<float>::max();  // the default bounds, which bound nothing
  const float low = node.float_or("min", -kMost), high = node.float_or("max", kMost);
  node.remove("min");
  node.remove("max");
  if (low > -kMost) MTS_TRY(number_to_input(scope, id, low, "min", 1));
  if (high < kMost) MTS_TRY(number_to_input(scope, id, high, "max", 2));
  return {};
}

Result<void> pad_11(const Scope& scope, NodeId id) {
  Node& node = scope.graph().node(id);
  const float value = node.float_or("value", 0);
  const bool is_constant_mode = node.string_or("mode", "constant") == "constant";
  node.remove("value");
  ints_to_input(scope, id, "pads", 1);
  if (value != 0 && is_constant_mode) return number_to_input(scope, id, value, "value", 2);
  return {};
}

Result<void> scatter_11(const Scope& scope, NodeId id) {
  scope.graph().node(id).op_type = "ScatterElements";
  return {};
}

Result<void> axes_to_input(const Scope& scope, NodeId id) {
  ints_to_input(scope, id, "axes", 1);
  return {};
}

Result<void> split_13(const Scope& scope, NodeId id) {
  ints_to_input(scope, id, "split", 1);
  return {};
}

Result<void> split_18(const Scope& scope, NodeId id) {
  Node& node = scope.graph().node(id);
  if (!has_input(node, 1)) node.set("num_outputs", static_cast<int64_t>(node.outputs.size()));
  return {};
}

Result<void> dft_20(const Scope& scope, NodeId id) {
  Graph& graph = scope.graph();
  const int64_t axis = graph.node(id).int_or("axis", 1);
  graph.node(id).remove("axis");
  const ValueId constant = scope.add_constant(first_name(scope, id) + "_axis", Weight::int64_scalar(axis));
  graph.resize_inputs(id, 3);
  graph.set_input(id, 2, constant);
  return {};
}

Result<void> float_reduction_28(const Scope& scope, NodeId id) {
  const Graph& graph = scope.graph();
  const Type& type = graph.value(graph.node(id).inputs.at(0)).type;
  if (!type.is_tensor() || !is_float(type.dtype))
    return fail(ErrorCode::kModel, "from version 28 it takes floating-point numbers only");
  return {};
}

Result<void> label_encoder_2(const Scope& scope, NodeId id) {
  Graph& graph = scope.graph();
  Node& node = graph.node(id);
  const Type& type = graph.value(node.inputs.at(0)).type;
  const Attribute* attribute = node.find("classes_strings");
  const auto* classes =
      attribute == nullptr ? nullptr : std::get_if<std::vector<std::string>>(&attribute->value);
  if (classes == nullptr || !type.is_tensor())
    return fail(ErrorCode::kModel, "its classes or its input's type are not known");
  const std::vector<std::string> names = *classes;
  Ints numbers;
  for (size_t i = 0; i < names.size(); ++i) numbers.push_back(static_cast<int64_t>(i));
  const bool from_strings = type.dtype == DType::kString;
  node.remove("classes_strings");
  node.remove(from_strings ? "default_string" : "default_int64");
  node.set(from_strings ? "keys_strings" : "values_strings", names);
  node.set(from_strings ? "values_int64s" : "keys_int64s", numbers);
  return {};
}

}  // namespace mts::canon::adapt
