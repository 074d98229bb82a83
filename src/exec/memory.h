// Arena placement by liveness.
//
// In: blocks with a size and the interval of steps [first, last] during which each is in use.
// Out: a byte offset for each, so that blocks whose intervals intersect never overlap, and the size of the
// arena. Best fit: blocks are placed one after another, each into the smallest gap that holds it between the
// blocks placed already whose intervals intersect its own. Several orders are tried (by size, start, length,
// area and by how crowded the arena is meanwhile), then the best one is changed step by step, until the arena
// is as small as it can be or a bound on the work is reached. Deterministic. O(n^2) an order. Preconditions:
// 0 <= first <= last. Never fails; blocks of size 0 get offset 0.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace mts::exec {

inline constexpr uint64_t kArenaAlignment = 64;  // a cache line, and the widest vector

struct Block {
  uint64_t bytes = 0;
  int32_t first = 0;  // the step that writes it
  int32_t last = 0;   // the last step that reads it (inclusive)
};

struct Placement {
  std::vector<uint64_t> offsets;  // one a block
  uint64_t arena_bytes = 0;
};
Placement place(std::span<const Block> blocks);

// The largest sum of the (aligned) sizes that are live at one step: no placement can be smaller.
uint64_t lower_bound(std::span<const Block> blocks);

}  // namespace mts::exec
