#include "check/precision.h"

#include <mts/verify.h>

#include <algorithm>
#include <array>
#include <set>

namespace mts::check {
namespace {

constexpr double kQuantised = 0.02;

bool is_quantiser(const Node& node) {
  const std::string& op = node.op_type;
  return op == "QuantizeLinear" || op == "DynamicQuantizeLinear" || op.starts_with("QLinear") ||
         op == "MatMulInteger" || op == "ConvInteger";
}

bool is_half(DType dtype) { return is_float(dtype) && tolerance_of(dtype) > tolerance_of(DType::kFloat32); }

double precision_of(const Graph& graph, const Node& node) {
  double result = is_quantiser(node) ? kQuantised : 0;
  const auto consider = [&](ValueId id, bool input) {
    if (id == kNoValue) return;
    const Value& value = graph.value(id);
    // A constant that is only converted says how it is stored, not how it is computed with.
    const bool converted = node.is("Cast") || node.is("DequantizeLinear") || node.is("CastLike");
    if (input && value.is_constant() && converted) return;
    const DType dtype = value.is_constant() ? value.weight->dtype() : value.type.dtype;
    if (is_half(dtype)) result = std::max(result, tolerance_of(dtype));
  };
  for (const ValueId id : node.inputs) consider(id, true);
  for (const ValueId id : node.outputs) consider(id, false);
  for (const Graph* child : node.subgraphs()) {
    for (const NodeId id : child->order()) result = std::max(result, precision_of(*child, child->node(id)));
  }
  return result;
}

// The loosest precision among all that `value` is computed from.
double precision_behind(const Graph& graph, ValueId value) {
  double result = 0;
  std::vector<ValueId> open = {value};
  std::set<NodeId> seen;
  while (!open.empty()) {
    const NodeId producer = graph.value(open.back()).producer;
    open.pop_back();
    if (producer == kNoNode || !seen.insert(producer).second) continue;
    const Node& node = graph.node(producer);
    result = std::max(result, precision_of(graph, node));
    for (const ValueId input : node.inputs) {
      if (input != kNoValue) open.push_back(input);
    }
    for (const Graph* child : node.subgraphs()) {
      for (const Capture& capture : child->captures()) open.push_back(capture.outer);
    }
  }
  return result;
}

// The step between neighbouring values of an output that was quantised just before: 1 for quantised integers,
// the scale behind a DequantizeLinear; 0 when it is not known.
double quantum_of(const Graph& graph, ValueId value) {
  static constexpr std::array kPassing = {"Identity", "Reshape", "Transpose", "Squeeze", "Unsqueeze",
                                          "Flatten",  "Slice",   "MaxPool",   "Relu"};
  while (true) {
    const NodeId producer = graph.value(value).producer;
    if (producer == kNoNode) return 0;
    const Node& node = graph.node(producer);
    if (is_quantiser(node)) return is_quantised(graph.value(value).type.dtype) ? 1 : 0;
    if (node.is("DequantizeLinear")) {
      const Value& scale = graph.value(node.inputs[1]);
      if (!scale.is_constant() || graph.value(node.inputs[0]).is_constant()) return 0;
      const std::vector<double> scales = scale.weight->as_doubles();
      return scales.empty() ? 0 : *std::ranges::max_element(scales);
    }
    if (std::ranges::find(kPassing, node.op_type) == kPassing.end()) return 0;
    value = node.inputs[0];
  }
}

}  // namespace

std::vector<Tolerance> tolerances_of(const Graph& original) {
  std::vector<Tolerance> result;
  for (const ValueId output : original.outputs()) {
    const Type& type = original.value(output).type;
    Tolerance tolerance;
    const double behind = precision_behind(original, output);
    if (behind >= kQuantised) tolerance.quantum = quantum_of(original, output);
    // Sequences and maps: each tensor by its own type, unless what is behind it is less exact.
    const double own = type.is_tensor() ? tolerance_of(type.dtype)
                       : behind > 0     ? tolerance_of(DType::kFloat32)
                                        : -1;
    tolerance.relative =
        type.is_tensor() && !is_float(type.dtype) ? 0 : std::max(own, behind > 0 ? behind : own);
    result.push_back(tolerance);
  }
  return result;
}

}  // namespace mts::check
