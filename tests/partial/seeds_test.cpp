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

}  // namespace
}  // namespace mts::partial
