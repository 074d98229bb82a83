#include "check/compare.h"

#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mts {
namespace {

using testing::HasSubstr;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

Tensor floats(std::vector<float> values) {
  const auto count = static_cast<int64_t>(values.size());
  return Tensor::of<float>(DType::kFloat32, {count}, values);
}
Tensor ints(std::vector<int64_t> values) {
  const auto count = static_cast<int64_t>(values.size());
  return Tensor::of<int64_t>(DType::kInt64, {count}, values);
}
Tensor text(std::vector<std::string> values) {
  Tensor result(DType::kString, {static_cast<int64_t>(values.size())});
  result.mutable_strings() = std::move(values);
  return result;
}

TEST(ToleranceOf, FollowsTheTable) {
  EXPECT_EQ(tolerance_of(DType::kFloat32), 1e-4);
  EXPECT_EQ(tolerance_of(DType::kFloat64), 1e-4);
  EXPECT_EQ(tolerance_of(DType::kFloat16), 5e-3);
  EXPECT_EQ(tolerance_of(DType::kBfloat16), 2e-2);
  EXPECT_EQ(tolerance_of(DType::kInt64), 0);
  EXPECT_EQ(tolerance_of(DType::kBool), 0);
  EXPECT_EQ(tolerance_of(DType::kString), 0);
}

TEST(Compare, MeasuresTheErrorAgainstTheLargestMagnitude) {
  const OutputDifference result = compare("a/y", floats({10, 0}), floats({10, 0.0005f}));
  EXPECT_EQ(result.output, "a/y");
  EXPECT_TRUE(result.passed) << result.reason;
  EXPECT_NEAR(result.error, 5e-5, 1e-9);
  EXPECT_EQ(result.tolerance, 1e-4);
}

TEST(Compare, RefusesAnErrorAboveTheTolerance) {
  const OutputDifference result = compare("y", floats({10, 0}), floats({10, 0.002f}));
  EXPECT_FALSE(result.passed);
  EXPECT_NEAR(result.error, 2e-4, 1e-9);
  EXPECT_THAT(result.reason, HasSubstr("element 1"));
}

TEST(Compare, ZerosMustBeZeros) {
  EXPECT_TRUE(compare("y", floats({0, 0}), floats({0, -0.0f})).passed);
  EXPECT_FALSE(compare("y", floats({0, 0}), floats({0, 1e-9f})).passed);
}

TEST(Compare, NanAndInfinityMustBeAtTheSamePlaces) {
  EXPECT_TRUE(compare("y", floats({kNan, 1, kInf, -kInf}), floats({kNan, 1, kInf, -kInf})).passed);
  EXPECT_THAT(compare("y", floats({kNan, 1}), floats({1, kNan})).reason, HasSubstr("NaN"));
  EXPECT_THAT(compare("y", floats({kInf, 1}), floats({1, 1})).reason, HasSubstr("infinity"));
  EXPECT_FALSE(compare("y", floats({kInf, 1}), floats({-kInf, 1})).passed);
  // An error beside a NaN is still an error.
  EXPECT_FALSE(compare("y", floats({kNan, 1}), floats({kNan, 2})).passed);
}

TEST(Compare, ShapesAndTypesMustBeEqual) {
  EXPECT_THAT(compare("y", floats({1, 2}), floats({1, 2}).reshaped({2, 1})).reason,
              HasSubstr("shape [2,1] instead of [2]"));
  EXPECT_THAT(compare("y", ints({1}), floats({1})).reason, HasSubstr("type float32 instead of int64"));
}

TEST(Compare, IntegersAndBooleansMustBeEqual) {
  EXPECT_TRUE(compare("y", ints({1, 2}), ints({1, 2})).passed);
  EXPECT_THAT(compare("y", ints({1, 2}), ints({1, 3})).reason, HasSubstr("3 instead of 2"));
  // Below the precision of a double.
  EXPECT_FALSE(compare("y", ints({(1LL << 60) + 1}), ints({1LL << 60})).passed);
  const Tensor yes = Tensor::of<uint8_t>(DType::kBool, {1}, std::vector<uint8_t>{1});
  const Tensor no = Tensor::of<uint8_t>(DType::kBool, {1}, std::vector<uint8_t>{0});
  EXPECT_FALSE(compare("y", yes, no).passed);
}

TEST(Compare, StringsMustBeEqual) {
  EXPECT_TRUE(compare("y", text({"a", "b"}), text({"a", "b"})).passed);
  EXPECT_THAT(compare("y", text({"a", "b"}), text({"a", "c"})).reason, HasSubstr("\"c\" instead of \"b\""));
}

TEST(Compare, SequencesAndMapsAreComparedElementByElement) {
  const Datum reference = Sequence{Map{text({"cat", "dog"}), {floats({1}), floats({2})}}};
  EXPECT_TRUE(compare("y", reference, reference).passed);
  EXPECT_THAT(compare("y", reference, Sequence{Map{text({"cat", "dog"}), {floats({1}), floats({3})}}}).reason,
              HasSubstr("[0]{1}: error above tolerance"));
  EXPECT_THAT(compare("y", reference, Sequence{Map{text({"cat", "cow"}), {floats({1}), floats({2})}}}).reason,
              HasSubstr("other keys"));
  EXPECT_THAT(compare("y", reference, Sequence{}).reason, HasSubstr("0 elements instead of 1"));
  EXPECT_THAT(compare("y", reference, floats({1})).reason, HasSubstr("a tensor instead of a sequence"));
  // The tolerance holds inside of containers, too.
  EXPECT_TRUE(compare("y", Sequence{floats({1})}, Sequence{floats({1.00005f})}).passed);
}

TEST(Compare, HalfPrecisionHasItsOwnTolerance) {
  const auto half = [](uint16_t bits) {
    return Tensor::of<uint16_t>(DType::kFloat16, {1}, std::vector{bits});
  };
  EXPECT_TRUE(compare("y", half(0x3c00), half(0x3c04)).passed);   // 1 and 1.0039
  EXPECT_FALSE(compare("y", half(0x3c00), half(0x3c08)).passed);  // 1 and 1.0078
}

// A type whose numbers mts cannot read must not pass for equal.
TEST(Compare, TypesWithoutArithmeticMustBeEqualBitwise) {
  const auto packed = [](uint8_t bits) {
    return Tensor::of<uint8_t>(DType::kFloat4E2M1, {2}, std::vector{bits});
  };
  EXPECT_TRUE(compare("y", packed(0x12), packed(0x12)).passed);
  EXPECT_FALSE(compare("y", packed(0x12), packed(0x13)).passed);
}

TEST(Compare, QuantisedOutputsMayBeOffByTwoQuanta) {
  const check::Tolerance tolerance{.relative = 0.02, .quantum = 0.1};
  EXPECT_TRUE(check::compare("y", floats({20, 1}), floats({20, 1.19f}), tolerance).passed);
  EXPECT_FALSE(check::compare("y", floats({20, 1}), floats({20, 1.21f}), tolerance).passed);
  // ... but never by more than 2 %.
  EXPECT_FALSE(check::compare("y", floats({5, 1}), floats({5, 1.15f}), tolerance).passed);
  const auto bytes = [](uint8_t x) { return Tensor::of<uint8_t>(DType::kUint8, {1}, std::vector{x}); };
  EXPECT_TRUE(check::compare("y", bytes(7), bytes(9), {.quantum = 1}).passed);
  EXPECT_FALSE(check::compare("y", bytes(7), bytes(10), {.quantum = 1}).passed);
}

}  // namespace
}  // namespace mts
