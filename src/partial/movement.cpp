// Operators that move axes or entries of other axes about: Transpose, Squeeze, Concat, Slice, Gather, ...;
// and reductions over, and products with, other axes.
#include "partial/track.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace mts::partial {
namespace {

using Kind = OperandRole::Kind;

constexpr std::array<std::string_view, 10> kReductions = {
    "ReduceL1",   "ReduceL2",  "ReduceLogSum", "ReduceLogSumExp", "ReduceMax",
    "ReduceMean", "ReduceMin", "ReduceProd",   "ReduceSum",       "ReduceSumSquare"};

std::optional<size_t> normalise(int64_t axis, size_t rank) {
  const int64_t positive = axis < 0 ? axis + static_cast<int64_t>(rank) : axis;
  if (positive < 0 || positive >= static_cast<int64_t>(rank)) return std::nullopt;
  return static_cast<size_t>(positive);
}

// The axes that operand 1 (or the attribute of older opsets) names; nullopt when they are not constant.
std::optional<std::vector<size_t>> axes_of(Tracker& tracker, const Node& node, size_t operand, size_t rank) {
  std::vector<int64_t> axes;
  if (operand < node.inputs.size() && node.inputs[operand] != kNoValue) {
    const WeightPtr weight = tracker.weight(node.inputs[operand]);
    if (weight == nullptr) return std::nullopt;
    axes = weight->as_int64s();
  } else if (node.find("axes") != nullptr) {
    axes = node.ints_or("axes", {});
  } else {
    return std::nullopt;
  }
  std::vector<size_t> result;
  for (const int64_t axis : axes) {
    const auto positive = normalise(axis, rank);
    if (!positive) return std::nullopt;
    result.push_back(*positive);
  }
  std::ranges::sort(result);
  return result;
}

// The node on the channels of operand 0, which lie along `axis` of the output.
std::optional<Effect> moved(Tracker& tracker, const Node& node, const Tracked& in, size_t axis) {
  if (tracker.dim(node.outputs[0], axis) != in.unit * static_cast<int64_t>(in.channels.size()))
    return std::nullopt;
  Effect effect;
  effect.role.kind = NodeRole::Kind::kEach;
  effect.role.operands.resize(node.inputs.size());
  effect.role.operands[0].kind = Kind::kChannels;
  effect.out = Tracked{axis, in.unit, in.channels, false};
  return effect;
}

std::optional<Effect> concat(Tracker& tracker, const Node& node) {
  const Type& out = tracker.type(node.outputs[0]);
  if (!out.has_rank()) return std::nullopt;
  const auto axis = normalise(node.int_or("axis", 0), out.rank());
  if (!axis) return std::nullopt;
  const auto first =
      std::ranges::find_if(node.inputs, [&](ValueId id) { return tracker.tracked(id).has_value(); });
  if (first == node.inputs.end()) return std::nullopt;
  const Tracked model = *tracker.tracked(*first);
  Effect effect;
  effect.role.operands.resize(node.inputs.size());
  effect.role.kind = model.axis == *axis ? NodeRole::Kind::kJoin : NodeRole::Kind::kEach;
  effect.out = Tracked{model.axis, model.unit, {}, false};
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const ValueId input = node.inputs[i];
    if (tracker.weight(input) != nullptr) {
      // A class token: one entry of another axis, with its own element a channel.
      if (model.axis == *axis ||
          tracker.dim(input, model.axis) != model.unit * static_cast<int64_t>(model.channels.size()))
        return std::nullopt;
      effect.role.operands[i] = {Kind::kParameter, model.axis, model.unit};
      continue;
    }
    if (tracker.dim(input, model.axis) < 0) return std::nullopt;
    const Tracked* known = tracker.pin(input, model.axis);
    if (known == nullptr || known->axis != model.axis) return std::nullopt;
    const Tracked tracked = *known;
    effect.role.operands[i].kind = Kind::kChannels;
    if (model.axis != *axis) {
      if (!tracker.tie(model, tracked)) return std::nullopt;
      continue;
    }
    if (tracked.unit != model.unit) {
      const int64_t unit = std::max(tracked.unit, model.unit);
      tracker.coarsen(tracked, unit);
      tracker.coarsen(model, unit);
      return std::nullopt;
    }
    effect.out->channels.insert(effect.out->channels.end(), tracked.channels.begin(), tracked.channels.end());
  }
  if (model.axis != *axis) effect.out->channels = model.channels;
  return effect;
}

// Products of two computed values: attention heads are a batch axis, the rows and columns stay.
std::optional<Effect> product(Tracker& tracker, const Node& node) {
  const Type& out = tracker.type(node.outputs[0]);
  if (!out.has_rank() || out.rank() < 3) return std::nullopt;
  const size_t rank = out.rank();
  Effect effect;
  effect.role.kind = NodeRole::Kind::kEach;
  effect.role.operands.resize(2);
  std::optional<Tracked> channels;
  for (size_t i = 0; i < 2; ++i) {
    const ValueId input = node.inputs[i];
    const Type& type = tracker.type(input);
    if (!type.has_rank() || type.rank() < 2) return std::nullopt;  // a vector's axes stand elsewhere
    if (!tracker.tracked(input)) continue;
    Tracked tracked = *tracker.tracked(input);
    const size_t at = tracked.axis + rank - type.rank();
    if (at == (i == 0 ? rank - 1 : rank - 2)) return std::nullopt;  // summed over
    if (channels && (channels->axis != at || at >= rank - 2 || !tracker.tie(*channels, tracked)))
      return std::nullopt;
    tracked.axis = at;
    tracked.pinned = false;
    channels = tracked;
    effect.role.operands[i].kind = Kind::kChannels;
  }
  if (!channels) return std::nullopt;
  for (size_t i = 0; i < 2; ++i) {
    if (effect.role.operands[i].kind == Kind::kChannels || channels->axis >= rank - 2) continue;
    // The other operand has no channels: it must be the same for all of them.
    const size_t missing = rank - tracker.type(node.inputs[i]).rank();
    if (channels->axis >= missing && tracker.dim(node.inputs[i], channels->axis - missing) != 1)
      return std::nullopt;
  }
  if (tracker.dim(node.outputs[0], channels->axis) !=
      channels->unit * static_cast<int64_t>(channels->channels.size()))
    return std::nullopt;
  effect.out = *channels;
  return effect;
}

}  // namespace

std::optional<Effect> movement_effect(Tracker& tracker, NodeId id) {
  const Node& node = tracker.graph().node(id);
  if (node.is("Concat")) return concat(tracker, node);
  if (node.is("MatMul") && node.inputs.size() == 2) return product(tracker, node);
  if (node.inputs.empty() || !tracker.tracked(node.inputs[0])) return std::nullopt;
  const Tracked in = *tracker.tracked(node.inputs[0]);
  const Type& type = tracker.type(node.inputs[0]);
  const Type& out = tracker.type(node.outputs[0]);
  if (!type.has_rank() || !out.has_rank()) return std::nullopt;
  const size_t rank = type.rank();

  if (node.is("Transpose")) {
    const auto perm = node.ints_or("perm", {});
    const auto at = std::ranges::find(perm, static_cast<int64_t>(in.axis));
    if (at == perm.end()) return std::nullopt;
    return moved(tracker, node, in, static_cast<size_t>(at - perm.begin()));
  }
  if (node.is("Squeeze")) {
    const auto axes = axes_of(tracker, node, 1, rank);
    if (!axes || std::ranges::binary_search(*axes, in.axis)) return std::nullopt;
    return moved(tracker, node, in,
                 in.axis - static_cast<size_t>(std::ranges::lower_bound(*axes, in.axis) - axes->begin()));
  }
  if (node.is("Unsqueeze")) {
    const auto axes = axes_of(tracker, node, 1, out.rank());
    if (!axes) return std::nullopt;
    size_t at = in.axis;
    for (const size_t axis : *axes) at += axis <= at ? 1 : 0;
    return moved(tracker, node, in, at);
  }
  if (node.is("Slice")) {
    const auto axes = axes_of(tracker, node, 3, rank);
    if (!axes || std::ranges::binary_search(*axes, in.axis)) return std::nullopt;
    return moved(tracker, node, in, in.axis);
  }
  if (node.is("Gather")) {
    const auto axis = normalise(node.int_or("axis", 0), rank);
    if (!axis || *axis == in.axis || !tracker.type(node.inputs[1]).has_rank() ||
        tracker.tracked(node.inputs[1]))
      return std::nullopt;
    const size_t added = tracker.type(node.inputs[1]).rank();
    return moved(tracker, node, in, *axis < in.axis ? in.axis + added - 1 : in.axis);
  }
  if (std::ranges::find(kReductions, node.op_type) != kReductions.end()) {
    const auto axes = axes_of(tracker, node, 1, rank);
    if (!axes || axes->empty()) return std::nullopt;
    const bool keep = node.int_or("keepdims", 1) != 0;
    if (std::ranges::binary_search(*axes, in.axis)) return std::nullopt;
    const auto before = static_cast<size_t>(std::ranges::lower_bound(*axes, in.axis) - axes->begin());
    return moved(tracker, node, in, keep ? in.axis : in.axis - before);
  }
  return std::nullopt;
}

}  // namespace mts::partial
