// A first idea of which rows and columns of two matrices correspond, when nothing is known of either:
// elements that occur once in each of them vote for their row and column. Linear in the matrices.
#pragma once

#include "partial/matrix.h"

#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

namespace mts::partial {

struct Seeds {
  std::vector<std::pair<uint32_t, uint32_t>> rows,
      columns;  // of a, of b; each at most once, in the order of a
};

// The cells of a matrix by their keys; a sample of them where there are many: cells whose keys end in zeros,
// which are the same ones in every matrix, wherever they stand.
struct CellSample {
  struct Cell {
    uint64_t key = 0;
    uint32_t row = 0, column = 0;
  };
  std::vector<Cell> cells;  // by rows
  uint64_t mask = 0;        // bits of a key that are zero
  size_t cell_bytes = 0;
};
CellSample sample_cells(const Matrix& matrix);

// Matrices that others are compared with, all at once: a matrix that has nothing in common with any of them
// costs one look at a small filter a cell.
class SeedTable {
 public:
  static constexpr size_t kMost = 8;  // matrices

  explicit SeedTable(std::vector<CellSample> matrices);
  size_t size() const { return matrices_.size(); }  // matrices

  // The pairs of each matrix and `b`; none for matrices that are not `wanted`, or with cells of another size.
  // Thread-safe.
  std::vector<Seeds> compare(const Matrix& b, const std::vector<bool>& wanted) const;

 private:
  struct Entry {
    uint64_t key = 0;
    uint32_t cell = 0;    // of the matrix's sample; kSeveral when it holds the key more than once
    uint32_t matrix = 0;  // from 1; 0: free
  };
  // Three bits of one word; the last bits of a key may be zero in all samples.
  static uint64_t filter_bits(uint64_t key) {
    return uint64_t{1} << (key >> 24 & 63) | uint64_t{1} << (key >> 30 & 63) |
           uint64_t{1} << (key >> 36 & 63);
  }
  bool may_contain(uint64_t key) const {
    const uint64_t bits = filter_bits(key);
    return (filter_[key >> filter_shift_] & bits) == bits;
  }
  void insert(uint64_t key, uint32_t cell, uint32_t matrix);

  std::vector<CellSample> matrices_;
  std::vector<Entry> entries_;    // open addressing by the first bits of a key; as many as a power of two
  std::vector<uint64_t> filter_;  // a Bloom filter, by the first bits of a key
  int entry_shift_ = 0, filter_shift_ = 0;
  uint64_t mask_ = ~uint64_t{0};  // zero bits that the keys of all matrices have
};

// One matrix with one.
Seeds find_seeds(const Matrix& a, const Matrix& b);

// Columns that correspond, given rows (of a, of b) that do: those with most equal elements in them.
class ColumnSeeds {
 public:
  explicit ColumnSeeds(const Matrix& a) : a_(a) {}
  std::vector<std::pair<uint32_t, uint32_t>> compare(const Matrix& b,
                                                     const std::vector<std::pair<uint32_t, uint32_t>>& rows);

 private:
  struct Row {
    std::vector<std::pair<uint64_t, uint32_t>> columns;  // by key; the column, kSeveral when several have it
    std::vector<bool> filter;                            // the first bits of the keys
    int shift = 0;
  };
  const Row& row(uint32_t index);

  const Matrix& a_;
  std::map<uint32_t, Row> rows_;
};

}  // namespace mts::partial
