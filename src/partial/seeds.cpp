#include "partial/seeds.h"

#include <algorithm>
#include <map>
#include <unordered_map>

namespace mts::partial {
namespace {

// Cells of `a` that are remembered, and of `b` that are looked up.
constexpr size_t kRemembered = size_t{1} << 17, kLookedUp = size_t{1} << 22;
constexpr uint32_t kSeveral = 0xffffffffu;
// Pairs with fewer votes may be chance.
constexpr uint32_t kVotes = 2;

using Votes = std::map<std::pair<uint32_t, uint32_t>, uint32_t>;

// Pairs that have the most votes of both of theirs.
std::vector<std::pair<uint32_t, uint32_t>> winners(const Votes& votes) {
  std::map<uint32_t, std::pair<uint32_t, uint32_t>> best_of_a, best_of_b;  // votes, the other
  for (const auto& [pair, count] : votes) {
    auto& a = best_of_a[pair.first];
    auto& b = best_of_b[pair.second];
    if (count > a.first) a = {count, pair.second};
    if (count > b.first) b = {count, pair.first};
  }
  std::vector<std::pair<uint32_t, uint32_t>> result;
  for (const auto& [a, best] : best_of_a)
    if (best.first >= kVotes && best_of_b[best.second].second == a) result.emplace_back(a, best.second);
  return result;
}

// Every how many columns are looked at so that there are at most `most` cells.
uint32_t stride_of(const Matrix& matrix, size_t most) {
  return static_cast<uint32_t>(1 + matrix.rows() * matrix.columns() / most);
}

}  // namespace

Seeds find_seeds(const Matrix& a, const Matrix& b) {
  struct Cell {
    uint32_t row = 0, column = 0;
  };
  struct Hash {
    size_t operator()(const Digest& digest) const { return static_cast<size_t>(digest.low); }
  };
  std::unordered_map<Digest, Cell, Hash> cells;
  const auto visit = [](const Matrix& matrix, uint32_t stride, const auto& each) {
    for (uint32_t c = 0; c < matrix.columns(); c += stride)
      for (uint32_t r = 0; r < matrix.rows(); ++r) each(r, c, matrix.hash(r, std::span(&c, 1)));
  };
  visit(a, stride_of(a, kRemembered), [&](uint32_t r, uint32_t c, const Digest& digest) {
    const auto [it, added] = cells.try_emplace(digest, Cell{r, c});
    if (!added) it->second.row = kSeveral;
  });
  Votes rows, columns;
  visit(b, stride_of(b, kLookedUp), [&](uint32_t r, uint32_t c, const Digest& digest) {
    const auto found = cells.find(digest);
    if (found == cells.end() || found->second.row == kSeveral) return;
    ++rows[{found->second.row, r}];
    ++columns[{found->second.column, c}];
  });
  return {winners(rows), winners(columns)};
}

std::vector<std::pair<uint32_t, uint32_t>> column_seeds(
    const Matrix& a, const Matrix& b, const std::vector<std::pair<uint32_t, uint32_t>>& rows) {
  Votes votes;
  for (const auto& [row_a, row_b] : rows) {
    std::map<Digest, uint32_t> columns;
    for (uint32_t c = 0; c < a.columns(); ++c) {
      const auto [it, added] = columns.try_emplace(a.hash(row_a, std::span(&c, 1)), c);
      if (!added) it->second = kSeveral;
    }
    for (uint32_t c = 0; c < b.columns(); ++c) {
      const auto found = columns.find(b.hash(row_b, std::span(&c, 1)));
      if (found != columns.end() && found->second != kSeveral) ++votes[{found->second, c}];
    }
  }
  return winners(votes);
}

}  // namespace mts::partial
