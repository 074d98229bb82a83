// Upsample, Resize, GridSample, RoiAlign.
#include "canon/adapters.h"

#include <algorithm>

namespace mts::canon::adapt {

// Upsample-7 has its scales as an attribute.
Result<void> upsample_9(const Scope& scope, NodeId id) {
  Graph& graph = scope.graph();
  Node& node = graph.node(id);
  const Attribute* attribute = node.find("scales");
  const auto* scales = attribute == nullptr ? nullptr : std::get_if<std::vector<float>>(&attribute->value);
  if (scales == nullptr) return fail(ErrorCode::kModel, "it has no scales");
  WeightPtr constant = Weight::floats(*scales, {static_cast<int64_t>(scales->size())});
  node.remove("scales");
  graph.append_input(
      id, scope.add_constant(graph.value(node.outputs.at(0)).name + "_scales", std::move(constant)));
  return {};
}

Result<void> upsample_10(const Scope& scope, NodeId id) {
  Node& node = scope.graph().node(id);
  node.op_type = "Resize";
  if (node.string_or("mode", "nearest") == "nearest")
    node.set("nearest_mode", std::string("floor"));  // it only enlarges
  return {};
}

// Before version 11 a Resize maps output x to x / scale and, for the nearest element, rounds down where it
// enlarges and up where it shrinks (so ONNX Runtime computes it; the specification is silent).
Result<void> resize_11(const Scope& scope, NodeId id) {
  Graph& graph = scope.graph();
  Node& node = graph.node(id);
  const std::string mode = node.string_or("mode", "nearest");
  if (mode != "nearest" && mode != "linear") return fail(ErrorCode::kModel, "mode " + mode + " is not known");
  const ValueId scales = node.inputs.at(1);
  node.set("coordinate_transformation_mode", std::string("asymmetric"));
  if (mode == "nearest" && node.find("nearest_mode") == nullptr) {
    const WeightPtr constant = scope.weight(scales);
    const auto factors = constant == nullptr ? std::vector<double>() : constant->as_doubles();
    const bool shrinks = std::ranges::any_of(factors, [](double s) { return s < 1; });
    const bool enlarges = std::ranges::any_of(factors, [](double s) { return s > 1; });
    if (constant == nullptr)
      return fail(ErrorCode::kModel, "its scales are not constant, so its rounding is not known");
    if (shrinks && enlarges) return fail(ErrorCode::kModel, "it enlarges one axis and shrinks another");
    node.set("nearest_mode", std::string(shrinks ? "ceil" : "floor"));
  }
  graph.resize_inputs(id, 3);
  graph.set_input(id, 1, kNoValue);  // roi
  graph.set_input(id, 2, scales);
  return {};
}

Result<void> grid_sample_20(const Scope& scope, NodeId id) {
  Node& node = scope.graph().node(id);
  const std::string mode = node.string_or("mode", "bilinear");
  if (mode == "bilinear") node.set("mode", std::string("linear"));
  if (mode == "bicubic") node.set("mode", std::string("cubic"));
  return {};
}

Result<void> roi_align_16(const Scope& scope, NodeId id) {
  Node& node = scope.graph().node(id);
  if (node.find("coordinate_transformation_mode") == nullptr)
    node.set("coordinate_transformation_mode", std::string("output_half_pixel"));
  return {};
}

}  // namespace mts::canon::adapt
