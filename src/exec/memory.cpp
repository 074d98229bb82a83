#include "exec/memory.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace mts::exec {
namespace {

uint64_t aligned(uint64_t bytes) { return (bytes + kArenaAlignment - 1) / kArenaAlignment * kArenaAlignment; }

bool intersect(const Block& a, const Block& b) { return a.first <= b.last && b.first <= a.last; }

// The bytes in use at each step.
std::vector<uint64_t> live_bytes(std::span<const Block> blocks) {
  int32_t steps = 0;
  for (const Block& block : blocks) steps = std::max(steps, block.last + 1);
  std::vector<uint64_t> live(static_cast<size_t>(steps), 0);  // first the changes, which may wrap around
  for (const Block& block : blocks) {
    live[static_cast<size_t>(block.first)] += aligned(block.bytes);
    if (block.last + 1 < steps) live[static_cast<size_t>(block.last) + 1] -= aligned(block.bytes);
  }
  std::partial_sum(live.begin(), live.end(), live.begin());
  return live;
}

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

// The smallest placement found so far, and the order that gave it.
class Search {
 public:
  explicit Search(std::span<const Block> blocks) : blocks_(blocks), bound_(lower_bound(blocks)) {}

  Placement best() { return std::move(best_); }

  // Largest first is near the bound mostly; the others are better for long chains of nearly equal sizes, and
  // where small blocks live long.
  void try_orders() {
    const std::vector<uint64_t> crowd = live_beside();
    const auto size = [&](size_t i) { return blocks_[i].bytes; };
    const auto steps = [&](size_t i) {
      return static_cast<uint64_t>(blocks_[i].last - blocks_[i].first) + 1;
    };
    const auto start = [&](size_t i) { return UINT64_MAX - static_cast<uint64_t>(blocks_[i].first); };
    try_order(size);
    try_order(start);
    try_order(steps);
    try_order([&](size_t i) { return size(i) * steps(i); });
    try_order([&](size_t i) { return std::pair(crowd[i], size(i)); });
  }

  // Moves what lies at the arena's end forward in the order, by as far as a fixed sequence of pseudo-random
  // numbers says, and keeps what is not worse: the same on every machine.
  void improve() {
    constexpr uint64_t kWork = 10'000'000;  // pairs of blocks looked at: about a hundredth of a second
    const uint64_t count = blocks_.size(), tries = std::min<uint64_t>(1000, kWork / (count * count + 1));
    std::vector<size_t> order = best_order_;
    uint64_t arena = best_.arena_bytes;
    std::vector<uint64_t> offsets = best_.offsets;
    uint32_t random = 1;
    for (uint64_t i = 0; i < tries && best_.arena_bytes > bound_; ++i) {
      std::vector<size_t> next = order;
      const auto last = std::find_if(next.begin(), next.end(), [&](size_t id) {
        return blocks_[id].bytes > 0 && offsets[id] + aligned(blocks_[id].bytes) == arena;
      });
      random = random * 1664525u + 1013904223u;  // Numerical Recipes' generator
      const auto before = static_cast<uint64_t>(last - next.begin());
      if (before == 0) return;  // first of all, and still at the end: it fills the arena alone
      std::rotate(next.begin() + static_cast<std::ptrdiff_t>((random >> 8) % before), last, last + 1);
      Placement placement = place_in_order(blocks_, next);
      if (placement.arena_bytes > arena) continue;
      arena = placement.arena_bytes;
      offsets = placement.offsets;
      order = next;
      keep(std::move(placement), std::move(next));
    }
  }

 private:
  // The most bytes that are in use at one step of each block's life.
  std::vector<uint64_t> live_beside() const {
    const std::vector<uint64_t> live = live_bytes(blocks_);
    std::vector<uint64_t> result;
    for (const Block& block : blocks_)
      result.push_back(*std::max_element(live.begin() + block.first, live.begin() + block.last + 1));
    return result;
  }

  // Larger keys first; blocks of equal keys as they come.
  template <class Key>
  void try_order(const Key& key) {
    if (!best_order_.empty() && best_.arena_bytes == bound_) return;
    std::vector<size_t> order(blocks_.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return key(a) > key(b); });
    Placement placement = place_in_order(blocks_, order);
    keep(std::move(placement), std::move(order));
  }

  void keep(Placement placement, std::vector<size_t> order) {
    if (!best_order_.empty() && placement.arena_bytes >= best_.arena_bytes) return;
    best_ = std::move(placement);
    best_order_ = std::move(order);
  }

  std::span<const Block> blocks_;
  uint64_t bound_;
  Placement best_;
  std::vector<size_t> best_order_;
};

}  // namespace

Placement place(std::span<const Block> blocks) {
  Search search(blocks);
  search.try_orders();
  search.improve();
  return search.best();
}

uint64_t lower_bound(std::span<const Block> blocks) {
  const std::vector<uint64_t> live = live_bytes(blocks);
  return live.empty() ? 0 : *std::max_element(live.begin(), live.end());
}

}  // namespace mts::exec
