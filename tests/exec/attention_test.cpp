// Attention as one step: which plans become it, and that it computes what the reference does.
#include "exec/attention.h"

#include "tests/exec/net.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace mts::exec {
namespace {

const std::vector<int64_t> kHeadsOut = {0, 2, 1, 3}, kColumns = {0, 2, 3, 1};

size_t count(const ExecPlan& plan, std::string_view op) {
  return static_cast<size_t>(
      std::count_if(plan.steps.begin(), plan.steps.end(), [&](const Step& step) { return step.op == op; }));
}

// x [B, S, heads * D] -> [B, heads, S, D], or [B, heads, D, S].
ValueId heads(Net& net, ValueId x, Dims split, const std::vector<int64_t>& order) {
  return net.node("Transpose", {net.node("Reshape", {x, net.shape(std::move(split))})}, {{"perm", order}});
}

ValueId merged(Net& net, ValueId y) {
  return net.node("Reshape", {net.node("Transpose", {y}, {{"perm", kHeadsOut}}), net.shape({0, 0, -1})});
}

struct Sizes {
  int64_t batch, queries, keys, heads, depth, width;
};
const std::vector<Sizes> kSizes = {{1, 1, 1, 1, 1, 1},    {2, 12, 12, 4, 16, 16}, {1, 17, 17, 3, 12, 12},
                                   {2, 5, 40, 2, 33, 7},  {1, 70, 16, 1, 64, 64}, {3, 130, 197, 2, 20, 48},
                                   {1, 4, 1030, 1, 8, 80}};

TEST(Attention, EveryShapeEqualsTheReference) {
  for (const Sizes& s : kSizes) {
    for (bool masked : {false, true}) {
      Net net;
      const ValueId x = net.input({s.batch, s.queries, s.heads * s.depth});
      const ValueId y = net.input({s.batch, s.keys, s.heads * s.depth});
      const ValueId z = net.input({s.batch, s.keys, s.heads * s.width});
      const ValueId q = heads(net, x, {s.batch, s.queries, s.heads, s.depth}, kHeadsOut);
      const ValueId k = heads(net, y, {s.batch, s.keys, s.heads, s.depth}, kColumns);
      const ValueId v = heads(net, z, {s.batch, s.keys, s.heads, s.width}, kHeadsOut);
      ValueId scores = net.node("Mul", {net.node("MatMul", {q, k}), net.weight({}, {0.3})});
      if (masked) scores = net.node("Add", {scores, net.input({s.batch, 1, s.queries, s.keys})});
      const ValueId p = net.node("Softmax", {scores}, {{"axis", int64_t{-1}}});
      net.output(merged(net, net.node("MatMul", {p, v})));
      const ExecPlan plan = net.plan();
      EXPECT_EQ(count(plan, kAttention), 1u) << to_string(plan);
      if (s.heads > 1) {
        EXPECT_EQ(count(plan, "Transpose"), 0u) << to_string(plan);
      }
      net.check("attention");
    }
  }
}

// Rank-3 products of unsplit heads, k transposed by a node of its own or given as columns, v given as
// columns.
TEST(Attention, OperandsLieInEveryOrder) {
  for (bool transposed : {false, true}) {
    for (bool columns_of_v : {false, true}) {
      Net net;
      const ValueId q = net.input({3, 20, 24});
      ValueId k = net.input(transposed ? Dims{3, 18, 24} : Dims{3, 24, 18});
      if (transposed) k = net.node("Transpose", {k}, {{"perm", std::vector<int64_t>{0, 2, 1}}});
      ValueId v = net.input(columns_of_v ? Dims{3, 10, 18} : Dims{3, 18, 10});
      if (columns_of_v) v = net.node("Transpose", {v}, {{"perm", std::vector<int64_t>{0, 2, 1}}});
      net.output(net.node("MatMul", {net.node("Softmax", {net.node("MatMul", {q, k})}), v}));
      EXPECT_EQ(net.work(), 1u) << to_string(net.plan());
      net.check("order");
    }
  }
}

TEST(Attention, QueriesMayLieByColumns) {
  Net net;
  const ValueId q = net.node("Transpose", {net.input({2, 9, 30})}, {{"perm", std::vector<int64_t>{0, 2, 1}}});
  net.output(net.node("MatMul", {net.node("Softmax", {net.node("MatMul", {q, net.input({2, 9, 21})})}),
                                 net.input({2, 21, 5})}));
  EXPECT_EQ(net.work(), 1u);
  net.check("columns");
}

// Factors of q and k before the product, as torchvision's exports have them.
TEST(Attention, FactorsAreTakenAlong) {
  Net net;
  const ValueId q = net.node("Mul", {net.input({2, 2, 9, 8}), net.weight({}, {0.5})});
  const ValueId t =
      net.node("Transpose", {net.input({2, 2, 9, 8})}, {{"perm", std::vector<int64_t>{0, 1, 3, 2}}});
  const ValueId k = net.node("Div", {t, net.weight({1}, {1.7})});
  net.output(
      net.node("MatMul", {net.node("Softmax", {net.node("MatMul", {q, k})}), net.input({2, 2, 9, 8})}));
  EXPECT_EQ(net.work(), 1u) << to_string(net.plan());
  net.check("factors");
}

// k and v of one model for all (a batch axis of 1), masks of every rank.
TEST(Attention, OperandsAndMasksAreBroadcast) {
  for (const Dims& mask :
       {Dims{11}, Dims{7, 11}, Dims{7, 1}, Dims{3, 1, 1, 11}, Dims{1, 4, 1, 1}, Dims{3, 4, 7, 11}}) {
    Net net;
    const ValueId q = net.input({3, 4, 7, 6}), k = net.input({1, 4, 6, 11}), v = net.input({4, 11, 5});
    const ValueId scores = net.node("Add", {net.input(mask), net.node("MatMul", {q, k})});
    net.output(net.node("MatMul", {net.node("Softmax", {scores}), v}));
    EXPECT_EQ(net.work(), 1u) << to_string(net.plan());
    net.check("mask of rank " + std::to_string(mask.size()));
  }
}

TEST(Attention, WorkOnTheScoresIsInOrder) {
  Net net;
  const ValueId q = net.input({2, 3, 6, 8}), k = net.input({2, 3, 8, 6}), v = net.input({2, 3, 6, 8});
  ValueId s = net.node("MatMul", {q, k});
  s = net.node("Sub", {net.weight({}, {0.5}), net.node("Mul", {s, net.input({1, 1, 6, 6})})});
  s = net.node("Tanh", {net.node("Add", {s, net.weight({}, {0.1})})});
  net.output(net.node("MatMul", {net.node("Softmax", {s}), v}));
  EXPECT_EQ(count(net.plan(), kAttention), 1u) << to_string(net.plan());
  net.check("work");
}

TEST(Attention, MaskedRowsAreNotANumber) {
  const double infinity = std::numeric_limits<double>::infinity();
  for (int64_t keys : {5, 20}) {
    Net net;
    std::vector<double> mask(static_cast<size_t>(3 * keys), 0.);
    std::fill_n(mask.begin(), keys + 2, -infinity);  // the first row, and some of the second
    const ValueId s = net.node("Add", {net.node("MatMul", {net.input({1, 3, 4}), net.input({1, 4, keys})}),
                                       net.weight({1, 3, keys}, mask)});
    net.output(net.node("MatMul", {net.node("Softmax", {s}), net.input({1, keys, 4})}));
    EXPECT_EQ(net.work(), 1u);
    net.check("masked rows");
  }
}

TEST(Attention, OtherPlansStayAsTheyAre) {
  const auto make = [](Net& net, int64_t axis, bool read_twice, bool work_on_weights, bool factor_of_v) {
    const ValueId q = net.input({2, 6, 8}), k = net.input({2, 8, 6});
    ValueId v = net.input({2, 6, 8});
    if (factor_of_v) v = net.node("Mul", {v, net.weight({}, {2.})});
    const ValueId scores = net.node("MatMul", {q, k});
    ValueId p = net.node("Softmax", {scores}, {{"axis", axis}});
    if (read_twice) net.output(p);
    if (work_on_weights) p = net.node("Mul", {p, net.input({2, 6, 6})});
    net.output(net.node("MatMul", {p, v}));
    EXPECT_EQ(count(net.plan(), kAttention), 0u) << to_string(net.plan());
    net.check("not attention");
  };
  for (int which = 0; which < 4; ++which) {
    Net net;
    make(net, which == 0 ? 1 : -1, which == 1, which == 2, which == 3);
  }
}

}  // namespace
}  // namespace mts::exec
