#include "ir/attribute.h"

#include <limits>
#include <memory>

#include <gtest/gtest.h>

namespace mts {
namespace {

WeightPtr floats(std::vector<float> values, Dims dims) { return Weight::floats(values, std::move(dims)); }

TEST(SameValue, ComparesKindAndValue) {
  EXPECT_TRUE(same_value(int64_t{1}, int64_t{1}));
  EXPECT_FALSE(same_value(int64_t{1}, int64_t{2}));
  EXPECT_FALSE(same_value(int64_t{1}, 1.0F));
  EXPECT_FALSE(same_value(int64_t{1}, std::vector<int64_t>{1}));
  EXPECT_TRUE(same_value(std::string("same"), std::string("same")));
  EXPECT_FALSE(same_value(std::vector<std::string>{"a"}, std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(same_value(Encoded{"x"}, Encoded{"x"}));
}

TEST(SameValue, ComparesFloatsByTheirBits) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(same_value(nan, nan));
  EXPECT_FALSE(same_value(0.0F, -0.0F));
  EXPECT_TRUE(same_value(std::vector<float>{nan, 1}, std::vector<float>{nan, 1}));
  EXPECT_FALSE(same_value(std::vector<float>{0.0F}, std::vector<float>{-0.0F}));
}

TEST(SameValue, ComparesTensorsByDimsAndContent) {
  const WeightPtr row = floats({1, 2}, {1, 2});
  EXPECT_TRUE(same_value(row, floats({1, 2}, {1, 2})));
  EXPECT_FALSE(same_value(row, floats({1, 2}, {2, 1})));
  EXPECT_FALSE(same_value(row, floats({1, 3}, {1, 2})));
  EXPECT_TRUE(same_value(std::vector{row}, std::vector{floats({1, 2}, {1, 2})}));
  EXPECT_FALSE(same_value(std::vector{row}, std::vector{row, row}));
}

TEST(SameValue, NeverEquatesSubgraphs) {
  const auto body = std::make_shared<Graph>();
  EXPECT_FALSE(same_value(body, body));
  EXPECT_FALSE(same_value(std::vector{body}, std::vector{body}));
}

}  // namespace
}  // namespace mts
