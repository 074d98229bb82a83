// Families that share neurons: split, every element is stored once, and every model computes what it did.
#include "tests/partial/split.h"

#include "tests/partial/neurons.h"

#include <algorithm>

namespace mts::testing_partial {
namespace {

std::string two_convs(const Ids& hidden, const Ids& last) {
  return head("float[N, 2, 5] x", "float[N, " + std::to_string(last.size()) + ", 5] y",
              {weight("w0", 1, hidden, {1, 2}, 3), vector("b0", 2, hidden),
               weight("w1", 3, last, hidden, 3)}) +
         "{ c = Conv <pads = [1, 1]> (x, w0, b0) \n r = Relu(c) \n y = Conv <pads = [1, 1]> (r, w1) }";
}

TEST(Split, BlocksOfConvolutions) {
  expect_split({two_convs({10, 11, 12, 13}, {20, 21, 22}), two_convs({10, 11, 14, 15, 16}, {20, 23})});
}

TEST(Split, NeuronsAtAnyIndex) {
  expect_split({two_convs({10, 11, 12, 13}, {20, 21, 22}), two_convs({14, 11, 15, 10}, {23, 20, 21})});
}

TEST(Split, SubsetsOfThreeModels) {
  expect_split({two_convs({10, 11, 12, 13, 17}, {20, 21, 22}), two_convs({10, 11, 14, 15, 16}, {20, 23}),
                two_convs({10, 12, 15, 18}, {20, 22, 23, 24})});
}

TEST(Split, AModelThatIsShareableAsAWhole) {
  expect_split({two_convs({10, 11}, {20}), two_convs({10, 11, 12, 13}, {20, 21})});
}

// Nothing of the first layer is kept; only what the second one reads tells which neuron is which.
std::string retrained(const Ids& rows, const Ids& hidden, const Ids& last) {
  return head("float[N, 2, 5] x", "float[N, " + std::to_string(last.size()) + ", 5] y",
              {weight("w0", 1, rows, {1, 2}, 3), weight("w1", 3, last, hidden, 3)}) +
         "{ c = Conv <pads = [1, 1]> (x, w0) \n r = Relu(c) \n y = Conv <pads = [1, 1]> (r, w1) }";
}

TEST(Split, NeuronsOfWhichNoRowIsKept) {
  expect_split({retrained({100, 101, 102, 103}, {10, 11, 12, 13}, {20, 21, 22}),
                retrained({200, 201, 202, 203}, {13, 10, 12, 11}, {23, 20, 22})});
  expect_split({retrained({100, 101, 102, 103}, {10, 11, 12, 13}, {20, 21, 22}),
                retrained({200, 201, 202}, {14, 10, 12}, {20, 21, 23})});
}

std::string depthwise(const Ids& hidden, const Ids& last) {
  return head("float[N, 2, 5] x", "float[N, " + std::to_string(last.size()) + "] y",
              {weight("w0", 1, hidden, {1, 2}, 3), weight("w1", 3, hidden, {1}, 3),
               weight("w2", 5, last, hidden)}) +
         "{ c = Conv <pads = [1, 1]> (x, w0) \n d = Conv <pads = [1, 1], group = " +
         std::to_string(hidden.size()) +
         "> (c, w1) \n p = GlobalAveragePool(d) \n f = Flatten <axis = 1> (p) \n "
         "y = Gemm <transB = 1> (f, w2) }";
}

// A depthwise convolution of one channel looks like any convolution.
TEST(Split, DepthwiseConvolutionsOfOneChannelToo) {
  expect_split({depthwise({10, 11, 12}, {20, 21}), depthwise({11}, {20, 22})});
}

std::string residual(const Ids& stream, const Ids& inner, const Ids& classes) {
  return head("float[N, 2, 4] x", "float[N, " + std::to_string(classes.size()) + "] y",
              {weight("w0", 1, stream, {1, 2}, 3), weight("w1", 3, inner, stream, 3),
               weight("w2", 4, stream, inner, 3), vector("s", 5, stream), vector("b", 6, stream),
               vector("m", 7, stream), vector("v", 8, stream), weight("w3", 9, classes, stream)}) +
         "{ c0 = Conv <pads = [1, 1]> (x, w0) \n a = Relu(c0) \n c1 = Conv <pads = [1, 1]> (a, w1) \n"
         " r1 = Sigmoid(c1) \n c2 = Conv <pads = [1, 1]> (r1, w2) \n n = BatchNormalization(c2, s, b, m, v) "
         "\n"
         " t = Add(n, a) \n p = GlobalAveragePool(t) \n f = Flatten <axis = 1> (p) \n y = Gemm <transB = 1> "
         "(f, w3) }";
}

TEST(Split, ResidualStreams) {
  expect_split({residual({10, 11, 12, 13}, {20, 21, 22}, {30, 31}),
                residual({13, 14, 10}, {22, 23, 20, 24}, {30, 32, 33})});
}

std::string heads(const Ids& neurons, const std::string& width) {
  Ids columns;
  for (const int neuron : neurons)
    for (int k = 0; k < 2; ++k) columns.push_back(neuron * 2 + k);
  std::vector<std::string> weights;
  for (int i = 0; i < 3; ++i)
    weights.push_back(weight("w" + std::to_string(i), 1 + i, columns, {1, 2, 3}, 1, true));
  weights.push_back(weight("wo", 5, {1, 2, 3}, columns, 1, true));
  const auto count = std::to_string(neurons.size());
  weights.push_back("int64[4] split = {0, 0, " + count + ", 2}");
  weights.push_back("int64[3] join = {0, 0, " + width + "}");
  return head("float[N, 4, 3] x", "float[N, 4, 3] y", weights) +
         "{ q0 = MatMul(x, w0) \n q1 = Reshape(q0, split) \n q = Transpose <perm = [0, 2, 1, 3]> (q1) \n"
         " k0 = MatMul(x, w1) \n k1 = Reshape(k0, split) \n k = Transpose <perm = [0, 2, 3, 1]> (k1) \n"
         " v0 = MatMul(x, w2) \n v1 = Reshape(v0, split) \n v = Transpose <perm = [0, 2, 1, 3]> (v1) \n"
         " s = MatMul(q, k) \n p = Softmax <axis = -1> (s) \n o0 = MatMul(p, v) \n"
         " o1 = Transpose <perm = [0, 2, 1, 3]> (o0) \n o = Reshape(o1, join) \n y = MatMul(o, wo) }";
}

TEST(Split, WholeHeadsOfAttention) { expect_split({heads({10, 11, 12}, "6"), heads({12, 13, 10, 14}, "8")}); }

// With one head, nothing in the model itself says that its columns move as one.
TEST(Split, OneHeadOfAttentionAmongModelsOfSeveral) {
  expect_split({heads({10}, "2"), heads({12, 13, 10, 14}, "8")});
  expect_split({heads({12, 13, 10, 14}, "8"), heads({14}, "2"), heads({15, 10}, "4")});
}

std::string flattened(const Ids& hidden, const Ids& scales, const Ids& classes) {
  return head("float[N, 2, 5] x", "float[N, " + std::to_string(classes.size()) + "] y",
              {weight("w0", 1, hidden, {1, 2}, 3), vector("s", 2, scales), vector("b", 3, scales),
               weight("w1", 4, classes, scales)}) +
         "{ c = Conv <pads = [1, 1]> (x, w0) \n f = Flatten <axis = 1> (c) \n n = LayerNormalization <axis = "
         "-1> (f, s, b) "
         "\n y = Gemm <transB = 1> (n, w1) }";
}

// No order of the channels brings the elements together that both models have.
TEST(Split, ScalesThatAreSharedInsideChannels) {
  expect_split({flattened({10, 11}, {20, 21, 22, 23, 24, 25, 26, 27, 28, 29}, {30, 31}),
                flattened({12, 13}, {20, 41, 22, 43, 24, 45, 26, 47, 28, 29}, {32, 33})});
}

// The map of the second model would take more bytes than the one element that it has in common.
TEST(Split, ScalesThatShareTooLittleStayAsTheyAre) {
  std::vector<Model> models;
  models.push_back(parse(flattened({10, 11}, {20, 21, 22, 23, 24, 25, 26, 27, 28, 29}, {30, 31}), "a"));
  models.push_back(parse(flattened({12, 13}, {20, 41, 42, 43, 44, 45, 46, 47, 48, 49}, {32, 33}), "b"));
  const auto report = partial::split_shared_parts(models, {});
  ASSERT_TRUE(report);
  EXPECT_FALSE(report->changed);
}

std::string table(const Ids& entries, const Ids& features) {
  return head("int64[N, 2] ids", "float[N, 2, " + std::to_string(features.size()) + "] y",
              {weight("t", 1, entries, features)}) +
         "{ e = Gather <axis = 0> (t, ids) \n y = Relu(e) }";
}

TEST(Split, EntriesOfATable) {
  expect_split(
      {table({1, 2, 3, 4, 5}, {10, 11, 12, 13, 14, 15}), table({5, 2, 6, 1}, {10, 11, 12, 13, 14, 15})});
}

TEST(Split, EntriesAndFeaturesOfATable) {
  expect_split({table({1, 2, 3, 4, 5, 7}, {10, 11, 12, 14, 15, 16, 17}),
                table({5, 2, 6, 1, 4, 3}, {13, 12, 10, 17, 16, 15, 14})});
}

std::string mixed(const Ids& hidden, const std::string& middle) {
  return head("float[N, 2, 5] x", "float[N, 2, 5] y",
              {weight("w0", 1, hidden, {1, 2}, 3), weight("w1", 3, {1, 2}, hidden, 3)}) +
         "{ c = Conv <pads = [1, 1]> (x, w0) \n r = " + middle + " \n y = Conv <pads = [1, 1]> (r, w1) }";
}

// What mixes channels or minds their order keeps them where they are.
TEST(Split, OperatorsThatMixChannelsStayRight) {
  for (const char* middle :
       {"Softmax <axis = 1> (c)", "LRN <size = 3> (c)", "Softmax <axis = -1> (c)", "Relu(c)"}) {
    expect_split({mixed({10, 11, 12, 13}, middle), mixed({13, 14, 10, 15}, middle)}, false);
  }
}

// For latency, a few rows stay with those that no other model has; what is left in common is still split off.
TEST(Split, SmallPiecesStayInsideTheSpecificParts) {
  const auto texts = {two_convs({10, 11, 12, 13, 14, 15, 16, 17}, {20, 21, 22}),
                      two_convs({10, 11, 12, 13, 24, 25, 26, 27}, {20, 23, 24}),
                      two_convs({17, 31, 32, 33, 34, 35, 36, 37}, {30, 31, 32})};
  std::vector<size_t> stored;
  for (const auto depth : {partial::Depth::kFull, partial::Depth::kLarge}) {
    std::vector<Model> before, after;
    for (const std::string& text : texts) {
      before.push_back(parse(text, "m" + std::to_string(before.size())));
      after.push_back(parse(text, "m" + std::to_string(after.size())));
    }
    const auto report = partial::split_shared_parts(after, {}, {.depth = depth});
    ASSERT_TRUE(report) << report.error().to_string();
    for (size_t m = 0; m < before.size(); ++m)
      testing_canon::expect_same_results(before[m], after[m], "model " + std::to_string(m));
    stored.push_back(stored_floats(after));
    if (depth == partial::Depth::kFull) {
      EXPECT_EQ(stored.back(), distinct_floats(before));
    }
  }
  EXPECT_EQ(stored[1], stored[0] + 2 * 3 + 1);  // neuron 17: a filter of two channels and three taps, a bias
}

// A planner is told what every layer would come apart into, and says which ones do.
TEST(Split, SomeLayersStayWhole) {
  const auto texts = {two_convs({10, 11, 12, 13}, {20, 21, 22}), two_convs({10, 11, 14}, {20, 23})};
  std::vector<Model> before, again;
  for (const std::string& text : texts) {
    before.push_back(parse(text, "m" + std::to_string(before.size())));
    again.push_back(parse(text, "m" + std::to_string(again.size())));
  }
  const auto splits = partial::possible_splits(before, {});
  ASSERT_EQ(splits.size(), 2u);
  EXPECT_EQ(splits[0].row_groups, 2u) << "filters of both, and the model's own";
  EXPECT_EQ(splits[0].column_groups, 1u);
  EXPECT_EQ(splits[1].column_groups, 2u);
  for (const auto& split : splits) {
    EXPECT_EQ(split.layers, 2u);
    EXPECT_EQ(std::ranges::count(split.parts, 2u, &partial::LayerPart::models), 1) << "one content is shared";
  }
  for (const auto& part : splits[0].parts) {
    EXPECT_EQ(part.columns, 1);
    if (part.models == 2) {
      EXPECT_EQ(part.rows, 0.5);
    }
  }
  const auto report =
      partial::split_shared_parts(again, {}, {.depth = partial::Depth::kLayers, .layers = {splits[0].set}});
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_EQ(report->row_splits, 1);
  EXPECT_EQ(report->block_splits, 0);
  for (size_t m = 0; m < before.size(); ++m)
    testing_canon::expect_same_results(before[m], again[m], "model " + std::to_string(m));
  EXPECT_EQ(stored_floats(again), stored_floats(before) - 2 * 2 * 3 - 2) << "two filters and their biases";
}

TEST(Split, SplittingsHaveNames) {
  using partial::Depth;
  for (const partial::Splitting& splitting :
       {partial::Splitting{Depth::kFull}, {Depth::kBySharers}, {Depth::kLarge}, {Depth::kLayers, {3, 17}}}) {
    const auto again = partial::splitting_of(partial::name_of(splitting));
    ASSERT_TRUE(again) << partial::name_of(splitting);
    EXPECT_EQ(again->depth, splitting.depth);
    EXPECT_EQ(again->layers, splitting.layers);
  }
  EXPECT_EQ(partial::name_of({Depth::kLayers, {3, 17}}), "layers 3 17");
  for (const char* wrong : {"", "fully", "full 3", "layers x", "layers 3,4", "layers 3 ", "layers  3"})
    EXPECT_FALSE(partial::splitting_of(wrong)) << wrong;
}

TEST(Split, NothingIsDoneWhereNothingIsShared) {
  std::vector<Model> models;
  models.push_back(parse(two_convs({10, 11, 12}, {20, 21}), "a"));
  models.push_back(parse(two_convs({13, 14, 15}, {22, 23}), "b"));
  const auto report = partial::split_shared_parts(models, {});
  ASSERT_TRUE(report);
  EXPECT_FALSE(report->changed);
}

// The whole weight is shared already: splitting it would only cost.
TEST(Split, WholeWeightsStayWhole) {
  std::vector<Model> models;
  for (const char* name : {"a", "b"}) models.push_back(parse(two_convs({10, 11, 12}, {20, 21}), name));
  const auto report = partial::split_shared_parts(models, {});
  ASSERT_TRUE(report);
  EXPECT_FALSE(report->changed);
}

}  // namespace
}  // namespace mts::testing_partial
