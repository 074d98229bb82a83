// Rows and columns of two matrices, both permuted, that correspond.
#include "partial/seeds.h"

#include <algorithm>
#include <memory>

#include <gtest/gtest.h>

namespace mts::partial {
namespace {

Matrix matrix(const std::vector<float>& values, int64_t rows, int64_t columns) {
  return Matrix(Weight::floats(values, {rows, columns}), 0, 1, 1, 1);
}

MatrixAt at(const std::vector<Matrix>& matrices) {
  return [&matrices](size_t k) {
    return std::shared_ptr<const Matrix>(std::shared_ptr<const Matrix>(), &matrices[k]);
  };
}

TEST(Seeds, AreFoundInPermutedBlocks) {
  // Rows 0, 2 and columns 0, 1 of `a` are rows 1, 0 and columns 2, 0 of `b`.
  const Seeds seeds =
      find_seeds(matrix({1, 2, 3, 4, 5, 6, 7, 8, 9}, 3, 3), matrix({8, 10, 7, 2, 11, 1}, 2, 3));
  EXPECT_EQ(seeds.rows, (std::vector<std::pair<uint32_t, uint32_t>>{{0, 1}, {2, 0}}));
  EXPECT_EQ(seeds.columns, (std::vector<std::pair<uint32_t, uint32_t>>{{0, 2}, {1, 0}}));
}

TEST(Seeds, ValuesThatOccurTwiceSayNothing) {
  const Seeds seeds = find_seeds(matrix({0, 0, 0, 0}, 2, 2), matrix({0, 0, 0, 0}, 2, 2));
  EXPECT_TRUE(seeds.rows.empty());
}

TEST(Seeds, OfSeveralMatricesAreThoseOfEachByItself) {
  // Distinct values, and some that occur twice in a matrix or in two of them.
  std::vector<Matrix> matrices;
  constexpr uint32_t kCount = 40;  // more than are compared with, and than are looked up at a time
  for (uint32_t m = 0; m < kCount; ++m) {
    std::vector<float> values;
    for (uint32_t i = 0; i < 48; ++i)
      values.push_back(static_cast<float>((i * 7 + m * 29) % 61 + (i % 5 == 0 ? 1000 * m : 0)));
    matrices.push_back(matrix(values, 8, 6));
  }
  std::vector<std::vector<bool>> wanted;
  for (size_t k = 0; k < kCount; ++k) {
    wanted.emplace_back(kMostCompared, false);
    for (size_t other = 0; other < std::min(k, kMostCompared); ++other) wanted[k][other] = true;
  }
  const std::vector<std::vector<Seeds>> all = compare_matrices(kCount, at(matrices), wanted, 2);
  size_t found = 0;
  for (size_t k = 0; k < kCount; ++k)
    for (size_t other = 0; other < kMostCompared; ++other) {
      const Seeds alone = other < k ? find_seeds(matrices[other], matrices[k]) : Seeds{};
      EXPECT_EQ(all[k][other].rows, alone.rows);
      EXPECT_EQ(all[k][other].columns, alone.columns);
      found += alone.rows.size();
    }
  EXPECT_GT(found, 0U);
}

TEST(Seeds, MatricesThatAreNotWantedOrHaveOtherCellsHaveNone) {
  const std::vector<float> values = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  std::vector<Matrix> matrices;
  matrices.push_back(matrix(values, 3, 3));
  matrices.push_back(matrix(values, 3, 3));
  matrices.push_back(Matrix(Weight::floats(values, {3, 1, 3}), 0, 1, 1, 1));
  matrices.push_back(matrix(values, 3, 3));
  const std::vector<std::vector<bool>> wanted = {
      {false, false, false}, {false, false, false}, {true, false, false}, {false, true, true}};
  const std::vector<std::vector<Seeds>> seeds = compare_matrices(4, at(matrices), wanted, 1);
  EXPECT_TRUE(seeds[1][0].rows.empty());
  EXPECT_TRUE(seeds[2][0].rows.empty());
  EXPECT_TRUE(seeds[3][0].rows.empty());
  EXPECT_EQ(seeds[3][1].rows.size(), 3U);
  EXPECT_TRUE(seeds[3][2].rows.empty());
}

// Of a large matrix a sample is remembered, of a small one everything: what they have in common is found
// whichever comes first, and so is a small one behind a large one.
TEST(Seeds, AreFoundInMatricesOfDifferentSizes) {
  std::vector<float> large(1024 * 1024);
  for (size_t i = 0; i < large.size(); ++i) large[i] = static_cast<float>(i) + 0.5F;
  std::vector<float> small(64 * 64);
  for (size_t i = 0; i < small.size(); ++i) small[i] = large[(i / 64) * 1024 + 63 - i % 64];
  std::vector<Matrix> matrices;
  matrices.push_back(matrix(large, 1024, 1024));
  matrices.push_back(matrix(small, 64, 64));
  matrices.push_back(matrix(large, 1024, 1024));
  matrices.push_back(matrix(small, 64, 64));
  std::vector<std::vector<bool>> wanted(4);
  for (size_t k = 0; k < 4; ++k) wanted[k] = {k > 0, k > 1, k > 2};
  const std::vector<std::vector<Seeds>> seeds = compare_matrices(4, at(matrices), wanted, 2);
  for (size_t k = 1; k < 4; ++k)
    for (size_t other = 0; other < k; ++other) {
      const bool same = (k + other) % 2 == 0;
      const Seeds& found = seeds[k][other];
      // A sample of the large one is one cell in eight.
      EXPECT_GT(found.rows.size(), same && k == 2 ? 1000U : 60U) << k << other;
      for (const auto& [a, b] : found.rows) EXPECT_EQ(a, b);
      for (const auto& [a, b] : found.columns) EXPECT_EQ(same ? a : 63 - a, b);
    }
}

TEST(Seeds, AValueThatComesAgainAndAgainIsNoneInLargeMatricesToo) {
  std::vector<float> a(512 * 512, 0.0F), b(512 * 512, 0.0F);
  for (size_t i = 0; i < 512 * 3; ++i) a[i] = b[b.size() - 1 - i] = static_cast<float>(i + 1);
  a[a.size() - 1] = 7000000.0F;  // once in a, in every row of b
  for (size_t r = 0; r < 512; ++r) b[512 * r] = 7000000.0F;
  for (const auto& [x, y] : find_seeds(matrix(a, 512, 512), matrix(b, 512, 512)).rows) EXPECT_EQ(x + y, 511U);
}

TEST(ColumnSeeds, AreTheColumnsWithMostEqualElements) {
  const Matrix a = matrix({1, 2, 3, 9, 4, 5, 6, 9}, 2, 4), b = matrix({3, 9, 1, 9, 6, 8, 4, 9}, 2, 4);
  ColumnSeeds seeds(a);
  const std::vector<std::pair<uint32_t, uint32_t>> rows = {{0, 0}, {1, 1}};
  // Column 3 of `a` is in two columns of one row of `b`, and in one of the other.
  const std::vector<std::pair<uint32_t, uint32_t>> expected = {{0, 2}, {2, 0}, {3, 3}};
  EXPECT_EQ(seeds.compare(b, rows), expected);
  EXPECT_EQ(seeds.compare(b, rows), expected);  // rows of `a` that are known already
}

}  // namespace
}  // namespace mts::partial
