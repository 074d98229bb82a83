// A first idea of which rows and columns of two matrices correspond, when nothing is known of either:
// elements that occur once in each of them vote for their row and column. Linear in the matrices.
#pragma once

#include "partial/matrix.h"

#include <cstdint>
#include <utility>
#include <vector>

namespace mts::partial {

struct Seeds {
  std::vector<std::pair<uint32_t, uint32_t>> rows,
      columns;  // of a, of b; each at most once, in the order of a
};
// Compares a sample of the cells of large matrices.
Seeds find_seeds(const Matrix& a, const Matrix& b);

// Columns that correspond, given rows (of a, of b) that do: those with most equal elements in them.
std::vector<std::pair<uint32_t, uint32_t>> column_seeds(
    const Matrix& a, const Matrix& b, const std::vector<std::pair<uint32_t, uint32_t>>& rows);

}  // namespace mts::partial
