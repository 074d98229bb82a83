#include "partial/seeds.h"

#include "base/parallel.h"
#include "partial/cells.h"

#include <algorithm>
#include <bit>
#include <iterator>
#include <span>
#include <unordered_map>
#include <utility>

namespace mts::partial {
namespace {

constexpr uint32_t kSeveral = 0xffffffffu;
// Entries of a table that are fetched before they are needed.
constexpr uint32_t kAhead = 16;
// Matrices whose cells are held at a time, beside the first ones.
constexpr size_t kAtOnce = 16;
// Pairs with fewer votes may be chance.
constexpr uint32_t kVotes = 2;

// Pairs (a, b) that something speaks for, once a vote.
class Votes {
 public:
  void add(uint32_t a, uint32_t b) { votes_.push_back(uint64_t{a} << 32 | b); }
  // Pairs that have the most votes of both of theirs, the first of those with as many; by a.
  std::vector<std::pair<uint32_t, uint32_t>> winners();

 private:
  std::vector<uint64_t> votes_;
};

std::vector<std::pair<uint32_t, uint32_t>> Votes::winners() {
  struct Best {
    uint32_t votes = 0, other = 0;
  };
  std::ranges::sort(votes_);
  std::vector<std::pair<uint32_t, Best>> best_of_a;  // ascending in a
  std::unordered_map<uint32_t, Best> best_of_b;
  for (size_t i = 0; i < votes_.size();) {
    const size_t first = i;
    while (i < votes_.size() && votes_[i] == votes_[first]) ++i;
    const auto count = static_cast<uint32_t>(i - first);
    const auto a = static_cast<uint32_t>(votes_[first] >> 32), b = static_cast<uint32_t>(votes_[first]);
    if (best_of_a.empty() || best_of_a.back().first != a) best_of_a.push_back({a, {}});
    if (Best& best = best_of_a.back().second; count > best.votes) best = {count, b};
    if (Best& best = best_of_b[b]; count > best.votes) best = {count, a};
  }
  std::vector<std::pair<uint32_t, uint32_t>> result;
  for (const auto& [a, best] : best_of_a)
    if (best.votes >= kVotes && best_of_b[best.other].other == a) result.emplace_back(a, best.other);
  return result;
}

// The cells of several matrices. Those that a matrix holds more than once are no seeds.
class SeedTable {
 public:
  explicit SeedTable(std::vector<CellSample> matrices);
  // The pairs of each matrix and `b`, whose cells are all different; none for matrices that are not `wanted`,
  // or with cells of another size. Thread-safe.
  std::vector<Seeds> compare(const CellSample& b, const std::vector<bool>& wanted) const;

 private:
  struct Entry {
    uint64_t key = 0;
    uint32_t cell = 0;    // of the matrix's sample; kSeveral when it holds the key more than once
    uint32_t matrix = 0;  // from 1; 0: free
  };
  void insert(uint64_t key, uint32_t cell, uint32_t matrix);

  std::vector<CellSample> matrices_;
  std::vector<Entry> entries_;  // open addressing by the first bits of a key; as many as a power of two
  int shift_ = 0;
};

SeedTable::SeedTable(std::vector<CellSample> matrices) : matrices_(std::move(matrices)) {
  size_t count = 1;
  for (const CellSample& sample : matrices_) count += sample.cells.size();
  const auto bits = static_cast<int>(std::bit_width(count + count / 2));
  entries_.resize(size_t{1} << bits);
  shift_ = 64 - bits;
  for (uint32_t m = 0; m < matrices_.size(); ++m) {
    const std::vector<Cell>& cells = matrices_[m].cells;
    for (uint32_t i = 0; i < cells.size(); ++i) {
      if (i + kAhead < cells.size()) __builtin_prefetch(&entries_[cells[i + kAhead].key >> shift_], 1);
      insert(cells[i].key, i, m + 1);
    }
  }
}

void SeedTable::insert(uint64_t key, uint32_t cell, uint32_t matrix) {
  size_t i = key >> shift_;
  for (; entries_[i].matrix != 0; i = (i + 1) & (entries_.size() - 1))
    if (entries_[i].key == key && entries_[i].matrix == matrix) {
      entries_[i].cell = kSeveral;
      return;
    }
  entries_[i] = {key, cell, matrix};
}

std::vector<Seeds> SeedTable::compare(const CellSample& b, const std::vector<bool>& wanted) const {
  std::vector<Votes> rows(matrices_.size()), columns(matrices_.size());
  for (const Cell& cell : b.cells)
    for (size_t i = cell.key >> shift_; entries_[i].matrix != 0; i = (i + 1) & (entries_.size() - 1)) {
      const Entry& entry = entries_[i];
      const size_t m = entry.matrix - 1;
      if (entry.key != cell.key || entry.cell == kSeveral || !wanted[m]) continue;
      if (matrices_[m].cell_bytes != b.cell_bytes) continue;
      const Cell& other = matrices_[m].cells[entry.cell];
      rows[m].add(other.row, cell.row);
      columns[m].add(other.column, cell.column);
    }
  std::vector<Seeds> result;
  for (size_t m = 0; m < matrices_.size(); ++m) result.push_back({rows[m].winners(), columns[m].winners()});
  return result;
}

// The seeds of `samples` and cells that they may hold, matrix by matrix. Of the samples only those that are
// asked for are put into a table.
void look_up(const std::vector<CellSample>& samples, const std::vector<CellSample>& common,
             std::span<const std::vector<bool>> wanted, size_t threads,
             std::span<std::vector<Seeds>> result) {
  size_t cells = 0;
  for (const CellSample& one : common) cells += one.cells.size();
  if (cells == 0) return;
  CellFilter asked(cells);
  for (const CellSample& one : common)
    for (const Cell& cell : one.cells) asked.add(cell.key);
  std::vector<CellSample> held;
  for (const CellSample& sample : samples) {
    CellSample& kept = held.emplace_back(CellSample{{}, sample.mask, sample.cell_bytes});
    std::ranges::copy_if(sample.cells, std::back_inserter(kept.cells),
                         [&](const Cell& cell) { return asked.may_contain(cell.key); });
  }
  const SeedTable table(std::move(held));
  for_each_parallel(common.size(), threads, [&](size_t k) {
    if (!common[k].cells.empty()) result[k] = table.compare(common[k], wanted[k]);
  });
}

}  // namespace

std::vector<std::vector<Seeds>> compare_matrices(size_t count, const MatrixAt& matrix,
                                                 const std::vector<std::vector<bool>>& wanted,
                                                 size_t threads) {
  std::vector<std::vector<Seeds>> result(count);
  if (count < 2) return result;
  const size_t first = std::min(count - 1, kMostCompared);
  for (std::vector<Seeds>& seeds : result) seeds.resize(first);
  const auto is_compared = [&](size_t k) { return std::ranges::find(wanted[k], true) != wanted[k].end(); };
  std::vector<CellSample> samples(first);
  for_each_parallel(first, threads, [&](size_t k) { samples[k] = sample_cells(*matrix(k)); });
  uint64_t mask = ~uint64_t{0};  // what is left out of all of them is left out of what they are compared with
  size_t cells = 0;
  for (const CellSample& sample : samples) {
    mask &= sample.mask;
    cells += sample.cells.size();
  }

  CellFilter before(cells);
  std::vector<CellSample> common(first);  // cells that a matrix before may hold
  for (size_t k = 0; k < first; ++k) {
    if (is_compared(k))
      common[k] =
          samples[k].mask == mask ? before.common_cells(samples[k]) : before.common_cells(*matrix(k), mask);
    for (const Cell& cell : samples[k].cells) before.add(cell.key);
  }
  look_up(samples, common, std::span(wanted).first(first), threads, std::span(result).first(first));
  for (size_t begin = first; begin < count; begin += common.size()) {
    common.assign(std::min(kAtOnce, count - begin), {});
    for_each_parallel(common.size(), threads, [&](size_t i) {
      if (is_compared(begin + i)) common[i] = before.common_cells(*matrix(begin + i), mask);
    });
    look_up(samples, common, std::span(wanted).subspan(begin, common.size()), threads,
            std::span(result).subspan(begin, common.size()));
  }
  return result;
}

Seeds find_seeds(const Matrix& a, const Matrix& b) {
  const auto matrix = [&](size_t k) {
    return std::shared_ptr<const Matrix>(std::shared_ptr<const Matrix>(), k == 0 ? &a : &b);
  };
  return compare_matrices(2, matrix, {{false}, {true}}, 1)[1][0];
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
        votes.add(found->second, c);
    }
  }
  return votes.winners();
}

}  // namespace mts::partial
