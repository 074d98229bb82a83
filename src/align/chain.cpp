#include "align/chain.h"

#include <algorithm>

namespace mts::alignment {
namespace {

constexpr uint32_t kNoLink = 0xffffffffU;

// The heaviest chain that ends before a position (a Fenwick tree of prefix maxima).
class BestBefore {
 public:
  struct Entry {
    int64_t weight = 0;
    uint32_t link = kNoLink;
  };
  explicit BestBefore(size_t size) : tree_(size + 1) {}
  Entry query(size_t position) const {
    Entry best;
    for (size_t i = position; i > 0; i &= i - 1)
      if (tree_[i].weight > best.weight) best = tree_[i];
    return best;
  }
  void update(size_t position, Entry entry) {
    for (size_t i = position + 1; i < tree_.size(); i += i & (~i + 1))
      if (entry.weight > tree_[i].weight) tree_[i] = entry;
  }

 private:
  std::vector<Entry> tree_;
};

}  // namespace

std::vector<uint32_t> heaviest_chain(std::span<const Link> links) {
  std::vector<uint32_t> positions;
  for (const Link& link : links) positions.push_back(link.position);
  std::ranges::sort(positions);
  positions.erase(std::unique(positions.begin(), positions.end()), positions.end());

  BestBefore tree(positions.size());
  std::vector<uint32_t> previous(links.size(), kNoLink);
  std::vector<std::pair<size_t, BestBefore::Entry>> pending;
  for (size_t begin = 0, end = 0; begin < links.size(); begin = end) {
    // Links of one item exclude each other, so none sees another.
    pending.clear();
    for (; end < links.size() && links[end].item == links[begin].item; ++end) {
      const auto rank =
          static_cast<size_t>(std::ranges::lower_bound(positions, links[end].position) - positions.begin());
      const BestBefore::Entry before = tree.query(rank);
      previous[end] = before.link;
      pending.push_back({rank, {before.weight + links[end].weight, static_cast<uint32_t>(end)}});
    }
    for (const auto& [rank, entry] : pending) tree.update(rank, entry);
  }
  std::vector<uint32_t> chain;
  for (uint32_t link = tree.query(positions.size()).link; link != kNoLink; link = previous[link])
    chain.push_back(link);
  std::ranges::reverse(chain);
  return chain;
}

}  // namespace mts::alignment
