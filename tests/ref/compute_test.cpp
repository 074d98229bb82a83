// Reductions, products, convolution, pooling, normalisation, softmax, recurrent and attention operators.
#include "tests/ref/run_node.h"

#include <cmath>

#include <gmock/gmock.h>

namespace mts::test {
namespace {

using testing::ElementsAre;
using testing::FloatNear;

std::vector<int64_t> ints(std::initializer_list<int64_t> values) { return values; }

TEST(Reduce, AxesComeFromAttributeOrInput) {
  const Tensor x = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_THAT(values<float>(run_one({"ReduceSum", {{"axes", ints({1})}, {"keepdims", int64_t{0}}}, 11}, {x})),
              ElementsAre(6, 15));
  EXPECT_THAT(values<float>(run_one({"ReduceSum"}, {x, int64s({1}, {0})})), ElementsAre(5, 7, 9));
  EXPECT_EQ(run_one({"ReduceMean"}, {x}).dims(), (Dims{1, 1}));
}

TEST(Reduce, NoopWithEmptyAxes) {
  const Tensor x = floats({2}, {1, 2});
  EXPECT_THAT(values<float>(run_one({"ReduceSum", {{"noop_with_empty_axes", int64_t{1}}}}, {x})),
              ElementsAre(1, 2));
}

TEST(Reduce, OverNothing) {
  const Tensor y = run_one({"ReduceMax"}, {floats({0, 2}, {}), int64s({1}, {0})});
  EXPECT_THAT(values<float>(y), ElementsAre(-INFINITY, -INFINITY));
  EXPECT_THAT(values<float>(run_one({"ReduceSum"}, {floats({0}, {})})), ElementsAre(0));
}

TEST(Reduce, LogSumExpIsStable) {
  EXPECT_NEAR(run_one({"ReduceLogSumExp"}, {floats({2}, {1000, 1000})}).as<float>()[0], 1000 + std::log(2.0),
              1e-3);
}

TEST(Reduce, AxisErrors) {
  EXPECT_EQ(refusal({"ReduceSum"}, {floats({2}, {1, 2}), int64s({1}, {1})}), ErrorCode::kModel);
  EXPECT_EQ(refusal({"ReduceSum"}, {floats({2}, {1, 2}), int64s({2}, {0, -1})}), ErrorCode::kModel);
}

TEST(Reduce, ArgMaxTakesFirstOrLast) {
  const Tensor x = floats({4}, {1, 3, 3, 2});
  EXPECT_THAT(values<int64_t>(run_one({"ArgMax"}, {x})), ElementsAre(1));
  EXPECT_THAT(values<int64_t>(run_one({"ArgMax", {{"select_last_index", int64_t{1}}}}, {x})), ElementsAre(2));
}

TEST(MatMul, BroadcastsBatchesAndVectors) {
  const Tensor a = floats({2, 1, 2}, {1, 2, 3, 4});
  EXPECT_THAT(values<float>(run_one({"MatMul"}, {a, floats({2, 2}, {1, 0, 0, 1})})), ElementsAre(1, 2, 3, 4));
  const Tensor y = run_one({"MatMul"}, {floats({2}, {1, 2}), floats({2}, {3, 4})});
  EXPECT_TRUE(y.dims().empty());
  EXPECT_EQ(*y.as<float>(), 11);
  EXPECT_EQ(refusal({"MatMul"}, {floats({1, 2}, {1, 2}), floats({1, 2}, {1, 2})}), ErrorCode::kModel);
}

TEST(MatMul, ZeroPointMustBroadcast) {
  const Tensor x = bytes(DType::kUint8, {2, 2}, {1, 2, 3, 4}), wide = bytes(DType::kUint8, {2, 1, 1}, {0, 0});
  EXPECT_EQ(refusal({"MatMulInteger"}, {x, x, wide}), ErrorCode::kModel);
  EXPECT_EQ(values<int32_t>(run_one({"MatMulInteger"}, {x, x, bytes(DType::kUint8, {2, 1}, {1, 3})})),
            (std::vector<int32_t>{3, 4, 3, 4}));
}

TEST(MatMul, GemmTransposesAndScales) {
  const NodeCall call{"Gemm", {{"transB", int64_t{1}}, {"alpha", 2.0f}, {"beta", 0.5f}}};
  const Tensor y =
      run_one(call, {floats({1, 2}, {1, 2}), floats({2, 2}, {1, 2, 3, 4}), floats({2}, {10, 20})});
  EXPECT_THAT(values<float>(y), ElementsAre(2 * 5 + 5, 2 * 11 + 10));
}

TEST(MatMul, EinsumOfDiagonalAndBatch) {
  EXPECT_THAT(values<float>(
                  run_one({"Einsum", {{"equation", std::string("ii->i")}}}, {floats({2, 2}, {1, 2, 3, 4})})),
              ElementsAre(1, 4));
  const NodeCall batch{"Einsum", {{"equation", std::string("...ij, ...jk -> ...ik")}}};
  EXPECT_THAT(values<float>(run_one(batch, {floats({1, 1, 2}, {1, 2}), floats({1, 2, 1}, {3, 4})})),
              ElementsAre(11));
  EXPECT_EQ(refusal({"Einsum", {{"equation", std::string("ij->k")}}}, {floats({1, 1}, {1})}),
            ErrorCode::kModel);
}

TEST(Conv, PadsStridesAndGroups) {
  const Tensor x = floats({1, 2, 3}, {1, 2, 3, 10, 20, 30});
  const Tensor w = floats({2, 1, 2}, {1, 1, 1, -1});
  const NodeCall call{"Conv", {{"group", int64_t{2}}, {"pads", ints({1, 0})}}};
  EXPECT_THAT(values<float>(run_one(call, {x, w, floats({2}, {0, 100})})), ElementsAre(1, 3, 5, 90, 90, 90));
  EXPECT_EQ(refusal({"Conv", {{"group", int64_t{3}}}}, {x, w}), ErrorCode::kModel);
  EXPECT_EQ(refusal({"Conv", {{"strides", ints({0})}}}, {x, floats({1, 2, 1}, {1, 1})}), ErrorCode::kModel);
}

TEST(Conv, SameUpperPutsTheOddPadBehind) {
  const NodeCall call{"Conv", {{"auto_pad", std::string("SAME_UPPER")}}};
  EXPECT_THAT(values<float>(run_one(call, {floats({1, 1, 3}, {1, 2, 3}), floats({1, 1, 2}, {1, 10})})),
              ElementsAre(21, 32, 3));
}

TEST(Conv, TransposeSpreads) {
  const NodeCall call{"ConvTranspose", {{"strides", ints({2})}}};
  EXPECT_THAT(values<float>(run_one(call, {floats({1, 1, 2}, {1, 2}), floats({1, 1, 2}, {1, 10})})),
              ElementsAre(1, 10, 2, 20));
}

TEST(Conv, FourSpatialAxesAreUnsupported) {
  EXPECT_EQ(refusal({"Conv"}, {floats({1, 1, 1, 1, 1, 1}, {1}), floats({1, 1, 1, 1, 1, 1}, {1})}),
            ErrorCode::kUnsupported);
}

TEST(Pool, MaxGivesIndicesOfThePlane) {
  const NodeCall call{"MaxPool", {{"kernel_shape", ints({2, 2})}, {"strides", ints({2, 2})}}, 21, "", 2};
  auto result = run(call, {floats({1, 2, 2, 2}, {1, 4, 3, 2, 5, 6, 8, 7})});
  ASSERT_TRUE(result) << result.error().to_string();
  EXPECT_THAT(values<float>(*(*result)[0].tensor()), ElementsAre(4, 8));
  EXPECT_THAT(values<int64_t>(*(*result)[1].tensor()), ElementsAre(1, 6));
}

TEST(Pool, AverageCountsThePadOnDemand) {
  std::vector<Attr> attributes{{"kernel_shape", ints({2})}, {"pads", ints({1, 0})}};
  const Tensor x = floats({1, 1, 2}, {2, 4});
  EXPECT_THAT(values<float>(run_one({"AveragePool", attributes}, {x})), ElementsAre(2, 3));
  attributes.push_back({"count_include_pad", int64_t{1}});
  EXPECT_THAT(values<float>(run_one({"AveragePool", attributes}, {x})), ElementsAre(1, 3));
}

TEST(Pool, CeilModeLeavesOutWindowsThatStartInThePad) {
  const NodeCall call{"MaxPool",
                      {{"kernel_shape", ints({1})}, {"strides", ints({2})}, {"ceil_mode", int64_t{1}}}};
  EXPECT_EQ(run_one(call, {floats({1, 1, 2}, {1, 2})}).dims(), (Dims{1, 1, 1}));
}

TEST(Normalise, BatchNormalizationByFormula) {
  const std::vector<std::optional<Datum>> inputs{floats({1, 2, 1}, {3, 5}), floats({2}, {1, 2}),
                                                 floats({2}, {0, 1}), floats({2}, {1, 1}),
                                                 floats({2}, {4, 4})};
  const Tensor y = run_one({"BatchNormalization", {{"epsilon", 0.0f}}}, inputs);
  EXPECT_THAT(values<float>(y), ElementsAre(1, 5));
}

TEST(Normalise, LayerNormalizationKeepsMeanInFloat) {
  const Tensor x =
      Tensor::of<uint16_t>(DType::kFloat16, {1, 2}, std::vector<uint16_t>{0x3c00, 0x4200});  // 1, 3
  const Tensor scale = Tensor::of<uint16_t>(DType::kFloat16, {2}, std::vector<uint16_t>{0x3c00, 0x3c00});
  auto result = run({"LayerNormalization", {{"epsilon", 0.0f}}, 17, "", 3}, {x, scale});
  ASSERT_TRUE(result) << result.error().to_string();
  EXPECT_THAT(values<uint16_t>(*(*result)[0].tensor()), ElementsAre(0xbc00, 0x3c00));
  EXPECT_EQ((*result)[1].tensor()->dtype(), DType::kFloat32);
  EXPECT_THAT(values<float>(*(*result)[1].tensor()), ElementsAre(2));
}

TEST(Normalise, GroupNormalizationTakesScalePerGroupOrChannel) {
  const Tensor x = floats({1, 2, 2}, {0, 2, 0, 4});
  const NodeCall call{"GroupNormalization", {{"num_groups", int64_t{2}}, {"epsilon", 0.0f}}};
  EXPECT_THAT(values<float>(run_one(call, {x, floats({2}, {1, 3}), floats({2}, {0, 1})})),
              ElementsAre(-1, 1, -2, 4));
  EXPECT_EQ(refusal({"GroupNormalization", {{"num_groups", int64_t{3}}}},
                    {x, floats({2}, {1, 1}), floats({2}, {0, 0})}),
            ErrorCode::kModel);
}

TEST(Softmax, OldOneFlattens) {
  const Tensor x = floats({1, 2, 2}, {0, 0, 0, 0});
  EXPECT_THAT(values<float>(run_one({"Softmax", {}, 11}, {x})), ElementsAre(0.25f, 0.25f, 0.25f, 0.25f));
  EXPECT_THAT(values<float>(run_one({"Softmax", {}, 13}, {x})), ElementsAre(0.5f, 0.5f, 0.5f, 0.5f));
}

TEST(Recurrent, LstmOfOneStepByHand) {
  // One input, one unit, all weights 1, no bias: gates = sigmoid(1), candidate = tanh(1).
  const NodeCall call{"LSTM", {{"hidden_size", int64_t{1}}}, 14, "", 3};
  auto result =
      run(call, {floats({1, 1, 1}, {1}), floats({1, 4, 1}, {1, 1, 1, 1}), floats({1, 4, 1}, {1, 1, 1, 1})});
  ASSERT_TRUE(result) << result.error().to_string();
  const double gate = 1 / (1 + std::exp(-1.0)), cell = gate * std::tanh(1.0);
  EXPECT_NEAR(*(*result)[2].tensor()->as<float>(), cell, 1e-6);
  EXPECT_NEAR(*(*result)[0].tensor()->as<float>(), gate * std::tanh(cell), 1e-6);
}

TEST(Recurrent, ReverseStopsAtEachLength) {
  // y = relu(x + h): running sums from the end of each sequence.
  const NodeCall call{"RNN",
                      {{"hidden_size", int64_t{1}},
                       {"direction", std::string("reverse")},
                       {"activations", std::vector<std::string>{"Relu"}}},
                      14};
  const Tensor y = run_one(call, {floats({3, 1, 1}, {1, 2, 4}), floats({1, 1, 1}, {1}),
                                  floats({1, 1, 1}, {1}), std::nullopt, int32s({1}, {2})});
  EXPECT_THAT(values<float>(y), ElementsAre(3, 2, 0));
}

TEST(Attention, CausalFirstRowSeesOneKey) {
  const Tensor q = floats({1, 1, 2, 1}, {1, 1}), v = floats({1, 1, 2, 1}, {5, 7});
  const Tensor y = run_one({"Attention", {{"is_causal", int64_t{1}}}, 23}, {q, q, v});
  EXPECT_THAT(values<float>(y), ElementsAre(5, 6));
}

TEST(Attention, HeadsMustFit) {
  const Tensor x = floats({1, 1, 3}, {1, 2, 3});
  EXPECT_EQ(
      refusal({"Attention", {{"q_num_heads", int64_t{2}}, {"kv_num_heads", int64_t{2}}}, 23}, {x, x, x}),
      ErrorCode::kModel);
}

}  // namespace
}  // namespace mts::test
