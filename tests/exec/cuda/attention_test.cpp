// The attention kernels through the shim, against the reference evaluator: which plans become one step is
// tested in tests/exec/attention_test.cpp.
#include "exec/attention.h"

#include "tests/exec/cuda/harness.h"
#include "tests/exec/net.h"

#include <algorithm>
#include <limits>

#include <gtest/gtest.h>

namespace mts::exec::cuda {
namespace {

const std::vector<int64_t> kHeadsOut = {0, 2, 1, 3}, kColumns = {0, 2, 3, 1}, kSwapped = {0, 2, 1};
constexpr ShimPrecision kAll[] = {kStrict, kTf32, kFloat16, kBfloat16};

// One attention step (or `steps` of them), near the reference in every precision.
void check(const Net& net, const std::string& what, std::ptrdiff_t steps = 1) {
  for (const ShimPrecision& precision : kAll) {
    const ExecPlan plan = shim_plan(net.model, net.inputs, precision);
    const std::string text = what + "\n" + to_string(plan);
    EXPECT_EQ(std::ranges::count(plan.steps, kAttention, &Step::op), steps) << text;
    expect_same_on_shim(net.model, net.inputs, text, precision);
  }
}

// x [B, S, heads * D] -> [B, heads, S, D], or [B, heads, D, S].
ValueId heads(Net& net, ValueId x, Dims split, const std::vector<int64_t>& order) {
  return net.node("Transpose", {net.node("Reshape", {x, net.shape(std::move(split))})}, {{"perm", order}});
}

struct Sizes {
  int64_t batch, queries, keys, heads, depth, width;
};
// Partial tiles of rows (16, 32, 64), of columns (64) and of either feature axis; widths on both sides of 32
// and 64; k and v that can be read by 16 bytes and such that cannot.
const std::vector<Sizes> kSizes = {{1, 1, 1, 1, 1, 1},    {2, 12, 12, 4, 16, 16},     {1, 17, 17, 3, 12, 12},
                                   {2, 5, 40, 2, 33, 7},  {1, 70, 16, 1, 64, 64},     {1, 33, 65, 2, 20, 48},
                                   {1, 4, 200, 1, 8, 80}, {1, 130, 128, 1, 128, 128}, {1, 64, 64, 2, 24, 40}};

TEST(CudaAttention, EveryShapeEqualsTheReference) {
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
      const ValueId y_heads = net.node("MatMul", {net.node("Softmax", {scores}, {{"axis", int64_t{-1}}}), v});
      const ValueId merged = net.node("Transpose", {y_heads}, {{"perm", kHeadsOut}});
      net.output(net.node("Reshape", {merged, net.shape({0, 0, -1})}));
      check(net, "rows " + std::to_string(s.queries) + ", columns " + std::to_string(s.keys) + ", depth " +
                     std::to_string(s.depth) + ", width " + std::to_string(s.width));
    }
  }
}

TEST(CudaAttention, OperandsLieInEveryOrder) {
  for (int which = 0; which < 8; ++which) {
    Net net;
    const auto operand = [&](bool swapped, int64_t rows, int64_t columns) {
      const ValueId x = net.input(swapped ? Dims{3, columns, rows} : Dims{3, rows, columns});
      return swapped ? net.node("Transpose", {x}, {{"perm", kSwapped}}) : x;
    };
    const ValueId q = operand((which & 1) != 0, 20, 24), k = operand((which & 2) != 0, 24, 18),
                  v = operand((which & 4) != 0, 18, 10);
    net.output(net.node("MatMul", {net.node("Softmax", {net.node("MatMul", {q, k})}), v}));
    check(net, "order " + std::to_string(which));
  }
}

// k and v of one model for all (a batch axis of 1), masks of every rank, more batch axes than a kernel walks.
TEST(CudaAttention, OperandsAndMasksAreBroadcast) {
  for (const Dims& mask :
       {Dims{11}, Dims{7, 11}, Dims{7, 1}, Dims{3, 1, 1, 11}, Dims{1, 4, 1, 1}, Dims{3, 4, 7, 11}}) {
    Net net;
    const ValueId q = net.input({3, 4, 7, 6}), k = net.input({1, 4, 6, 11}), v = net.input({4, 11, 5});
    const ValueId scores = net.node("Add", {net.input(mask), net.node("MatMul", {q, k})});
    net.output(net.node("MatMul", {net.node("Softmax", {scores}), v}));
    check(net, "mask of rank " + std::to_string(mask.size()));
  }
  Net net;  // models, batch, heads
  const ValueId scores =
      net.node("Add", {net.node("MatMul", {net.input({2, 3, 2, 5, 8}), net.input({2, 1, 2, 8, 9})}),
                       net.input({3, 1, 1, 9})});
  net.output(net.node("MatMul", {net.node("Softmax", {scores}), net.input({2, 3, 1, 9, 4})}));
  check(net, "three batch axes");
}

TEST(CudaAttention, WorkOnTheScoresIsInOrder) {
  Net net;
  const ValueId q = net.input({2, 3, 6, 8}), k = net.input({2, 3, 8, 6}), v = net.input({2, 3, 6, 8});
  ValueId s = net.node("MatMul", {q, k});
  s = net.node("Sub", {net.weight({}, {0.5}), net.node("Mul", {s, net.input({1, 1, 6, 6})})});
  s = net.node("Tanh", {net.node("Add", {s, net.weight({}, {0.1})})});
  net.output(net.node("MatMul", {net.node("Softmax", {s}), v}));
  check(net, "work");
}

// Largest scores first, last and in the middle, far apart: what was summed before is rescaled, or vanishes.
TEST(CudaAttention, ScoresOfAnySizeKeepTheirWeights) {
  for (int which = 0; which < 3; ++which) {
    Net net;
    std::vector<double> mask(200, 0.);
    for (size_t t = 0; t < 200; ++t)
      mask[t] = which == 0   ? 200. - static_cast<double>(t)
                : which == 1 ? static_cast<double>(t)
                             : (t == 100 ? 300. : 0.);
    const ValueId s = net.node(
        "Add", {net.node("MatMul", {net.input({1, 3, 4}), net.input({1, 4, 200})}), net.weight({200}, mask)});
    net.output(net.node("MatMul", {net.node("Softmax", {s}), net.input({1, 200, 4})}));
    check(net, "sizes " + std::to_string(which));
  }
}

TEST(CudaAttention, MaskedRowsAreNotANumber) {
  const double infinity = std::numeric_limits<double>::infinity();
  for (int64_t keys : {5, 20, 130}) {
    Net net;
    std::vector<double> mask(static_cast<size_t>(3 * keys), 0.);
    std::fill_n(mask.begin(), keys + keys / 2, -infinity);  // the first row, and the first half of the second
    const ValueId s = net.node("Add", {net.node("MatMul", {net.input({1, 3, 4}), net.input({1, 4, keys})}),
                                       net.weight({1, 3, keys}, mask)});
    net.output(net.node("MatMul", {net.node("Softmax", {s}), net.input({1, keys, 4})}));
    check(net, "masked rows");
  }
}

// Masks of -3e38 stay float32, and so do the scores behind them, when the rest is held in 16 bits.
TEST(CudaAttention, MasksBeyondTheRangeOfHalfAreOfTheStep) {
  Net net;
  std::vector<double> mask(36, 0.);
  for (size_t t = 6; t < 20; ++t) mask[t] = -3.4e38;
  const ValueId s = net.node(
      "Add", {net.node("MatMul", {net.input({2, 6, 8}), net.input({2, 8, 6})}), net.weight({6, 6}, mask)});
  net.output(net.node("MatMul", {net.node("Softmax", {s}), net.input({2, 6, 8})}));
  check(net, "large masks");
}

TEST(CudaAttention, WideHeadsStayUnfused) {
  Net net;
  const ValueId q = net.input({1, 9, 200}), k = net.input({1, 200, 9});
  net.output(net.node("MatMul", {net.node("Softmax", {net.node("MatMul", {q, k})}), net.input({1, 9, 8})}));
  check(net, "wide", 0);
}

}  // namespace
}  // namespace mts::exec::cuda
