#include "partial/cells.h"

#include <algorithm>
#include <bit>

namespace mts::partial {
namespace {

// Cells of a matrix that are remembered, about.
constexpr size_t kRemembered = size_t{1} << 17;
// Words of a filter that are fetched before they are needed.
constexpr size_t kAhead = 16;

// Calls `each(cell)` for the cells whose keys are zero where the mask is not.
template <class Each>
void for_each_cell(const Matrix& matrix, uint64_t mask, Each each) {
  std::vector<uint64_t> keys(matrix.columns());
  for (uint32_t r = 0; r < matrix.rows(); ++r) {
    matrix.keys(r, keys);
    for (uint32_t c = 0; c < keys.size(); ++c)
      if ((keys[c] & mask) == 0) each(Cell{keys[c], r, c});
  }
}

// Cells of which only those are taken whose keys are unlike all others. Those that come again and again are
// held twice at most.
class UniqueCells {
 public:
  void add(const Cell& cell) {
    cells_.push_back(cell);
    if (cells_.size() < limit_) return;
    sort();
    size_t kept = 0;
    for (const Cell& one : cells_)
      if (kept < 2 || cells_[kept - 2].key != one.key) cells_[kept++] = one;
    cells_.resize(kept);
    limit_ = std::max(limit_, 2 * kept);
  }
  std::vector<Cell> take() {
    sort();
    size_t kept = 0;
    for (size_t i = 0, end = 0; i < cells_.size(); i = end) {
      for (end = i + 1; end < cells_.size() && cells_[end].key == cells_[i].key;) ++end;
      if (end == i + 1) cells_[kept++] = cells_[i];
    }
    cells_.resize(kept);
    return std::move(cells_);
  }

 private:
  void sort() { std::ranges::sort(cells_, {}, &Cell::key); }

  std::vector<Cell> cells_;
  size_t limit_ = size_t{1} << 16;
};

}  // namespace

CellSample sample_cells(const Matrix& matrix) {
  CellSample sample{.cells = {}, .mask = 0, .cell_bytes = matrix.cell_bytes()};
  const size_t count = matrix.rows() * matrix.columns();
  while (count / (sample.mask + 1) > kRemembered) sample.mask = 2 * sample.mask + 1;
  sample.cells.reserve(std::min(count, kRemembered));
  for_each_cell(matrix, sample.mask, [&](const Cell& cell) { sample.cells.push_back(cell); });
  return sample;
}

CellFilter::CellFilter(size_t keys) {
  const int word_bits =
      std::max(static_cast<int>(std::bit_width(keys + keys / 2)) - 2, 1);  // >= 16 bits a key
  words_.resize(size_t{1} << word_bits);
  shift_ = 64 - word_bits;
}

CellSample CellFilter::common_cells(const CellSample& sample) const {
  UniqueCells found;
  const std::vector<Cell>& cells = sample.cells;
  for (size_t i = 0; i < cells.size(); ++i) {
    if (i + kAhead < cells.size()) __builtin_prefetch(&words_[cells[i + kAhead].key >> shift_]);
    if (may_contain(cells[i].key)) found.add(cells[i]);
  }
  return {.cells = found.take(), .mask = sample.mask, .cell_bytes = sample.cell_bytes};
}

CellSample CellFilter::common_cells(const Matrix& matrix, uint64_t mask) const {
  UniqueCells found;
  for_each_cell(matrix, mask, [&](const Cell& cell) {
    if (may_contain(cell.key)) found.add(cell);
  });
  return {.cells = found.take(), .mask = mask, .cell_bytes = matrix.cell_bytes()};
}

}  // namespace mts::partial
