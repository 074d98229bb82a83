// The cells of matrices by their keys (Matrix::keys), and which of them several matrices may have in common.
// What no two have in common costs one key and one look at a small filter a cell.
#pragma once

#include "partial/matrix.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace mts::partial {

struct Cell {
  uint64_t key = 0;
  uint32_t row = 0, column = 0;
};

// Cells of one matrix; a sample of them where there are many: cells whose keys end in zeros, which are the
// same ones in every matrix, wherever they stand.
struct CellSample {
  std::vector<Cell> cells;
  uint64_t mask = 0;  // bits of a key that are zero
  size_t cell_bytes = 0;
};
// By rows.
CellSample sample_cells(const Matrix& matrix);

// A Bloom filter over keys.
class CellFilter {
 public:
  explicit CellFilter(size_t keys);  // about how many are added
  void add(uint64_t key) { words_[key >> shift_] |= bits(key); }
  bool may_contain(uint64_t key) const { return (words_[key >> shift_] & bits(key)) == bits(key); }

  // The cells of `sample`, or of a matrix with such a mask, whose keys may have been added and which the
  // matrix holds once: others (zeros) do not tell where they belong. By keys.
  CellSample common_cells(const CellSample& sample) const;
  CellSample common_cells(const Matrix& matrix, uint64_t mask) const;

 private:
  // Three bits of one word; the last bits of a key may be zero in all of them.
  static uint64_t bits(uint64_t key) {
    return uint64_t{1} << (key >> 24 & 63) | uint64_t{1} << (key >> 30 & 63) |
           uint64_t{1} << (key >> 36 & 63);
  }

  std::vector<uint64_t> words_;  // by the first bits of a key; as many as a power of two
  int shift_ = 0;
};

}  // namespace mts::partial
