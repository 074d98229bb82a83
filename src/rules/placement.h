// How one value of the fused graph stands for the values of M members (models, or classes of models).
//
// A member value has shape s[0..r). The model axis sits at position `axis` of the memory order and is
//   stacked      an axis of its own:            [s0, .., M, s_axis, ..]      rank r+1, axis in 0..r
//   concat       merged with the axis after it: [s0, .., sum s_axis, ..]     rank r, axis in 0..r-1 (sizes
//   may differ: ragged) interleaved  merged with the axis before:   [s0, .., s_(axis-1)*M, ..]   rank r, axis
//   in 1..r (the model varies fastest)
// Placements of one axis position have one memory order when the members' sizes are equal: a Reshape turns
// one into another. For a CNN, concat(0) is ragged, interleaved(1) is batch-folded and concat(1) is
// feature-folded.
#pragma once

#include <mts/graph.h>

#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace mts {

enum class Fold : uint8_t { kConcat, kStacked, kInterleaved };

struct Placement {
  int32_t axis = 0;
  Fold fold = Fold::kConcat;
  auto operator<=>(const Placement&) const = default;

  // The axis of the member's shape that the model axis is merged with; -1 when stacked.
  int32_t merged_axis() const {
    return fold == Fold::kStacked ? -1 : fold == Fold::kConcat ? axis : axis - 1;
  }
};
std::string to_string(const Placement& placement);  // "concat(0)"

// A size of the fused graph: factor * symbol, or just factor when the symbol is empty.
struct Extent {
  int64_t factor = 1;
  std::string symbol;
  bool is_known() const { return symbol.empty(); }
  bool operator==(const Extent&) const = default;
};
using Extents = std::vector<Extent>;

Extents extents_of(const Type& type);  // unknown dimensions get symbols that equal no other
// All members have one dtype and one rank, and equal sizes on every axis that the placement needs equal.
bool placeable(std::span<const Type> members, Placement placement);
// Requires placeable().
Extents fused_extents(std::span<const Type> members, Placement placement);
Type type_of(DType dtype, const Extents& extents);
Type fused_type(std::span<const Type> members, Placement placement);

// Whether a Reshape from one to the other can be written down: all sizes of `to` but one are numbers, or
// sizes of `from` times or divided by a number.
bool can_reshape(const Extents& from, const Extents& to);
// prod(extents[0..count)) of both are provably equal.
bool same_prefix(const Extents& a, size_t a_count, const Extents& b, size_t b_count);

// How far apart two placements of the same members are.
enum class Distance { kSame, kReshape, kTranspose };
Distance distance(std::span<const Type> members, Placement from, Placement to);

}  // namespace mts
