// Between two layers that share neurons, every operator computes what it did: those that keep channels, those
// that mix them, and those that only seem to keep them.
#include "tests/partial/neurons.h"
#include "tests/partial/split.h"

#include <utility>

namespace mts::testing_partial {
namespace {

const Ids kOne = {10, 11, 12, 13}, kOther = {13, 14, 10, 15};

// x -> Conv -> `middle` of c, for two models with some neurons of c in common, at other places.
void expect_right(const std::string& input, const std::string& output, const std::string& middle,
                  const std::vector<std::string>& constants = {}) {
  std::vector<std::string> texts;
  for (const Ids& ids : {kOne, kOther}) {
    std::vector<std::string> weights = {weight("w", 1, ids, {1, 2}, 3)};
    weights.insert(weights.end(), constants.begin(), constants.end());
    texts.push_back(head(input, output, weights, 18) + "{ c = Conv <pads = [1, 1]> (x, w) \n " + middle +
                    " }");
  }
  expect_split(texts, false);
}

// The same with a layer behind it that reads m [N, 4, 5] in pieces.
void expect_right_in_pieces(const std::string& input, const std::string& middle,
                            const std::vector<std::string>& constants = {}) {
  std::vector<std::string> texts;
  for (const auto& [ids, last] : {std::pair{kOne, Ids{20, 21}}, std::pair{kOther, Ids{20, 22}}}) {
    std::vector<std::string> weights = {weight("w", 1, ids, {1, 2}, 3), weight("w2", 9, last, ids, 3)};
    weights.insert(weights.end(), constants.begin(), constants.end());
    texts.push_back(head(input, "float[N, 2, 5] y", weights, 18) + "{ c = Conv <pads = [1, 1]> (x, w) \n " +
                    middle + " \n y = Conv <pads = [1, 1]> (m, w2) }");
  }
  expect_split(texts, false);
}

TEST(Operators, WhatKeepsChannels) {
  const std::pair<const char*, std::vector<std::string>> cases[] = {
      {"m = Clip(c, low)", {"float low = {-0.5}"}},
      {"b = Less(c, v) \n m = Where(b, c, v)", {vector("v", 2, {1, 2, 3, 4, 5})}},
      {"m = Mul(c, v)", {weight("v", 2, {1, 2, 3, 4}, {1})}},
      {"m = PRelu(c, v)", {weight("v", 2, {1, 2, 3, 4}, {1})}},
      {"m = InstanceNormalization(c, v, u)", {vector("v", 2, {1, 2, 3, 4}), vector("u", 3, {1, 2, 3, 4})}},
      {"m = Conv <group = 4, pads = [1, 1]> (c, v)", {weight("v", 2, {1, 2, 3, 4}, {1}, 3)}},
      {"m = MaxPool <kernel_shape = [3], pads = [1, 1]> (c)", {}},
      {"m = LayerNormalization <axis = -1> (c, v)", {vector("v", 2, {1, 2, 3, 4, 5})}},
      {"i = Resize <mode = \"linear\"> (c, , s) \n m = AveragePool <kernel_shape = [2], strides = [2]> (i)",
       {"float[3] s = {1, 1, 2}"}},
      {"i = Pad(c, p) \n m = Slice(i, from, to, axis)",
       {"int64[6] p = {0, 0, 2, 0, 0, 1}", "int64[1] from = {1}", "int64[1] to = {6}",
        "int64[1] axis = {2}"}},
      {"i = Transpose <perm = [0, 2, 1]> (c) \n j = LayerNormalization(i, v) \n m = Transpose <perm = [0, 2, "
       "1]> (j)",
       {vector("v", 2, {1, 2, 3, 4})}},
  };
  for (const auto& [middle, constants] : cases) expect_right_in_pieces("float[N, 2, 5] x", middle, constants);
}

// What a node makes of all channels has its own order: a layer reads it as it is.
TEST(Operators, ASumOverChannelsThatALayerReads) {
  expect_right("float[N, 2, 5] x", "float[N, 3] y",
               "s = ReduceSum <keepdims = 0> (c, one) \n y = MatMul(s, v)",
               {"int64[1] one = {1}", weight("v", 2, {1, 2, 3}, {1, 2, 3, 4, 5}, 1, true)});
  expect_right("float[N, 2, 5] x", "float[N, 3, 5] y",
               "s = ReduceMean(c, one) \n y = Conv <pads = [1, 1]> (s, v)",
               {"int64[1] one = {1}", weight("v", 2, {1, 2, 3}, {1}, 3)});
}

TEST(Operators, AReductionOverNothingKeepsTheOrder) {
  expect_right("float[N, 2, 5] x", "float[N, 4, 5] y", "y = ReduceSum <noop_with_empty_axes = 1> (c, none)",
               {"int64[0] none = {}"});
}

// [4, 4, 5, 3] x [3] is [4, 4, 5]: the axes of the product stand further to the left than with a matrix.
TEST(Operators, AProductWithAVector) {
  expect_right("float[4, 2, 15] x", "float[4, 4, 5] y", "s = Reshape(c, form) \n y = MatMul(s, v)",
               {"int64[4] form = {4, 4, 5, 3}", vector("v", 2, {1, 2, 3})});
}

// A scale that is not 1 mixes channels, also where as many come out.
TEST(Operators, AResizeOfTheChannels) {
  expect_right_in_pieces("float[N, 2, 5] x", "m = Resize <mode = \"linear\"> (c, , s)",
                         {"float[3] s = {1, 1.2, 1}"});
}

// The entry 0 of a shape copies a dimension that is not the channels'.
TEST(Operators, AReshapeThatCopiesAnotherDimension) {
  expect_right_in_pieces("float[1, 2, 5] x",
                         "d = Slice(c, zero, four, two) \n s = Squeeze(d, zero) \n u = Unsqueeze(s, two) \n"
                         " r = Reshape(u, form) \n m = Pad(r, pads)",
                         {"int64[1] zero = {0}", "int64[1] two = {2}", "int64[1] four = {4}",
                          "int64[3] form = {1, 0, -1}", "int64[6] pads = {0, 0, 0, 0, 0, 1}"});
}

// Channels of both operands of the Concat are arranged with those of the layer that came first.
TEST(Operators, AConcatThatIsAddedToALayer) {
  std::vector<std::string> texts;
  for (const auto& [d, a, b, last] :
       {std::tuple<Ids, Ids, Ids, Ids>{{10, 11, 12, 13}, {20, 21}, {30, 31}, {1, 2}},
        std::tuple<Ids, Ids, Ids, Ids>{{10, 14, 12, 15}, {20, 22}, {30, 32}, {1, 3}}}) {
    texts.push_back(head("float[N, 2, 5] x", "float[N, 2, 5] y",
                         {weight("wd", 1, d, {1, 2}, 3), weight("wa", 2, a, {1, 2}, 3),
                          weight("wb", 3, b, {1, 2}, 3), weight("w", 4, last, d, 3)}) +
                    "{ d = Conv <pads = [1, 1]> (x, wd) \n a = Conv <pads = [1, 1]> (x, wa) \n"
                    " b = Conv <pads = [1, 1]> (x, wb) \n j = Concat <axis = 1> (a, b) \n s = Add(d, j) \n"
                    " y = Conv <pads = [1, 1]> (s, w) }");
  }
  expect_split(texts, false);
}

// Columns are shared inside heads, and what is added to them has one axis more.
TEST(Operators, ABiasOfHigherRankBehindHeads) {
  std::vector<std::string> texts;
  for (const Ids& ids : {Ids{10, 11, 12, 13, 14, 15}, Ids{10, 21, 12, 23, 14, 25}})
    texts.push_back(head("float[3, 4] x", "float[1, 3, 3, 2] y",
                         {weight("w", 1, ids, {1, 2, 3, 4}, 1, true), weight("p", 2, {1}, {1, 2, 3}, 6),
                          "int64[4] split = {0, 0, 3, 2}"}) +
                    "{ m = MatMul(x, w) \n a = Add(m, p) \n y = Reshape(a, split) }");
  expect_split(texts, false);
}

TEST(Operators, AxesWithoutAnyEntry) {
  std::vector<std::string> texts;
  for (const auto& [ids, table] :
       {std::pair{kOne, "float[3, 0] t = {}"}, std::pair{kOther, "float[4, 0] t = {}"}})
    texts.push_back(
        head("float[N, 2, 5] x, float[N, 0, 5] e, int64[N] i",
             "float[N, 4, 5] y, float[N, 0, 5] z, float[N, 0] r",
             {weight("w", 1, ids, {1, 2}, 3), "float[0] s = {}", table}) +
        "{ y = Conv <pads = [1, 1]> (x, w) \n z = BatchNormalization(e, s, s, s, s) \n r = Gather(t, i) }");
  expect_split(texts, false);
}

// A branch reads channels of the graph around it, and a value is an output in the middle.
TEST(Operators, ReadersInsideABranchAndOutputs) {
  expect_right(
      "float[N, 2, 5] x, bool p",
      "float[N, 4, 5] y, float[N, 4, 5] r, float[N, 4, 5] c, float[N, 2, 5] x, float[N, 1, 5] s, int64[3] h",
      "s = ReduceSum(c, one) \n h = Shape(c) \n r = Relu(c) \n y = If (p) <then_branch = t () => (float[N, "
      "4, 5] u) { u = Neg(r) }, else_branch = "
      "e () => (float[N, 4, 5] v) { v = Add(c, r) }>",
      {"int64[1] one = {1}"});
}

}  // namespace
}  // namespace mts::testing_partial
