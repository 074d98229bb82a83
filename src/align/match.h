// Which set each node of the next model should join, order aside.
//
// in:  the profile, a model's features      out: per node a set of equal form (each set at most once) or
// kNone
//
// Level by level from the inputs, the best pairs first: equal values, shared weights, operands whose
// producers were matched with each other, equal upstream cones. Linear in the size of the model: candidates
// come from hash indices.
#pragma once

#include "align/profile.h"

#include <cstdint>
#include <vector>

namespace mts::alignment {

struct Match {
  uint32_t set = kNone;
  int64_t score = 0;
};

// How well the node fits the set, of equal form. `set_of` tells which sets its producers are matched with
// (kNone: none).
int64_t score(const Profile& profile, uint32_t set, const ModelFeatures& model, uint32_t node,
              const std::vector<uint32_t>& set_of);

std::vector<Match> match_nodes(const Profile& profile, uint32_t model);

}  // namespace mts::alignment
