#include "src/recover/factorise.h"

#include "src/recover/base.h"
#include "tests/recover/recover_models.h"

#include <algorithm>
#include <functional>

namespace mts::testing {
namespace {

using namespace recover_detail;

Vectors random_rows(size_t rows, size_t columns, unsigned seed) {
  const Values values = random_values(static_cast<int64_t>(rows * columns), seed);
  Vectors result(rows);
  for (size_t i = 0; i < rows; ++i)
    result[i].assign(values.begin() + static_cast<std::ptrdiff_t>(i * columns),
                     values.begin() + static_cast<std::ptrdiff_t>((i + 1) * columns));
  return result;
}

// sum over k of left[k] right[k]^T.
Vectors outer_sum(const Vectors& left, const Vectors& right) {
  Vectors result(left.front().size(), std::vector<double>(right.front().size(), 0));
  for (size_t k = 0; k < left.size(); ++k)
    for (size_t i = 0; i < result.size(); ++i) add_scaled(left[k][i], right[k], result[i]);
  return result;
}

Vectors rebuilt(const Svd& svd) {
  Vectors left = svd.left;
  for (size_t k = 0; k < left.size(); ++k)
    for (double& x : left[k]) x *= svd.values[k];
  return outer_sum(left, svd.right);
}

double distance(const Vectors& a, const Vectors& b) {
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i)
    for (size_t j = 0; j < a[i].size(); ++j) largest = std::max(largest, std::abs(a[i][j] - b[i][j]));
  return largest;
}

Vectors difference(Vectors a, const Vectors& b) {
  for (size_t i = 0; i < a.size(); ++i) add_scaled(-1, b[i], a[i]);
  return a;
}

RowSource source(const Vectors& rows) {
  return {rows.size(), rows.front().size(), [&rows](size_t i, std::span<double> out) {
            std::copy(rows[i].begin(), rows[i].end(), out.begin());
          }};
}

void expect_orthonormal(const Vectors& vectors) {
  for (size_t i = 0; i < vectors.size(); ++i)
    for (size_t j = 0; j <= i; ++j) EXPECT_NEAR(dot(vectors[i], vectors[j]), i == j ? 1 : 0, 1e-12);
}

TEST(Matrix, OrthonormaliseDropsDependentVectors) {
  Vectors vectors = random_rows(4, 9, 1);
  vectors[2] = vectors[0];
  add_scaled(-2, vectors[1], vectors[2]);
  const Vectors original = vectors;
  const Vectors coefficients = orthonormalise(vectors);
  ASSERT_EQ(vectors.size(), 3U);
  expect_orthonormal(vectors);
  for (size_t i = 0; i < 4; ++i) {
    std::vector<double> again(9, 0);
    for (size_t k = 0; k < 3; ++k) add_scaled(coefficients[i][k], vectors[k], again);
    for (size_t j = 0; j < 9; ++j) EXPECT_NEAR(again[j], original[i][j], 1e-12);
  }
}

TEST(Matrix, SvdRebuildsTheMatrix) {
  for (const auto& [rows, columns] : {std::pair{7U, 12U}, {12U, 7U}, {1U, 5U}}) {
    const Vectors a = random_rows(rows, columns, 2);
    const Svd svd = svd_of_rows(a);
    EXPECT_LT(distance(rebuilt(svd), a), 1e-12);
    EXPECT_TRUE(std::ranges::is_sorted(svd.values, std::greater<>()));
    Svd leading = svd;
    leading.left.resize(std::min(rows, columns));
    leading.right.resize(std::min(rows, columns));
    expect_orthonormal(leading.left);
    expect_orthonormal(leading.right);
  }
}

TEST(Matrix, Inverse) {
  const Vectors a = random_rows(6, 6, 3), b = inverse(a);
  for (size_t i = 0; i < 6; ++i)
    for (size_t j = 0; j < 6; ++j) {
      double sum = 0;
      for (size_t k = 0; k < 6; ++k) sum += a[i][k] * b[k][j];
      EXPECT_NEAR(sum, i == j ? 1 : 0, 1e-10);
    }
  EXPECT_TRUE(inverse({{1, 2}, {2, 4}}).empty());
}

TEST(Factorise, FindsTheRankAndTheFactors) {
  for (const auto& [rows, columns] : {std::pair{60U, 90U}, {90U, 60U}}) {
    const Vectors a = outer_sum(random_rows(7, rows, 1), random_rows(7, columns, 2));
    EXPECT_EQ(rank_at_a_glance(source(a), 30, 1e-9), 7U);
    const std::optional<LowRank> found = factorise(source(a), 30, 1e-9);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->rank, 7U);
    EXPECT_LT(distance(rebuilt(found->svd), a), 1e-11);
    expect_orthonormal({found->svd.left.begin(), found->svd.left.begin() + 7});
    EXPECT_FALSE(factorise(source(a), 6, 1e-9));
  }
  const Vectors full = random_rows(40, 40, 3), none(40, std::vector<double>(40, 1e-10));
  EXPECT_FALSE(factorise(source(full), 30, 1e-3));
  EXPECT_EQ(factorise(source(none), 30, 1e-9)->rank, 0U);
}

TEST(Factorise, ALooseToleranceTakesFewerTriplets) {
  Vectors left = random_rows(5, 50, 1);
  for (double& x : left[4]) x *= 1e-4;
  const Vectors a = outer_sum(left, random_rows(5, 50, 2));
  EXPECT_EQ(factorise(source(a), 20, 1e-9)->rank, 5U);
  EXPECT_EQ(factorise(source(a), 20, 1e-3)->rank, 4U);
}

// W_i = W + L_i: the first term from the differences alone.
TEST(Base, TheCommonTermIsFound) {
  const size_t rows = 50, columns = 40;
  const auto term = [&](size_t rank, unsigned seed) {
    return outer_sum(random_rows(rank, rows, seed), random_rows(rank, columns, seed + 100));
  };
  const Vectors l0 = term(3, 1), l1 = term(4, 2), l2 = term(2, 3);
  const auto svd = [&](const Vectors& a, const Vectors& b) {
    return above_noise(source(difference(a, b)), 30, 1e-9, 1e-3);
  };
  const auto estimate = common_term(svd(l1, l0), svd(l2, l0), svd(l2, l1).values.size());
  ASSERT_TRUE(estimate);
  EXPECT_EQ(estimate->left.size(), 3U);
  EXPECT_LT(distance(outer_sum(estimate->left, estimate->right), l0), 1e-9);
  // The first is the base itself: nothing to be found.
  const Vectors zero(rows, std::vector<double>(columns, 0));
  EXPECT_FALSE(common_term(svd(l1, zero), svd(l2, zero), svd(l2, l1).values.size()));
}

}  // namespace
}  // namespace mts::testing
