// The heaviest increasing subsequence: which matches can be kept so that both orders agree.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace mts::alignment {

struct Link {
  uint32_t position = 0;  // in the profile
  uint32_t item = 0;      // in the model's order; links come sorted by it
  int64_t weight = 0;     // positive
};

// Indices of links that strictly increase in position and item, of greatest total weight. O(n log n); among
// equals the earliest.
std::vector<uint32_t> heaviest_chain(std::span<const Link> links);

}  // namespace mts::alignment
