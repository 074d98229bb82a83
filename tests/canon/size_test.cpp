#include "canon/size.h"

#include <gtest/gtest.h>

namespace mts::canon {
namespace {

const Size n = Size::symbol("N"), s = Size::symbol("S");
Size k(int64_t value) { return Size::known(value); }

TEST(Size, EqualPolynomialsAreEqual) {
  EXPECT_EQ((n + k(1)) * (n - k(1)), n * n - k(1));
  EXPECT_EQ(n * s, s * n);
  EXPECT_EQ(n - n, k(0));
  EXPECT_EQ((n - n).constant(), 0);
  EXPECT_NE(n, s);
}

TEST(Size, EqualsKnowsWhatItDoesNotKnow) {
  EXPECT_EQ(n.equals(n), true);
  EXPECT_EQ(n.equals(k(-1)), false);  // a dimension is not negative
  EXPECT_EQ(n.equals(n + k(2)), false);
  EXPECT_EQ(n.equals(k(3)), std::nullopt);
  EXPECT_EQ(n.equals(s), std::nullopt);
  EXPECT_EQ(Size::symbol("?x").equals(k(-1)), std::nullopt);
}

TEST(Size, DividesExactlyOrIntoAnAtom) {
  EXPECT_EQ((n * s * k(12)).divided_by(n * k(4)), s * k(3));
  EXPECT_EQ((n * k(12) + k(4)).divided_by(k(4)), n * k(3) + k(1));
  EXPECT_EQ((n * k(3)).divided_by(k(2)), std::nullopt);
  EXPECT_EQ(k(5).divided_by(k(0)), std::nullopt);
  EXPECT_EQ(k(7).floor_divided_by(k(2)), k(3));
  EXPECT_EQ(n.floor_divided_by(k(2)), n.floor_divided_by(k(2)));
  EXPECT_NE(n.floor_divided_by(k(2)), n.floor_divided_by(k(3)));
  EXPECT_EQ((n - k(1)).floor_divided_by(k(2)), std::nullopt);  // may be negative: rounding is not known
}

}  // namespace
}  // namespace mts::canon
