// Reshaping, slicing, padding, gathering, selecting, casting, quantising, resizing.
#include "tests/ref/run_node.h"

#include <cmath>

#include <gmock/gmock.h>

namespace mts::test {
namespace {

using testing::ElementsAre;

std::vector<int64_t> ints(std::initializer_list<int64_t> values) { return values; }

TEST(Shape, ReshapeInfersAndCopies) {
  const Tensor x = floats({2, 3, 2}, std::vector<float>(12));
  EXPECT_EQ(run_one({"Reshape"}, {x, int64s({2}, {0, -1})}).dims(), (Dims{2, 6}));
  EXPECT_EQ(run_one({"Reshape", {{"shape", ints({4, 3})}}, 1}, {x}).dims(), (Dims{4, 3}));
  EXPECT_EQ(refusal({"Reshape"}, {x, int64s({2}, {-1, -1})}), ErrorCode::kModel);
  EXPECT_EQ(refusal({"Reshape"}, {x, int64s({1}, {5})}), ErrorCode::kModel);
  EXPECT_EQ(refusal({"Reshape"}, {x, int64s({2}, {INT64_MAX, 4})}), ErrorCode::kModel);
}

TEST(Shape, SqueezeAndUnsqueezeOfBothOpsets) {
  const Tensor x = floats({1, 2, 1}, {1, 2});
  EXPECT_EQ(run_one({"Squeeze", {{"axes", ints({0})}}, 11}, {x}).dims(), (Dims{2, 1}));
  EXPECT_EQ(run_one({"Squeeze"}, {x, int64s({1}, {-1})}).dims(), (Dims{1, 2}));
  EXPECT_EQ(run_one({"Squeeze"}, {x}).dims(), (Dims{2}));
  EXPECT_EQ(refusal({"Squeeze"}, {x, int64s({1}, {1})}), ErrorCode::kModel);
  EXPECT_EQ(run_one({"Unsqueeze"}, {x, int64s({2}, {0, -1})}).dims(), (Dims{1, 1, 2, 1, 1}));
}

TEST(Shape, TransposeOfPackedElements) {
  // int4 values 1 2 3 / 4 5 6, low nibble first.
  const Tensor x = bytes(DType::kInt4, {2, 3}, {0x21, 0x43, 0x65});
  const Tensor y = run_one({"Transpose"}, {x});
  EXPECT_EQ(y.dtype(), DType::kInt4);
  EXPECT_THAT((std::vector<uint8_t>{y.as<uint8_t>(), y.as<uint8_t>() + y.byte_size()}),
              ElementsAre(0x41, 0x52, 0x63));
}

TEST(Shape, ConcatAndSplitAreInverse) {
  const Tensor a = floats({2, 1}, {1, 4}), b = floats({2, 2}, {2, 3, 5, 6});
  const Tensor both = run_one({"Concat", {{"axis", int64_t{1}}}}, {a, b});
  EXPECT_THAT(values<float>(both), ElementsAre(1, 2, 3, 4, 5, 6));
  auto parts = run({"Split", {{"axis", int64_t{1}}}, 18, "", 2}, {both, int64s({2}, {1, 2})});
  ASSERT_TRUE(parts) << parts.error().to_string();
  EXPECT_EQ(values<float>(*(*parts)[0].tensor()), values<float>(a));
  EXPECT_EQ(values<float>(*(*parts)[1].tensor()), values<float>(b));
  EXPECT_EQ(refusal({"Split", {{"axis", int64_t{1}}}, 18, "", 2}, {both, int64s({2}, {1, 1})}),
            ErrorCode::kModel);
  EXPECT_EQ(refusal({"Concat", {{"axis", int64_t{0}}}}, {a, b}), ErrorCode::kModel);
}

TEST(Shape, SplitIntoUnequalPartsLeavesTheLastSmaller) {
  auto parts = run({"Split", {{"num_outputs", int64_t{2}}}, 18, "", 2}, {floats({3}, {1, 2, 3})});
  ASSERT_TRUE(parts) << parts.error().to_string();
  EXPECT_THAT(values<float>(*(*parts)[1].tensor()), ElementsAre(3));
}

TEST(Slice, StepsBothWaysAndClamps) {
  const Tensor x = floats({5}, {0, 1, 2, 3, 4});
  const auto slice = [&](int64_t start, int64_t end, int64_t step) {
    return values<float>(run_one(
        {"Slice"}, {x, int64s({1}, {start}), int64s({1}, {end}), int64s({1}, {0}), int64s({1}, {step})}));
  };
  EXPECT_THAT(slice(1, 100, 2), ElementsAre(1, 3));
  EXPECT_THAT(slice(-1, INT64_MIN, -2), ElementsAre(4, 2, 0));
  EXPECT_THAT(slice(3, 1, 1), ElementsAre());
  EXPECT_THAT(slice(0, INT64_MAX, INT64_MAX), ElementsAre(0));
  EXPECT_EQ(refusal({"Slice"}, {x, int64s({1}, {0}), int64s({1}, {1}), int64s({1}, {0}), int64s({1}, {0})}),
            ErrorCode::kModel);
  EXPECT_THAT(values<float>(run_one({"Slice", {{"starts", ints({1})}, {"ends", ints({3})}}, 9}, {x})),
              ElementsAre(1, 2));
}

TEST(Pad, AllModes) {
  const Tensor x = floats({3}, {1, 2, 3}), pads = int64s({2}, {2, 1});
  const auto pad = [&](const char* mode) {
    return values<float>(run_one({"Pad", {{"mode", std::string(mode)}}}, {x, pads}));
  };
  EXPECT_THAT(pad("constant"), ElementsAre(0, 0, 1, 2, 3, 0));
  EXPECT_THAT(pad("edge"), ElementsAre(1, 1, 1, 2, 3, 3));
  EXPECT_THAT(pad("reflect"), ElementsAre(3, 2, 1, 2, 3, 2));
  EXPECT_THAT(pad("wrap"), ElementsAre(2, 3, 1, 2, 3, 1));
  EXPECT_THAT(values<float>(run_one({"Pad"}, {x, int64s({2}, {-1, 0})})), ElementsAre(2, 3));
  EXPECT_EQ(refusal({"Pad"}, {x, int64s({2}, {-4, 0})}), ErrorCode::kModel);
}

TEST(Sizes, AbsurdOnesAreRefused) {
  EXPECT_EQ(refusal({"Expand"}, {floats({1}, {1}), int64s({2}, {int64_t{1} << 40, int64_t{1} << 40})}),
            ErrorCode::kModel);
  EXPECT_EQ(refusal({"ConstantOfShape"}, {int64s({1}, {-1})}), ErrorCode::kModel);
  EXPECT_EQ(refusal({"Tile"}, {floats({2}, {1, 2}), int64s({1}, {INT64_MAX})}), ErrorCode::kModel);
  EXPECT_EQ(refusal({"Range"}, {int64s({}, {0}), int64s({}, {1}), int64s({}, {0})}), ErrorCode::kModel);
}

TEST(Gather, NegativeAndOutOfRangeIndices) {
  const Tensor x = floats({3, 2}, {1, 2, 3, 4, 5, 6});
  EXPECT_THAT(values<float>(run_one({"Gather"}, {x, int64s({1}, {-1})})), ElementsAre(5, 6));
  EXPECT_EQ(refusal({"Gather"}, {x, int64s({1}, {3})}), ErrorCode::kModel);
  EXPECT_EQ(refusal({"Gather", {{"axis", int64_t{2}}}}, {x, int64s({1}, {0})}), ErrorCode::kModel);
  EXPECT_THAT(values<float>(run_one({"GatherND"}, {x, int64s({1, 2}, {1, 0})})), ElementsAre(3));
  EXPECT_EQ(refusal({"GatherND"}, {x, int64s({1, 3}, {0, 0, 0})}), ErrorCode::kModel);
  EXPECT_THAT(values<float>(run_one({"GatherElements", {{"axis", int64_t{0}}}}, {x, int64s({1, 2}, {2, 0})})),
              ElementsAre(5, 2));
}

TEST(Gather, ScatterAddsWhereIndicesRepeat) {
  const Tensor x = floats({2}, {0, 0});
  const NodeCall call{"ScatterElements", {{"reduction", std::string("add")}}};
  EXPECT_THAT(values<float>(run_one(call, {x, int64s({3}, {0, 0, 1}), floats({3}, {1, 2, 5})})),
              ElementsAre(3, 5))
      << "indices may exceed data";
}

TEST(Select, TopKKeepsTheOrderOfTies) {
  auto result = run({"TopK", {}, 11, "", 2}, {floats({4}, {2, 3, 3, 1}), int64s({1}, {3})});
  ASSERT_TRUE(result) << result.error().to_string();
  EXPECT_THAT(values<float>(*(*result)[0].tensor()), ElementsAre(3, 3, 2));
  EXPECT_THAT(values<int64_t>(*(*result)[1].tensor()), ElementsAre(1, 2, 0));
  EXPECT_EQ(refusal({"TopK", {}, 11, "", 2}, {floats({1}, {2}), int64s({1}, {2})}), ErrorCode::kModel);
}

TEST(Select, UniqueUnsortedKeepsFirstOccurrences) {
  auto result = run({"Unique", {{"sorted", int64_t{0}}}, 11, "", 4}, {floats({4}, {2, 1, 2, 3})});
  ASSERT_TRUE(result) << result.error().to_string();
  EXPECT_THAT(values<float>(*(*result)[0].tensor()), ElementsAre(2, 1, 3));
  EXPECT_THAT(values<int64_t>(*(*result)[2].tensor()), ElementsAre(0, 1, 0, 2));
  EXPECT_THAT(values<int64_t>(*(*result)[3].tensor()), ElementsAre(2, 1, 1));
}

Tensor cast(const Tensor& x, DType to, std::vector<Attr> more = {}) {
  more.push_back({"to", static_cast<int64_t>(to)});
  return run_one({"Cast", more}, {x});
}

TEST(Cast, FloatToIntegerTruncates) {
  EXPECT_THAT(values<int32_t>(cast(floats({3}, {1.9f, -1.9f, 3e9f}), DType::kInt32)),
              ElementsAre(1, -1, INT32_MAX));
  EXPECT_THAT(values<uint8_t>(cast(int64s({2}, {256, -1}), DType::kUint8)), ElementsAre(0, 255));
  EXPECT_THAT(values<uint8_t>(cast(floats({3}, {0, 0.1f, NAN}), DType::kBool)), ElementsAre(0, 1, 1));
}

TEST(Cast, Float8SaturatesOrNot) {
  const Tensor x = floats({4}, {1, 1e6f, NAN, -0.0f});
  EXPECT_THAT(values<uint8_t>(cast(x, DType::kFloat8E4M3FN)), ElementsAre(0x38, 0x7e, 0x7f, 0x80));
  EXPECT_THAT(values<uint8_t>(cast(x, DType::kFloat8E4M3FN, {{"saturate", int64_t{0}}})),
              ElementsAre(0x38, 0x7f, 0x7f, 0x80));
  EXPECT_THAT(values<uint8_t>(cast(x, DType::kFloat8E5M2, {{"saturate", int64_t{0}}})),
              ElementsAre(0x3c, 0x7c, 0x7e, 0x80));
  EXPECT_THAT(values<uint8_t>(cast(x, DType::kFloat8E4M3FNUZ)), ElementsAre(0x40, 0x7f, 0x80, 0x00));
}

TEST(Cast, SmallFloatsComeBackExactly) {
  for (DType dtype :
       {DType::kFloat8E4M3FN, DType::kFloat8E4M3FNUZ, DType::kFloat8E5M2, DType::kFloat8E5M2FNUZ}) {
    std::vector<uint8_t> all(256);
    for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint8_t>(i);
    const Tensor wide = cast(bytes(dtype, {256}, all), DType::kFloat32);
    const Tensor back = cast(wide, dtype, {{"saturate", int64_t{0}}});
    for (size_t i = 0; i < all.size(); ++i) {
      if (!std::isnan(wide.as<float>()[i])) {
        EXPECT_EQ(back.as<uint8_t>()[i], all[i]) << name_of(dtype) << " " << i;
      }
    }
  }
}

TEST(Cast, HalfMatchesItsOwnRounding) {
  EXPECT_THAT(values<uint16_t>(cast(floats({4}, {1, 65520, 1e-8f, 6e-8f}), DType::kFloat16)),
              ElementsAre(0x3c00, 0x7c00, 0, 1));
}

TEST(Cast, Strings) {
  EXPECT_THAT(values<float>(cast(strings({3}, {"1.5", "-INF", "1e3"}), DType::kFloat32)),
              ElementsAre(1.5f, -INFINITY, 1000));
  EXPECT_THAT(values<int64_t>(cast(strings({1}, {"9007199254740993"}), DType::kInt64)),
              ElementsAre(9007199254740993));
  EXPECT_THAT(cast(int64s({2}, {-3, 4}), DType::kString).strings(), ElementsAre("-3", "4"));
  EXPECT_EQ(refusal({"Cast", {{"to", int64_t{1}}}}, {strings({1}, {"x"})}), ErrorCode::kModel);
  EXPECT_EQ(refusal({"Cast", {{"to", int64_t{14}}}}, {floats({1}, {1})}), ErrorCode::kUnsupported);
}

TEST(Quantise, PerAxisAndBlocked) {
  const Tensor x = floats({2, 2}, {1, 2, 3, 4});
  const Tensor per_axis = run_one({"QuantizeLinear", {{"axis", int64_t{0}}}},
                                  {x, floats({2}, {1, 2}), bytes(DType::kUint8, {2}, {0, 10})});
  EXPECT_THAT(values<uint8_t>(per_axis), ElementsAre(1, 2, 12, 12)) << "1.5 goes to even";
  const NodeCall blocked{"DequantizeLinear", {{"axis", int64_t{1}}, {"block_size", int64_t{2}}}};
  EXPECT_THAT(
      values<float>(run_one(blocked, {bytes(DType::kUint8, {2, 2}, {1, 2, 3, 4}), floats({2, 1}, {1, 10})})),
      ElementsAre(1, 2, 30, 40));
  EXPECT_EQ(refusal({"QuantizeLinear", {{"axis", int64_t{0}}}}, {x, floats({3}, {1, 1, 1})}),
            ErrorCode::kModel);
}

TEST(Quantise, Saturates) {
  const Tensor zero = bytes(DType::kInt8, {}, {0});
  const Tensor y = run_one({"QuantizeLinear"}, {floats({2}, {1000, -1000}), floats({}, {1}), zero});
  EXPECT_THAT(values<int8_t>(y), ElementsAre(127, -128));
}

TEST(Resize, NearestAndLinear) {
  const Tensor x = floats({1, 1, 1, 2}, {0, 4}), scales = floats({4}, {1, 1, 1, 2});
  EXPECT_THAT(values<float>(run_one({"Resize"}, {x, std::nullopt, scales})), ElementsAre(0, 0, 4, 4));
  EXPECT_THAT(
      values<float>(run_one({"Resize", {{"mode", std::string("linear")}}}, {x, std::nullopt, scales})),
      ElementsAre(0, 1, 3, 4));
  EXPECT_EQ(refusal({"Resize"}, {x}), ErrorCode::kModel);
}

TEST(Sequence, SplitsElementsOfLessThanAByte) {
  // 1 2 | 3 4 | 5 along the last axis of [2,5]: the parts do not start at bytes.
  const Tensor x = bytes(DType::kUint4, {2, 5}, {0x21, 0x43, 0x65, 0x87, 0xa9});
  const auto result = run({"SplitToSequence", {{"axis", int64_t{1}}}}, {Datum(x), Datum(int64s({}, {2}))});
  ASSERT_TRUE(result) << result.error().to_string();
  const auto& parts = std::get<Sequence>((*result)[0].value);
  ASSERT_EQ(parts.size(), 3u);
  const Tensor &first = *parts[0].tensor(), &last = *parts[2].tensor();
  EXPECT_EQ(first.dtype(), DType::kUint4);
  EXPECT_EQ(first.dims(), (Dims{2, 2}));
  EXPECT_THAT(std::vector<uint8_t>(first.as<uint8_t>(), first.as<uint8_t>() + 2), ElementsAre(0x21, 0x76));
  EXPECT_EQ(last.dims(), (Dims{2, 1}));
  EXPECT_EQ(*last.as<uint8_t>(), 0xa5);
}

TEST(Sequence, InsertAndAt) {
  Sequence sequence;
  sequence.emplace_back(floats({1}, {1}));
  auto longer = run({"SequenceInsert"}, {Datum(sequence), Datum(floats({1}, {2})), Datum(int64s({}, {0}))});
  ASSERT_TRUE(longer) << longer.error().to_string();
  EXPECT_THAT(values<float>(run_one({"SequenceAt"}, {(*longer)[0], int64s({}, {-1})})), ElementsAre(1));
  EXPECT_EQ(refusal({"SequenceAt"}, {Datum(sequence), Datum(int64s({}, {1}))}), ErrorCode::kModel);
  EXPECT_EQ(refusal({"Relu"}, {Datum(sequence)}), ErrorCode::kModel);
}

TEST(Ml, ClassifierWithOneScoreForTwoClasses) {
  const NodeCall call{"LinearClassifier",
                      {{"coefficients", std::vector<float>{1, 1}},
                       {"intercepts", std::vector<float>{-1}},
                       {"classlabels_ints", ints({7, 9})},
                       {"post_transform", std::string("LOGISTIC")}},
                      21,
                      "ai.onnx.ml",
                      2};
  auto result = run(call, {floats({2, 2}, {2, 2, 0, 0})});
  ASSERT_TRUE(result) << result.error().to_string();
  EXPECT_THAT(values<int64_t>(*(*result)[0].tensor()), ElementsAre(9, 7));
  EXPECT_NEAR((*result)[1].tensor()->as<float>()[1], 1 / (1 + std::exp(-3.0)), 1e-6);
}

TEST(Ml, ZipMapGivesMaps) {
  auto result =
      run({"ZipMap", {{"classlabels_strings", std::vector<std::string>{"a", "b"}}}, 21, "ai.onnx.ml"},
          {floats({1, 2}, {0.25f, 0.75f})});
  ASSERT_TRUE(result) << result.error().to_string();
  const auto& maps = std::get<Sequence>((*result)[0].value);
  ASSERT_EQ(maps.size(), 1u);
  const auto& map = std::get<Map>(maps[0].value);
  EXPECT_THAT(map.keys.strings(), ElementsAre("a", "b"));
  EXPECT_EQ(*map.values[1].tensor()->as<float>(), 0.75f);
}

}  // namespace
}  // namespace mts::test
