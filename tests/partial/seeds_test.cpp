// Rows and columns of two matrices, both permuted, that correspond.
#include "partial/seeds.h"

#include <gtest/gtest.h>

namespace mts::partial {
namespace {

Matrix matrix(const std::vector<float>& values, int64_t rows, int64_t columns) {
  return Matrix(Weight::floats(values, {rows, columns}), 0, 1, 1, 1);
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
  for (uint32_t m = 0; m < SeedTable::kMost; ++m) {
    std::vector<float> values;
    for (uint32_t i = 0; i < 48; ++i)
      values.push_back(static_cast<float>((i * 7 + m * 29) % 61 + (i % 5 == 0 ? 1000 * m : 0)));
    matrices.push_back(matrix(values, 8, 6));
  }
  std::vector<CellSample> samples;
  for (const Matrix& one : matrices) samples.push_back(sample_cells(one));
  const SeedTable table(std::move(samples));
  for (const Matrix& b : matrices) {
    const std::vector<Seeds> all = table.compare(b, std::vector<bool>(matrices.size(), true));
    for (size_t m = 0; m < matrices.size(); ++m) {
      const Seeds alone = find_seeds(matrices[m], b);
      EXPECT_EQ(all[m].rows, alone.rows);
      EXPECT_EQ(all[m].columns, alone.columns);
    }
  }
}

TEST(Seeds, MatricesThatAreNotWantedOrHaveOtherCellsHaveNone) {
  const std::vector<float> values = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  std::vector<CellSample> samples = {sample_cells(matrix(values, 3, 3)), sample_cells(matrix(values, 3, 3))};
  samples.push_back(sample_cells(Matrix(Weight::floats(values, {3, 1, 3}), 0, 1, 1, 1)));
  const std::vector<Seeds> seeds =
      SeedTable(std::move(samples)).compare(matrix(values, 3, 3), {false, true, true});
  EXPECT_TRUE(seeds[0].rows.empty());
  EXPECT_EQ(seeds[1].rows.size(), 3U);
  EXPECT_TRUE(seeds[2].rows.empty());
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
