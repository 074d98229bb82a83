#include "recover/base.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace mts::recover_detail {
namespace {

constexpr size_t kOversampling = 8;
// Smallest cosine between two spaces along a direction that they have in common, noise allowed for.
constexpr double kSameDirection = 0.99;

// The `count` directions (as coefficients of `a`) that two orthonormal lists have most nearly in common;
// empty when they do not have as many.
Vectors common_directions(const Vectors& a, const Vectors& b, size_t count) {
  Vectors cosines(a.size(), std::vector<double>(b.size()));
  for (size_t i = 0; i < a.size(); ++i)
    for (size_t j = 0; j < b.size(); ++j) cosines[i][j] = dot(a[i], b[j]);
  Svd svd = svd_of_rows(std::move(cosines));
  if (svd.values.size() < count || svd.values[count - 1] < kSameDirection) return {};
  svd.left.resize(count);
  return std::move(svd.left);
}

std::vector<double> combined(const Vectors& vectors, const std::vector<double>& coefficients) {
  std::vector<double> sum(vectors.front().size(), 0);
  for (size_t i = 0; i < vectors.size(); ++i) add_scaled(coefficients[i], vectors[i], sum);
  return sum;
}

}  // namespace

std::optional<OuterProducts> common_term(const Svd& first, const Svd& second, size_t rank_between) {
  const size_t both = first.values.size() + second.values.size();
  if (both < rank_between + 2) return std::nullopt;
  const size_t rank = (both - rank_between) / 2;
  const Vectors q = common_directions(first.left, second.left, rank);
  const Vectors p = common_directions(first.right, second.right, rank);
  if (q.empty() || p.empty()) return std::nullopt;
  Vectors core(rank, std::vector<double>(rank, 0));  // P^T V S^-1 U^T Q, with P = V p and Q = U q
  for (size_t i = 0; i < rank; ++i) {
    for (size_t j = 0; j < rank; ++j)
      for (size_t k = 0; k < first.values.size(); ++k) core[i][j] += p[i][k] * q[j][k] / first.values[k];
  }
  const Vectors inverted = inverse(std::move(core));
  if (inverted.empty()) return std::nullopt;
  OuterProducts term;  // -Q core^-1 P^T
  for (size_t j = 0; j < rank; ++j) {
    std::vector<double> coefficients(first.values.size(), 0);
    for (size_t i = 0; i < rank; ++i) add_scaled(-inverted[i][j], q[i], coefficients);
    term.left.push_back(combined(first.left, coefficients));
    term.right.push_back(combined(first.right, p[j]));
  }
  return term;
}

Svd above_noise(const RowSource& difference, size_t most, double tolerance, double largest) {
  // Rounding errors are at most 2^-24 of each weight, independent of each other: the spectral norm of such a
  // matrix is about their size times the sum of the roots of its dimensions.
  const double noise = std::ldexp(largest, -23) * (std::sqrt(static_cast<double>(difference.rows)) +
                                                   std::sqrt(static_cast<double>(difference.columns)));
  size_t width = std::min(rank_at_a_glance(difference, most, tolerance), most);
  for (;; width = most) {
    Svd svd = sketch(difference, width + kOversampling);
    size_t rank = 0;
    while (rank < svd.values.size() && svd.values[rank] > noise) ++rank;
    if (rank == svd.values.size() && rank > width && width < most) continue;  // there may be more
    rank = std::min(rank, most);
    svd.left.resize(rank);
    svd.right.resize(rank);
    svd.values.resize(rank);
    return svd;
  }
}

}  // namespace mts::recover_detail
