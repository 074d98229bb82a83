#include "check/random.h"

#include <cmath>

#include <gtest/gtest.h>

namespace mts::check {
namespace {

// The numbers themselves: a report made on one machine can be made again on any other.
TEST(Random, IsTheSameEverywhere) {
  Random random(1, "a/x");
  EXPECT_EQ(random.bits(), 15717865414684679056u);
  Random normal(1, "a/x");
  EXPECT_EQ(normal.normal(), 0x1.6c4cp-6);
}

TEST(Random, StreamsAndSeedsDiffer) {
  EXPECT_NE(Random(1, "a/x").bits(), Random(1, "b/x").bits());
  EXPECT_NE(Random(1, "a/x").bits(), Random(2, "a/x").bits());
}

TEST(Random, NormalHasMeanZeroAndVarianceOne) {
  Random random(1, "x");
  double sum = 0;
  double squares = 0;
  const int count = 100'000;
  for (int i = 0; i < count; ++i) {
    const double x = random.normal();
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / count, 0, 0.01);
  EXPECT_NEAR(squares / count, 1, 0.02);
}

TEST(Random, IntegersStayInTheirRangeAndReachItsEnds) {
  Random random(1, "x");
  bool low = false;
  bool high = false;
  for (int i = 0; i < 1000; ++i) {
    const int64_t x = random.integer(-3, 4);
    ASSERT_GE(x, -3);
    ASSERT_LT(x, 4);
    low |= x == -3;
    high |= x == 3;
  }
  EXPECT_TRUE(low && high);
  EXPECT_EQ(random.integer(5, 5), 5);
}

}  // namespace
}  // namespace mts::check
