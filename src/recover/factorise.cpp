#include "recover/factorise.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <utility>

namespace mts::recover_detail {
namespace {

constexpr size_t kOversampling = 8;
constexpr uint64_t kSeed = 20'220'913;

}  // namespace

Svd sketch(const RowSource& matrix, size_t width) {
  width = std::min({width, matrix.rows, matrix.columns});
  // Y = D Omega, Omega of random signs: raw bits of the generator, which the standard fixes.
  std::mt19937_64 bits(kSeed);
  Vectors omega(width, std::vector<double>(matrix.columns));
  for (auto& column : omega)
    for (double& sign : column) sign = (bits() >> 63) != 0 ? 1.0 : -1.0;
  Vectors range(width, std::vector<double>(matrix.rows));
  std::vector<double> row(matrix.columns);
  for (size_t i = 0; i < matrix.rows; ++i) {
    matrix.read(i, row);
    for (size_t k = 0; k < width; ++k) range[k][i] = dot(omega[k], row);
  }
  orthonormalise(range);
  // B = Q^T D = C P with orthonormal rows P; svd of the small C.
  Vectors projected(range.size(), std::vector<double>(matrix.columns, 0));
  for (size_t i = 0; i < matrix.rows; ++i) {
    matrix.read(i, row);
    for (size_t k = 0; k < range.size(); ++k) add_scaled(range[k][i], row, projected[k]);
  }
  const Svd small = svd_of_rows(orthonormalise(projected));
  Svd result;
  result.values = small.values;
  for (size_t k = 0; k < small.values.size(); ++k) {
    auto& left = result.left.emplace_back(matrix.rows, 0);
    for (size_t j = 0; j < range.size(); ++j) add_scaled(small.left[k][j], range[j], left);
    auto& right = result.right.emplace_back(matrix.columns, 0);
    for (size_t j = 0; j < projected.size(); ++j) add_scaled(small.right[k][j], projected[j], right);
  }
  return result;
}

std::optional<size_t> rank_within(const RowSource& matrix, const Svd& svd, double tolerance) {
  // The largest rank that a row needs. A row's residual need not fall with every triplet, so all are looked
  // at.
  size_t rank = 0;
  std::vector<double> row(matrix.columns);
  for (size_t i = 0; i < matrix.rows; ++i) {
    matrix.read(i, row);
    size_t needed = 0;
    for (size_t k = 0;; ++k) {
      const bool above = std::ranges::any_of(row, [&](double x) { return std::abs(x) > tolerance; });
      if (above) needed = k + 1;
      if (k == svd.values.size()) break;
      add_scaled(-svd.values[k] * svd.left[k][i], svd.right[k], row);
    }
    if (needed > svd.values.size()) return std::nullopt;
    rank = std::max(rank, needed);
  }
  return rank;
}

size_t rank_at_a_glance(const RowSource& matrix, size_t most, double tolerance) {
  const size_t height = std::min(matrix.rows, most + 1), width = std::min(matrix.columns, most + 1);
  Vectors part;
  std::vector<double> row(matrix.columns);
  for (size_t i = 0; i < height; ++i) {
    matrix.read(i * matrix.rows / height, row);
    auto& picked = part.emplace_back(width);
    for (size_t j = 0; j < width; ++j) picked[j] = row[j * matrix.columns / width];
  }
  // Elimination with the largest element as pivot.
  size_t rank = 0;
  for (; rank < std::min(height, width); ++rank) {
    size_t pivot_row = rank, pivot_column = rank;
    for (size_t i = rank; i < height; ++i)
      for (size_t j = rank; j < width; ++j)
        if (std::abs(part[i][j]) > std::abs(part[pivot_row][pivot_column])) {
          pivot_row = i;
          pivot_column = j;
        }
    if (std::abs(part[pivot_row][pivot_column]) <= tolerance) break;
    std::swap(part[rank], part[pivot_row]);
    for (auto& r : part) std::swap(r[rank], r[pivot_column]);
    for (size_t i = rank + 1; i < height; ++i)
      add_scaled(-part[i][rank] / part[rank][rank], part[rank], part[i]);
  }
  return rank;
}

std::optional<LowRank> factorise(const RowSource& matrix, size_t most, double tolerance) {
  const size_t glance = rank_at_a_glance(matrix, most, tolerance);
  if (glance > most) return std::nullopt;
  for (size_t width = glance; true; width = most) {
    Svd svd = sketch(matrix, width + kOversampling);
    if (const std::optional<size_t> rank = rank_within(matrix, svd, tolerance); rank && *rank <= most)
      return LowRank{std::move(svd), *rank};
    if (width == most) return std::nullopt;
  }
}

}  // namespace mts::recover_detail
