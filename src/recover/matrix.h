// Small dense linear algebra in double precision: plain loops whose results are the same bits on any machine.
// (Libraries split sums by the size of the machine's caches.)
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace mts::recover_detail {

// A list of vectors of one length: the columns, or the rows, of a matrix.
using Vectors = std::vector<std::vector<double>>;

double dot(std::span<const double> a, std::span<const double> b);
// y += f * x.
void add_scaled(double f, std::span<const double> x, std::span<double> y);

// Makes the vectors orthonormal (Gram-Schmidt, each twice); those that the earlier ones span are dropped.
// Returns the coefficients: old vector i = sum over k of result[i][k] * new vector k, up to what was dropped.
Vectors orthonormalise(Vectors& vectors);

// A = sum over k of values[k] * left[k] right[k]^T, values in descending order, left and right orthonormal.
struct Svd {
  Vectors left, right;
  std::vector<double> values;
};
// Of the matrix with these rows, by one-sided Jacobi; values that are zero are left out. For small matrices:
// cost rows^2 * columns a sweep.
Svd svd_of_rows(Vectors rows);

// Inverse of a square matrix by elimination with row pivoting; empty when it is singular.
Vectors inverse(Vectors rows);

}  // namespace mts::recover_detail
