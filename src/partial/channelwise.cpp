// Operators that work on every channel by itself, with parameters of a channel: pooling, normalisation over
// space, depthwise convolution, padding and resizing of the other axes.
#include "partial/track.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace mts::partial {
namespace {

using Kind = OperandRole::Kind;

constexpr std::array<std::string_view, 6> kPools = {
    "AveragePool", "GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool", "LpPool", "MaxPool"};

std::optional<Effect> each(Tracker& tracker, NodeId id, const Tracked& in) {
  const Node& node = tracker.graph().node(id);
  if (tracker.dim(node.outputs[0], in.axis) != in.unit * static_cast<int64_t>(in.channels.size()))
    return std::nullopt;
  Effect effect;
  effect.role.kind = NodeRole::Kind::kEach;
  effect.role.operands.resize(node.inputs.size());
  effect.role.operands[0].kind = Kind::kChannels;
  effect.out = Tracked{in.axis, in.unit, in.channels, false};
  return effect;
}

// Operands 1.. hold one element (or filter) a channel along their axis 0.
bool take_parameters(Tracker& tracker, const Node& node, const Tracked& in, NodeRole& role) {
  for (size_t i = 1; i < node.inputs.size(); ++i) {
    if (node.inputs[i] == kNoValue) continue;
    const WeightPtr weight = tracker.weight(node.inputs[i]);
    if (weight == nullptr || weight->dims().empty() || bit_width(weight->dtype()) % 8 != 0 ||
        weight->dims()[0] != in.unit * static_cast<int64_t>(in.channels.size()))
      return false;
    role.operands[i] = {Kind::kParameter, 0, in.unit};
  }
  return true;
}

bool is_depthwise(Tracker& tracker, NodeId id) {
  const Node& node = tracker.graph().node(id);
  const WeightPtr weight = node.inputs.size() > 1 ? tracker.weight(node.inputs[1]) : nullptr;
  return weight != nullptr && weight->dims().size() > 2 && weight->dims()[1] == 1 &&
         node.int_or("group", 1) == weight->dims()[0] &&
         (weight->dims()[0] > 1 || tracker.is_known_depthwise(id));
}

}  // namespace

std::optional<Effect> channelwise_effect(Tracker& tracker, NodeId id) {
  const Node& node = tracker.graph().node(id);
  if (node.inputs.empty() || node.inputs[0] == kNoValue || tracker.weight(node.inputs[0]) != nullptr)
    return std::nullopt;
  const bool pool = std::ranges::find(kPools, node.op_type) != kPools.end();
  const bool parameters = node.is("BatchNormalization") || node.is("InstanceNormalization");
  const bool depthwise = node.is("Conv") && is_depthwise(tracker, id);
  const bool resize = node.is("Resize"), pad = node.is("Pad");
  if (!pool && !parameters && !depthwise && !resize && !pad) return std::nullopt;
  if (!tracker.tracked(node.inputs[0])) {
    if (!depthwise && !node.is("BatchNormalization")) return std::nullopt;
    if (tracker.pin(node.inputs[0], 1) == nullptr) return std::nullopt;
  }
  const Tracked in = *tracker.tracked(node.inputs[0]);
  if (!resize && !pad && in.axis != 1) return std::nullopt;
  auto effect = each(tracker, id, in);
  if (!effect) return std::nullopt;
  if (parameters || depthwise) {
    if (node.is("BatchNormalization") && (node.int_or("training_mode", 0) != 0 || node.outputs.size() > 1))
      return std::nullopt;  // in training
    if (!take_parameters(tracker, node, in, effect->role)) return std::nullopt;
    effect->role.group_is_count = depthwise;
  }
  if (resize) {
    // The channels must not be resized: by as many entries as there are, or a scale of 1 (another one may
    // give as many entries too, and mixes them).
    const auto has = [&](size_t i) {
      return i < node.inputs.size() && node.inputs[i] != kNoValue &&
             !(tracker.weight(node.inputs[i]) != nullptr &&
               tracker.weight(node.inputs[i])->element_count() == 0);
    };
    if (has(1) || node.find("axes") != nullptr) return std::nullopt;
    if (has(3)) {
      if (tracker.weight(node.inputs[3]) == nullptr) return std::nullopt;
      effect->role.operands[3] = {Kind::kTarget, in.axis, in.unit};
    } else {
      const auto scales = has(2) && tracker.weight(node.inputs[2]) != nullptr
                              ? tracker.weight(node.inputs[2])->as_doubles()
                              : std::vector<double>{};
      if (in.axis >= scales.size() || scales[in.axis] != 1) return std::nullopt;
    }
  }
  if (pad) {
    // The pads of the channels must be known to be 0: the sizes agree, and one of them is not negative.
    const WeightPtr pads = node.inputs.size() > 1 ? tracker.weight(node.inputs[1]) : nullptr;
    if (pads == nullptr || (node.inputs.size() > 3 && node.inputs[3] != kNoValue)) return std::nullopt;
    const auto sizes = pads->as_int64s();
    const size_t rank = sizes.size() / 2;
    if (in.axis >= rank || sizes[in.axis] != 0 || sizes[in.axis + rank] != 0) return std::nullopt;
  }
  return effect;
}

}  // namespace mts::partial
