// Operators that need all channels at once but do not mind their order: LayerNormalization, Softmax and
// reductions over the channels, and those that only read the shape.
#include "partial/track.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace mts::partial {
namespace {

using Kind = OperandRole::Kind;

}  // namespace

std::optional<Effect> mixing_effect(Tracker& tracker, NodeId id) {
  const Node& node = tracker.graph().node(id);
  if (node.inputs.empty() || !tracker.tracked(node.inputs[0])) return std::nullopt;
  const Tracked in = *tracker.tracked(node.inputs[0]);
  const Type& type = tracker.type(node.inputs[0]);
  if (!type.has_rank()) return std::nullopt;
  const auto rank = static_cast<int64_t>(type.rank());
  const auto size = in.unit * static_cast<int64_t>(in.channels.size());

  Effect effect;
  effect.role.operands.resize(node.inputs.size());
  effect.role.operands[0].kind = Kind::kChannels;
  effect.out = Tracked{in.axis, in.unit, in.channels, false};
  effect.role.kind = NodeRole::Kind::kWhole;

  if (node.is("Shape") || node.is("Size")) {
    effect.out.reset();
    return effect;
  }
  if (node.is("Softmax") || node.is("LogSoftmax")) {
    const int64_t axis = node.int_or("axis", -1);
    if ((axis < 0 ? axis + rank : axis) != static_cast<int64_t>(in.axis))
      effect.role.kind = NodeRole::Kind::kEach;
    return effect;
  }
  if (node.is("LayerNormalization") || node.is("RMSNormalization")) {
    int64_t axis = node.int_or("axis", -1);
    if (axis < 0) axis += rank;
    const auto at = static_cast<int64_t>(in.axis);
    if (at < axis) {  // over later axes: every channel by itself, unless the scale has the channels too
      for (size_t i = 1; i < node.inputs.size(); ++i)
        if (node.inputs[i] != kNoValue &&
            (!tracker.type(node.inputs[i]).has_rank() ||
             static_cast<int64_t>(tracker.type(node.inputs[i]).rank()) > rank - axis))
          return std::nullopt;
      effect.role.kind = NodeRole::Kind::kEach;
      return effect;
    }
    if (at != rank - 1 || axis != rank - 1) return std::nullopt;
    for (size_t i = 1; i < node.inputs.size(); ++i) {
      if (node.inputs[i] == kNoValue) continue;
      const WeightPtr weight = tracker.weight(node.inputs[i]);
      if (weight == nullptr || weight->dims() != Dims{size}) return std::nullopt;
      effect.role.operands[i] = {Kind::kParameter, 0, in.unit};
    }
    return effect;
  }
  static constexpr std::array<std::string_view, 4> kReductions = {"ReduceMean", "ReduceSum", "ReduceMax",
                                                                  "ReduceMin"};
  if (std::ranges::find(kReductions, node.op_type) != kReductions.end() && node.inputs.size() > 1) {
    const WeightPtr axes = tracker.weight(node.inputs[1]);
    if (axes == nullptr) return std::nullopt;
    const auto over = axes->as_int64s();
    const auto at = static_cast<int64_t>(in.axis);
    const bool sums = over.empty() ? node.int_or("noop_with_empty_axes", 0) == 0
                                   : std::ranges::find(over, at) != over.end() ||
                                         std::ranges::find(over, at - rank) != over.end();
    if (!sums) return std::nullopt;  // reductions over other axes are movement's
    effect.out.reset();
    return effect;
  }
  return std::nullopt;
}

}  // namespace mts::partial
