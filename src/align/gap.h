// Aligns what lies between two matches: a stretch of the profile with a stretch of a model's order.
//
// in:  both stretches, what is matched outside of them       out: pairs (index in each), increasing in both
//
// Needleman-Wunsch over pairs of equal form; gaps cost nothing. Stretches whose table would be too large are
// first cut at pairs that see the same surroundings.
#pragma once

#include "align/profile.h"

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace mts::alignment {

using Pairs = std::vector<std::pair<uint32_t, uint32_t>>;

// Cells of the largest table (one byte each).
inline constexpr size_t kMostCells = size_t{4} << 20;

// `sets`: in profile order. `nodes`: of the model, in its order. `set_of`: by node, what is matched already.
Pairs align_gap(const Profile& profile, std::span<const uint32_t> sets, const ModelFeatures& model,
                std::span<const uint32_t> nodes, const std::vector<uint32_t>& set_of,
                size_t most_cells = kMostCells);

}  // namespace mts::alignment
