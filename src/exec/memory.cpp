#include "exec/memory.h"

#include <algorithm>
#include <numeric>

namespace mts::exec {
namespace {

uint64_t aligned(uint64_t bytes) { return (bytes + kArenaAlignment - 1) / kArenaAlignment * kArenaAlignment; }

bool intersect(const Block& a, const Block& b) { return a.first <= b.last && b.first <= a.last; }

// Places the blocks in the order given.
Placement place_in_order(std::span<const Block> blocks, const std::vector<size_t>& order) {
  Placement result;
  result.offsets.assign(blocks.size(), 0);
  std::vector<size_t> placed;  // sorted by offset
  for (size_t id : order) {
    const uint64_t need = aligned(blocks[id].bytes);
    if (need == 0) continue;
    uint64_t best_offset = 0, best_gap = UINT64_MAX, end = 0;
    bool found = false;
    for (size_t other : placed) {
      if (!intersect(blocks[id], blocks[other])) continue;
      const uint64_t start = result.offsets[other];
      if (start > end && start - end >= need && start - end < best_gap) {
        best_gap = start - end;
        best_offset = end;
        found = true;
      }
      end = std::max(end, start + aligned(blocks[other].bytes));
    }
    result.offsets[id] = found ? best_offset : end;
    result.arena_bytes = std::max(result.arena_bytes, result.offsets[id] + need);
    const auto position = std::upper_bound(placed.begin(), placed.end(), id, [&](size_t a, size_t b) {
      return result.offsets[a] < result.offsets[b];
    });
    placed.insert(position, id);
  }
  return result;
}

}  // namespace

Placement place(std::span<const Block> blocks) {
  std::vector<size_t> by_size(blocks.size());
  std::iota(by_size.begin(), by_size.end(), size_t{0});
  std::vector<size_t> by_start = by_size, by_length = by_size;
  std::stable_sort(by_size.begin(), by_size.end(),
                   [&](size_t a, size_t b) { return blocks[a].bytes > blocks[b].bytes; });
  Placement best = place_in_order(blocks, by_size);
  const uint64_t bound = lower_bound(blocks);
  // Greedy by size is poor on long chains of nearly equal sizes; two other orders are cheap to try.
  if (best.arena_bytes > bound) {
    std::stable_sort(by_start.begin(), by_start.end(),
                     [&](size_t a, size_t b) { return blocks[a].first < blocks[b].first; });
    std::stable_sort(by_length.begin(), by_length.end(), [&](size_t a, size_t b) {
      return blocks[a].last - blocks[a].first > blocks[b].last - blocks[b].first;
    });
    for (const std::vector<size_t>* order : {&by_start, &by_length}) {
      Placement other = place_in_order(blocks, *order);
      if (other.arena_bytes < best.arena_bytes) best = std::move(other);
    }
  }
  return best;
}

uint64_t lower_bound(std::span<const Block> blocks) {
  int32_t steps = 0;
  for (const Block& block : blocks) steps = std::max(steps, block.last + 1);
  std::vector<int64_t> change(static_cast<size_t>(steps) + 1, 0);
  for (const Block& block : blocks) {
    change[static_cast<size_t>(block.first)] += static_cast<int64_t>(aligned(block.bytes));
    change[static_cast<size_t>(block.last) + 1] -= static_cast<int64_t>(aligned(block.bytes));
  }
  int64_t live = 0, peak = 0;
  for (int64_t delta : change) peak = std::max(peak, live += delta);
  return static_cast<uint64_t>(peak);
}

}  // namespace mts::exec
