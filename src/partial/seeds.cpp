#include "partial/seeds.h"

#include <algorithm>
#include <bit>
#include <map>

namespace mts::partial {
namespace {

// Cells of `a` that are remembered.
constexpr size_t kRemembered = size_t{1} << 17;
constexpr uint32_t kSeveral = 0xffffffffu;
// Entries of a table that are fetched before they are needed.
constexpr uint32_t kAhead = 16;
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

struct Hit {
  uint64_t key;
  uint32_t row_a, column_a, row_b, column_b;
};

// Cells of b that a holds once. Those that b holds again and again (zeros) are kept twice at most.
class Hits {
 public:
  void add(const Hit& hit) {
    hits_.push_back(hit);
    if (hits_.size() >= limit_) {
      sort();
      limit_ = std::max(limit_, 2 * hits_.size());
    }
  }

  Seeds seeds() {
    sort();
    Votes rows, columns;
    for (size_t i = 0; i < hits_.size(); ++i) {
      const Hit& hit = hits_[i];
      const bool again =
          (i > 0 && hits_[i - 1].key == hit.key) || (i + 1 < hits_.size() && hits_[i + 1].key == hit.key);
      if (again) continue;
      ++rows[{hit.row_a, hit.row_b}];
      ++columns[{hit.column_a, hit.column_b}];
    }
    return {winners(rows), winners(columns)};
  }

 private:
  void sort() {
    std::ranges::stable_sort(hits_, {}, &Hit::key);
    size_t kept = 0;
    for (const Hit& hit : hits_)
      if (kept < 2 || hits_[kept - 2].key != hit.key) hits_[kept++] = hit;
    hits_.resize(kept);
  }

  std::vector<Hit> hits_;
  size_t limit_ = size_t{1} << 16;
};

// Calls `each(key, row, column)` for the cells whose keys are zero where the mask is not.
template <class Each>
void for_each_key(const Matrix& matrix, uint64_t mask, Each each) {
  std::vector<uint64_t> keys(matrix.columns());
  for (uint32_t r = 0; r < matrix.rows(); ++r) {
    matrix.keys(r, keys);
    for (uint32_t c = 0; c < keys.size(); ++c)
      if ((keys[c] & mask) == 0) each(keys[c], r, c);
  }
}

}  // namespace

CellSample sample_cells(const Matrix& matrix) {
  CellSample sample{.cells = {}, .mask = 0, .cell_bytes = matrix.cell_bytes()};
  while (matrix.rows() * matrix.columns() / (sample.mask + 1) > kRemembered)
    sample.mask = 2 * sample.mask + 1;
  for_each_key(matrix, sample.mask, [&](uint64_t key, uint32_t r, uint32_t c) {
    sample.cells.push_back({key, r, c});
  });
  return sample;
}

SeedTable::SeedTable(std::vector<CellSample> matrices) : matrices_(std::move(matrices)) {
  size_t count = 1;
  for (const CellSample& sample : matrices_) {
    count += sample.cells.size();
    mask_ &= sample.mask;
  }
  const auto bits = static_cast<int>(std::bit_width(count + count / 2));
  const int word_bits = std::max(bits - 2, 1);  // of the filter: at least 16 bits an entry
  entries_.resize(size_t{1} << bits);
  filter_.resize(size_t{1} << word_bits);
  entry_shift_ = 64 - bits;
  filter_shift_ = 64 - word_bits;
  for (uint32_t m = 0; m < matrices_.size(); ++m) {
    const std::vector<CellSample::Cell>& cells = matrices_[m].cells;
    for (uint32_t i = 0; i < cells.size(); ++i) {
      if (i + kAhead < cells.size()) __builtin_prefetch(&entries_[cells[i + kAhead].key >> entry_shift_], 1);
      insert(cells[i].key, i, m + 1);
    }
  }
}

void SeedTable::insert(uint64_t key, uint32_t cell, uint32_t matrix) {
  size_t i = key >> entry_shift_;
  for (; entries_[i].matrix != 0; i = (i + 1) & (entries_.size() - 1))
    if (entries_[i].key == key && entries_[i].matrix == matrix) {
      entries_[i].cell = kSeveral;
      return;
    }
  entries_[i] = {key, cell, matrix};
  filter_[key >> filter_shift_] |= filter_bits(key);
}

std::vector<Seeds> SeedTable::compare(const Matrix& b, const std::vector<bool>& wanted) const {
  std::vector<Hits> hits(matrices_.size());
  std::vector<uint64_t> keys(b.columns());
  for (uint32_t r = 0; r < b.rows(); ++r) {
    b.keys(r, keys);
    for (const uint64_t key : keys) __builtin_prefetch(&filter_[key >> filter_shift_]);
    for (uint32_t c = 0; c < keys.size(); ++c) {
      const uint64_t key = keys[c];
      if ((key & mask_) != 0 || !may_contain(key)) continue;
      for (size_t i = key >> entry_shift_; entries_[i].matrix != 0; i = (i + 1) & (entries_.size() - 1)) {
        const Entry& entry = entries_[i];
        const size_t m = entry.matrix - 1;
        if (entry.key != key || entry.cell == kSeveral || !wanted[m]) continue;
        if (matrices_[m].cell_bytes != b.cell_bytes()) continue;
        const CellSample::Cell& cell = matrices_[m].cells[entry.cell];
        hits[m].add({key, cell.row, cell.column, r, c});
      }
    }
  }
  std::vector<Seeds> result;
  for (Hits& found : hits) result.push_back(found.seeds());
  return result;
}

Seeds find_seeds(const Matrix& a, const Matrix& b) {
  return SeedTable({sample_cells(a)}).compare(b, {true}).front();
}

const ColumnSeeds::Row& ColumnSeeds::row(uint32_t index) {
  const auto [it, added] = rows_.try_emplace(index);
  Row& row = it->second;
  if (!added) return row;
  std::vector<uint64_t> keys(a_.columns());
  a_.keys(index, keys);
  for (uint32_t c = 0; c < keys.size(); ++c) row.columns.emplace_back(keys[c], c);
  std::ranges::sort(row.columns);
  size_t kept = 0;
  for (const auto& [key, column] : row.columns) {
    if (kept > 0 && row.columns[kept - 1].first == key) {
      row.columns[kept - 1].second = kSeveral;
    } else {
      row.columns[kept++] = {key, column};
    }
  }
  row.columns.resize(kept);
  const auto bits = static_cast<int>(std::bit_width(16 * kept + 1));
  row.filter.resize(size_t{1} << bits);
  row.shift = 64 - bits;
  for (const auto& [key, column] : row.columns) row.filter[key >> row.shift] = true;
  return row;
}

std::vector<std::pair<uint32_t, uint32_t>> ColumnSeeds::compare(
    const Matrix& b, const std::vector<std::pair<uint32_t, uint32_t>>& rows) {
  Votes votes;
  std::vector<uint64_t> keys(b.columns());
  for (const auto& [row_a, row_b] : rows) {
    const Row& mine = row(row_a);
    b.keys(row_b, keys);
    for (uint32_t c = 0; c < keys.size(); ++c) {
      if (!mine.filter[keys[c] >> mine.shift]) continue;
      const auto found =
          std::ranges::lower_bound(mine.columns, keys[c], {}, &std::pair<uint64_t, uint32_t>::first);
      if (found != mine.columns.end() && found->first == keys[c] && found->second != kSeveral)
        ++votes[{found->second, c}];
    }
  }
  return winners(votes);
}

}  // namespace mts::partial
