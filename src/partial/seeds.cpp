#include "partial/seeds.h"

#include <algorithm>
#include <map>
#include <unordered_map>

namespace mts::partial {
namespace {

// Cells of `a` that are remembered.
constexpr size_t kRemembered = size_t{1} << 17;
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

}  // namespace

Seeds find_seeds(const Matrix& a, const Matrix& b) {
  struct Cell {
    uint32_t row = 0, column = 0;
  };
  // Of large matrices, only cells whose keys end in zeros: the same ones in both, wherever they stand.
  uint64_t sampled = 0;
  while (a.rows() * a.columns() / (sampled + 1) > kRemembered) sampled = 2 * sampled + 1;
  const auto visit = [&](const Matrix& matrix, const auto& each) {
    for (uint32_t r = 0; r < matrix.rows(); ++r)
      for (uint32_t c = 0; c < matrix.columns(); ++c)
        if (const uint64_t key = matrix.key(r, c); (key & sampled) == 0) each(r, c, key);
  };
  std::unordered_map<uint64_t, Cell> cells, seen;
  const auto remember = [&](std::unordered_map<uint64_t, Cell>& where) {
    return [&](uint32_t r, uint32_t c, uint64_t key) {
      const auto [it, added] = where.try_emplace(key, Cell{r, c});
      if (!added) it->second.row = kSeveral;
    };
  };
  visit(a, remember(cells));
  visit(b, [&, note = remember(seen)](uint32_t r, uint32_t c, uint64_t key) {
    if (cells.contains(key)) note(r, c, key);
  });
  Votes rows, columns;
  for (const auto& [key, mine] : seen) {
    const Cell& theirs = cells.at(key);
    if (mine.row == kSeveral || theirs.row == kSeveral) continue;
    ++rows[{theirs.row, mine.row}];
    ++columns[{theirs.column, mine.column}];
  }
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
