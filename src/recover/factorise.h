// Thin factors of large matrices of low rank, without storing the matrices.
#pragma once

#include "recover/matrix.h"

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <vector>

namespace mts::recover_detail {

// A matrix that is read row by row (the difference of two weights).
struct RowSource {
  size_t rows, columns;
  std::function<void(size_t row, std::span<double> out)> read;
};

// The `width` leading singular triplets, by a random sketch of a fixed seed (Halko, Martinsson and Tropp,
// 2011): exact up to rounding when the rank is at most `width`. left: of length rows, right: of length
// columns. Two passes over the matrix.
Svd sketch(const RowSource& matrix, size_t width);

// How many leading triplets leave no element of the matrix above `tolerance`; nothing when all of them do.
// One pass.
std::optional<size_t> rank_within(const RowSource& matrix, const Svd& svd, double tolerance);

// A quick look at some rows and columns: about the rank down to `tolerance`, never more than the true one (up
// to rounding); `most` + 1 stands for all that is above `most`.
size_t rank_at_a_glance(const RowSource& matrix, size_t most, double tolerance);

struct LowRank {
  Svd svd;      // `rank` triplets or some more
  size_t rank;  // as many as the tolerance takes
};
// sketch() and rank_within() with as many triplets as it takes; nothing when that is more than `most`.
std::optional<LowRank> factorise(const RowSource& matrix, size_t most, double tolerance);

}  // namespace mts::recover_detail
