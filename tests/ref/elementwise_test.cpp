#include "tests/ref/run_node.h"

#include <cmath>
#include <limits>

#include <gmock/gmock.h>

namespace mts::test {
namespace {

using testing::ElementsAre;
using testing::FloatNear;
using testing::Pointwise;

TEST(Elementwise, ReluKeepsNanAndClearsNegatives) {
  const Tensor y = run_one({"Relu"}, {floats({3}, {-1, 2, NAN})});
  EXPECT_EQ(y.as<float>()[0], 0);
  EXPECT_EQ(y.as<float>()[1], 2);
  EXPECT_TRUE(std::isnan(y.as<float>()[2]));
}

TEST(Elementwise, SigmoidDoesNotOverflow) {
  EXPECT_THAT(values<float>(run_one({"Sigmoid"}, {floats({3}, {-1000, 0, 1000})})), ElementsAre(0, 0.5f, 1));
}

TEST(Elementwise, GeluInBothForms) {
  EXPECT_NEAR(run_one({"Gelu"}, {floats({}, {1})}).as<float>()[0], 0.8413447f, 1e-6);
  EXPECT_NEAR(run_one({"Gelu", {{"approximate", std::string("tanh")}}}, {floats({}, {1})}).as<float>()[0],
              0.841192f, 1e-6);
  EXPECT_EQ(refusal({"Gelu", {{"approximate", std::string("x")}}}, {floats({}, {1})}), ErrorCode::kModel);
}

TEST(Elementwise, RoundGoesToEven) {
  EXPECT_THAT(values<float>(run_one({"Round"}, {floats({4}, {0.5, 1.5, 2.5, -2.5})})),
              ElementsAre(0, 2, 2, -2));
}

TEST(Elementwise, BroadcastsBothSides) {
  const Tensor y = run_one({"Add"}, {floats({2, 1}, {1, 2}), floats({1, 3}, {10, 20, 30})});
  EXPECT_EQ(y.dims(), (Dims{2, 3}));
  EXPECT_THAT(values<float>(y), ElementsAre(11, 21, 31, 12, 22, 32));
}

TEST(Elementwise, BroadcastWithEmptyAxis) {
  EXPECT_EQ(run_one({"Mul"}, {floats({0, 2}, {}), floats({1}, {3})}).dims(), (Dims{0, 2}));
}

TEST(Elementwise, OldBroadcastAlignsToAxis) {
  const NodeCall call{"Add", {{"broadcast", int64_t{1}}, {"axis", int64_t{0}}}, 6};
  EXPECT_THAT(values<float>(run_one(call, {floats({2, 2}, {1, 2, 3, 4}), floats({2}, {10, 20})})),
              ElementsAre(11, 12, 23, 24));
}

TEST(Elementwise, ShapesThatDoNotBroadcastAreRefused) {
  EXPECT_EQ(refusal({"Add"}, {floats({2}, {1, 2}), floats({3}, {1, 2, 3})}), ErrorCode::kModel);
}

TEST(Elementwise, MixedTypesAreRefused) {
  EXPECT_EQ(refusal({"Add"}, {floats({1}, {1}), int64s({1}, {1})}), ErrorCode::kModel);
}

TEST(Elementwise, MissingInputIsRefused) {
  EXPECT_EQ(refusal({"Add"}, {floats({1}, {1})}), ErrorCode::kModel);
}

TEST(Elementwise, IntegerDivisionHasNoUndefinedCases) {
  const int32_t lowest = std::numeric_limits<int32_t>::min();
  EXPECT_THAT(values<int32_t>(run_one({"Div"}, {int32s({3}, {7, lowest, 5}), int32s({3}, {-2, -1, 0})})),
              ElementsAre(-3, lowest, 0));
}

TEST(Elementwise, ModFollowsDivisorOrDividend) {
  const Tensor a = int64s({4}, {-4, 7, 4, -7}), b = int64s({4}, {3, -3, -3, 3});
  EXPECT_THAT(values<int64_t>(run_one({"Mod"}, {a, b})), ElementsAre(2, -2, -2, 2));
  EXPECT_THAT(values<int64_t>(run_one({"Mod", {{"fmod", int64_t{1}}}}, {a, b})), ElementsAre(-1, 1, 1, -1));
}

TEST(Elementwise, PowOfMixedTypesKeepsTheBase) {
  const Tensor y = run_one({"Pow"}, {int64s({3}, {1, 2, 3}), floats({}, {2})});
  EXPECT_EQ(y.dtype(), DType::kInt64);
  EXPECT_THAT(values<int64_t>(y), ElementsAre(1, 4, 9));
}

TEST(Elementwise, ClipTakesBoundsFromAttributesOrInputs) {
  const Tensor x = floats({3}, {-5, 0, 5});
  EXPECT_THAT(values<float>(run_one({"Clip", {{"min", -1.0f}, {"max", 2.0f}}, 6}, {x})),
              ElementsAre(-1, 0, 2));
  EXPECT_THAT(values<float>(run_one({"Clip"}, {x, std::nullopt, floats({}, {1})})), ElementsAre(-5, 0, 1));
  EXPECT_THAT(values<float>(run_one({"Clip"}, {x, floats({}, {3}), floats({}, {1})})), ElementsAre(1, 1, 1));
}

TEST(Elementwise, MaxPropagatesNan) {
  EXPECT_TRUE(std::isnan(run_one({"Max"}, {floats({1}, {NAN}), floats({1}, {1})}).as<float>()[0]));
  EXPECT_THAT(values<float>(run_one({"Max"}, {floats({2}, {1, 5}), floats({1}, {2}), floats({1}, {3})})),
              ElementsAre(3, 5));
}

TEST(Elementwise, WhereOfStrings) {
  const Tensor y = run_one({"Where"}, {bools({2, 1}, {1, 0}), strings({2}, {"a", "b"}), strings({}, {"z"})});
  EXPECT_THAT(y.strings(), ElementsAre("a", "b", "z", "z"));
}

TEST(Elementwise, ComparisonsGiveBool) {
  const Tensor y = run_one({"LessOrEqual"}, {floats({3}, {1, 2, NAN}), floats({}, {2})});
  EXPECT_EQ(y.dtype(), DType::kBool);
  EXPECT_THAT(values<uint8_t>(y), ElementsAre(1, 1, 0));
}

TEST(Elementwise, HalfPrecisionIsRoundedOnce) {
  // 1 + 2^-11 is a tie in float16 and goes to even; with 3 * 2^-11 it is not.
  const Tensor one = Tensor::of<uint16_t>(DType::kFloat16, {2}, std::vector<uint16_t>{0x3c00, 0x3c00});
  const Tensor small = Tensor::of<uint16_t>(DType::kFloat16, {2}, std::vector<uint16_t>{0x1000, 0x1600});
  const Tensor y = run_one({"Add"}, {one, small});
  EXPECT_EQ(y.dtype(), DType::kFloat16);
  EXPECT_THAT(values<uint16_t>(y), ElementsAre(0x3c00, 0x3c02));
}

TEST(Elementwise, UnknownOperatorIsUnsupported) {
  EXPECT_EQ(refusal({"NoSuchOperator"}, {}), ErrorCode::kUnsupported);
  EXPECT_EQ(refusal({"Gelu", {}, 19}, {floats({1}, {1})}), ErrorCode::kUnsupported)
      << "Gelu came with opset 20";
}

TEST(Elementwise, DropoutInTrainingIsRefused) {
  EXPECT_THAT(values<float>(run_one({"Dropout"}, {floats({2}, {1, 2})})), ElementsAre(1, 2));
  EXPECT_EQ(refusal({"Dropout"}, {floats({1}, {1}), floats({}, {0.5}), bools({}, {1})}),
            ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace mts::test
