// Reshape and Flatten: channels keep their place in memory, so they are found again in the new dimensions
// when one of these has the same end and holds whole channels.
#include "partial/track.h"

#include <numeric>

namespace mts::partial {
namespace {

using Kind = OperandRole::Kind;

// Elements behind one entry of `axis`; nullopt when they are not known.
std::optional<int64_t> stride_of(const Type& type, size_t axis) {
  int64_t stride = 1;
  for (size_t k = axis + 1; k < type.rank(); ++k) {
    if (!(*type.shape)[k].is_known()) return std::nullopt;
    stride *= (*type.shape)[k].value;
  }
  return stride;
}

struct Place {
  size_t axis;
  int64_t unit;     // of the output
  int64_t in_unit;  // that a channel of the input must have
};

// Where a channel axis of `size` elements in units of `unit` is in the output; `known`: the axis, if others
// say so.
std::optional<Place> place_of(const Type& in, const Type& out, size_t axis, int64_t unit, int64_t size,
                              std::optional<size_t> known) {
  if (const auto stride = stride_of(in, axis); stride && *stride > 0) {
    const int64_t total = size * *stride;
    for (size_t j = out.rank(); j-- > 0;) {
      const auto behind = stride_of(out, j);
      if (!behind) break;
      const Dim& dim = (*out.shape)[j];
      if (!dim.is_known() || *behind <= 0 || dim.value * *behind != total) continue;
      if (known ? *known != j : dim.value == 1 && size > 1) continue;
      if ((unit * *stride) % *behind == 0) return Place{j, unit * *stride / *behind, unit};
      if (*behind % *stride == 0) {
        const int64_t coarse = std::lcm(unit, *behind / *stride);
        return Place{j, coarse * *stride / *behind, coarse};
      }
    }
  }
  // Behind the channels something is unknown: what stands before them must be unchanged.
  if (out.rank() <= axis) return std::nullopt;
  for (size_t k = 0; k < axis; ++k)
    if (!(*in.shape)[k].same_as((*out.shape)[k])) return std::nullopt;
  if ((*out.shape)[axis].value != size) return std::nullopt;
  return Place{axis, unit, unit};
}

}  // namespace

std::optional<Effect> reshape_effect(Tracker& tracker, NodeId id) {
  const Node& node = tracker.graph().node(id);
  const bool flatten = node.is("Flatten");
  if ((!flatten && !node.is("Reshape")) || !tracker.tracked(node.inputs[0])) return std::nullopt;
  const Tracked in = *tracker.tracked(node.inputs[0]);
  const Type& type = tracker.type(node.inputs[0]);
  const Type& out = tracker.type(node.outputs[0]);
  if (!type.has_rank() || !out.has_rank()) return std::nullopt;
  const int64_t size = in.unit * static_cast<int64_t>(in.channels.size());
  const auto place = place_of(type, out, in.axis, in.unit, size, tracker.known_axis(id));
  if (!place) return std::nullopt;
  if (place->in_unit != in.unit) {
    tracker.coarsen(in, place->in_unit);
    return std::nullopt;
  }
  Effect effect;
  effect.role.kind = NodeRole::Kind::kEach;
  effect.role.operands.resize(node.inputs.size());
  effect.role.operands[0].kind = Kind::kChannels;
  if (!flatten) {
    const WeightPtr target = tracker.weight(node.inputs[1]);
    if (target == nullptr || node.int_or("allowzero", 0) != 0) return std::nullopt;
    const auto entries = target->as_int64s();
    if (entries.size() != out.rank()) return std::nullopt;
    // An entry 0 copies the input's dimension of the same index: the channels' for theirs, and for no other.
    if (in.axis != place->axis &&
        (entries[place->axis] == 0 || (in.axis < entries.size() && entries[in.axis] == 0)))
      return std::nullopt;
    effect.role.operands[1] = {Kind::kTarget, place->axis, place->unit};
  }
  effect.out = Tracked{place->axis, place->unit, in.channels, false};
  return effect;
}

}  // namespace mts::partial
