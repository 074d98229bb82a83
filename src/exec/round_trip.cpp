#include "exec/round_trip.h"

#include "exec/geometry.h"

#include <utility>

namespace mts::exec {
namespace {

struct Grid {
  float scale = 0.f;
  int64_t zero_point = 0;
  bool operator==(const Grid&) const = default;
};

std::optional<Grid> grid_of(std::span<const Fact> facts, const Node& node) {
  const auto content = [&](size_t i) { return facts[index(node.inputs[i])].tensor(); };
  if (node.inputs.size() < 2 || node.inputs[1] == kNoValue) return std::nullopt;
  const Tensor* const scale = content(1);
  if (scale == nullptr || scale->dtype() != DType::kFloat32 || scale->element_count() != 1)
    return std::nullopt;
  Grid grid{*scale->as<float>(), 0};
  if (!(grid.scale > 0.f)) return std::nullopt;
  if (node.inputs.size() > 2 && node.inputs[2] != kNoValue) {
    const Tensor* const zero = content(2);
    if (zero == nullptr || zero->element_count() != 1) return std::nullopt;
    const std::vector<int64_t> value = to_int64s(*zero);
    if (value.size() != 1) return std::nullopt;
    grid.zero_point = value[0];
  }
  return grid;
}

std::optional<std::pair<float, float>> range_of(DType dtype) {
  switch (dtype) {
    case DType::kUint8:
      return std::pair(0.f, 255.f);
    case DType::kInt8:
      return std::pair(-128.f, 127.f);
    case DType::kUint16:
      return std::pair(0.f, 65535.f);
    case DType::kInt16:
      return std::pair(-32768.f, 32767.f);
    default:
      return std::nullopt;
  }
}

}  // namespace

std::optional<RoundTrip> round_trip_of(const Graph& graph, std::span<const Fact> facts, const Node& node) {
  if (!node.is("DequantizeLinear") || node.inputs.empty() || node.inputs[0] == kNoValue) return std::nullopt;
  const Value& middle = graph.value(node.inputs[0]);
  if (middle.producer == kNoNode || !graph.node(middle.producer).is("QuantizeLinear")) return std::nullopt;
  const Node& first = graph.node(middle.producer);
  const ValueId source = first.inputs[0];
  const Fact &before = facts[index(source)], &after = facts[index(node.outputs[0])];
  if (!before.is_shaped() || before.is_content() || before.dtype != DType::kFloat32 || !after.is_shaped() ||
      after.dtype != DType::kFloat32)
    return std::nullopt;
  const auto range = range_of(facts[index(node.inputs[0])].dtype);
  const auto grid = grid_of(facts, first);
  if (!range || !grid || grid_of(facts, node) != grid) return std::nullopt;
  const auto zero = static_cast<float>(grid->zero_point);
  return RoundTrip{
      source,
      {Instruction{.op = ElementOp::kLinear, .alpha = 1.f / grid->scale},
       Instruction{.op = ElementOp::kRound},
       Instruction{.op = ElementOp::kClip, .alpha = range->first - zero, .beta = range->second - zero},
       Instruction{.op = ElementOp::kLinear, .alpha = grid->scale}}};
}

}  // namespace mts::exec
