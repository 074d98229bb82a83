// A first idea of which rows and columns of two matrices correspond, when nothing is known of either:
// elements that occur once in each of them vote for their row and column. Linear in the matrices; most of the
// time goes into telling that they have nothing in common (cells.h).
#pragma once

#include "partial/matrix.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

namespace mts::partial {

struct Seeds {
  std::vector<std::pair<uint32_t, uint32_t>> rows,
      columns;  // of a, of b; each at most once, in the order of a
};

// Matrices that each is compared with.
inline constexpr size_t kMostCompared = 8;

// The seeds of each of `count` matrices with those before it, the first kMostCompared of them at most:
// result[k][other]; empty where `wanted[k][other]` is not set, and for cells of different sizes. `matrix` is
// called in as many threads, once or twice for each; its results are not kept.
using MatrixAt = std::function<std::shared_ptr<const Matrix>(size_t)>;
std::vector<std::vector<Seeds>> compare_matrices(size_t count, const MatrixAt& matrix,
                                                 const std::vector<std::vector<bool>>& wanted,
                                                 size_t threads);

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
