#include "plan/cost.h"

#include <cmath>

#include <gtest/gtest.h>

namespace mts {
namespace {

Type symbolic_floats(Shape shape) { return Type::tensor(DType::kFloat32, std::move(shape)); }
Type floats(std::vector<int64_t> dims) {
  Shape shape;
  for (const int64_t dim : dims) shape.push_back(Dim::known(dim));
  return symbolic_floats(std::move(shape));
}

Work work_of(std::string op, std::vector<Type> operands, const Type& output) {
  Node node;
  node.op_type = std::move(op);
  const bool constant[] = {false, true, true};
  std::vector<const Type*> types;
  for (const Type& type : operands) types.push_back(&type);
  const Type* outputs[] = {&output};
  return CostModel::work_of(node, types, std::span(constant).first(types.size()), outputs);
}

// 1 GFLOP/s (float16: 2), DRAM 1 GB/s, caches of 1 MB and 1 kB with 10 and 100 GB/s, 1 us a dispatch, busy
// from 100 elements on.
const DeviceProfile kRound{.name = "round",
                           .sources = {},
                           .flops = {{DType::kFloat32, 1e9}, {DType::kFloat16, 2e9}},
                           .caches = {{"L1", 1e3, {1e11, 1e11}}, {"L2", 1e6, {1e10, 5e9}}},
                           .memory_bandwidth = {1e9, 1e9},
                           .cores = 10,
                           .core_elements = 10,
                           .dispatch_seconds = 1e-6,
                           .view_seconds = 1e-7,
                           .matmul = {{1, 0.25}, {64, 1}},
                           .grouped_convolution = {{1, 0.1}, {8, 0.3}, {32, 0.5}}};

TEST(Cost, AssumesBatchOneAndSixtyFourElsewhere) {
  EXPECT_EQ(
      CostModel::element_count(symbolic_floats({Dim::symbolic("N"), Dim::known(3), Dim::symbolic("S")})),
      3 * 64);
  EXPECT_EQ(CostModel::element_count(Type::tensor(DType::kFloat32)), 1) << "unknown rank";
  EXPECT_EQ(CostModel::bytes(floats({2, 3})), 24);
  EXPECT_EQ(CostModel::bytes(Type::tensor(DType::kInt4, {Dim::known(6)})), 6) << "a byte an element at least";
}

TEST(Cost, CountsWork) {
  // 2 * outputs * (C/group * kH * kW)
  const Work conv = work_of("Conv", {floats({1, 4, 8, 8}), floats({16, 4, 3, 3})}, floats({1, 16, 8, 8}));
  EXPECT_EQ(conv.flops, 2.0 * 16 * 64 * 36);
  EXPECT_EQ(conv.weight_bytes, 4.0 * 16 * 36);
  EXPECT_EQ(conv.activation_bytes, 4.0 * (256 + 1024));
  EXPECT_EQ(conv.output_elements, 1024);
  EXPECT_EQ(conv.kernel, Kernel::kConvolution);
  EXPECT_EQ(conv.inputs, 4);
  EXPECT_EQ(conv.outputs, 16);
  // 2 * rows * inner * columns
  EXPECT_EQ(work_of("MatMul", {floats({5, 7}), floats({7, 3})}, floats({5, 3})).flops, 2.0 * 5 * 7 * 3);
  // 2 * inputs * (outputs of one input element)
  EXPECT_EQ(
      work_of("ConvTranspose", {floats({1, 4, 8, 8}), floats({4, 2, 3, 3})}, floats({1, 2, 10, 10})).flops,
      2.0 * 256 * 18);
  // 2 * steps * batch * (W + R)
  EXPECT_EQ(work_of("LSTM", {floats({6, 2, 3}), floats({1, 16, 3}), floats({1, 16, 4})}, floats({6, 1, 2, 4}))
                .flops,
            2.0 * 6 * 2 * (48 + 64));
  const Work matmul = work_of("MatMul", {floats({5, 7}), floats({7, 3})}, floats({5, 3}));
  EXPECT_EQ(matmul.kernel, Kernel::kMatMul);
  EXPECT_EQ(matmul.inputs, 7);
  EXPECT_EQ(matmul.outputs, 3);
  EXPECT_EQ(work_of("Relu", {floats({10})}, floats({10})).flops, 40);
  EXPECT_EQ(work_of("Tanh", {floats({10})}, floats({10})).flops, 400);
}

TEST(Cost, IsLaunchPlusTheLargerOfComputeAndBytes) {
  const CostModel cost(kRound);
  EXPECT_EQ(cost.launch(), 1000);
  EXPECT_EQ(cost.node({.flops = 0, .activation_bytes = 0, .weight_bytes = 0, .output_elements = 100}), 1000);
  // 1e4 FLOP at 1e9/s: 10 us. 2e4 bytes from the cache: 2 us.
  const Work compute{.flops = 1e4, .activation_bytes = 1e4, .weight_bytes = 1e4, .output_elements = 100};
  EXPECT_EQ(cost.node(compute), 11'000);
  Work half = compute;
  half.dtype = DType::kFloat16;
  EXPECT_EQ(cost.node(half), 6'000) << "twice the peak";
  Work small = compute;
  small.output_elements = 50;
  EXPECT_EQ(cost.node(small), 21'000) << "half the device is idle";
  small.output_elements = 1;
  EXPECT_EQ(cost.node(small), 101'000) << "one core of ten always works";
  // Beyond the caches: 2e6 bytes at 1 GB/s; in the smallest: 1e3 bytes at 100 GB/s.
  EXPECT_EQ(cost.node({.flops = 1, .activation_bytes = 2e6, .weight_bytes = 0, .output_elements = 100}),
            2'001'000);
  EXPECT_EQ(cost.node({.flops = 1, .activation_bytes = 1e3, .weight_bytes = 0, .output_elements = 100}),
            1'010);
}

TEST(Cost, StepsSideBySideShareTheDevice) {
  DeviceProfile branches = kRound;
  EXPECT_EQ(
      CostModel(branches).side_by_side(std::vector<std::pair<Nanoseconds, double>>{{3000, 0.5}, {5000, 0.1}}),
      8000)
      << "one after another";
  branches.parallel_steps = 4;
  const CostModel cost(branches);
  using Steps = std::vector<std::pair<Nanoseconds, double>>;
  EXPECT_EQ(cost.side_by_side(Steps{}), 0);
  EXPECT_EQ(cost.side_by_side(Steps{{3000, 0.2}, {5000, 0.1}}), 2 * 1000 + 4000) << "the longest";
  EXPECT_EQ(cost.side_by_side(Steps{{3000, 1}, {5000, 1}}), 2 * 1000 + 2000 + 4000)
      << "each fills the device";
  EXPECT_EQ(cost.side_by_side(Steps(8, {3000, 0.1})), 8 * 1000 + 8 * 2000 / 4) << "four at a time";
  EXPECT_EQ(cost.side_by_side(Steps{{400, 1}, {3000, 0.1}}), 1400 + 2000) << "inside another step";
}

TEST(Cost, KnowsWhatNarrowAndGroupedKernelsReach) {
  const CostModel cost(kRound);
  const auto time = [&](Kernel kernel, double channels) {
    return cost.node({.flops = 3e4,
                      .activation_bytes = 0,
                      .weight_bytes = 0,
                      .output_elements = 100,
                      .kernel = kernel,
                      .inputs = 2 * channels,
                      .outputs = channels});
  };
  EXPECT_EQ(time(Kernel::kOther, 1), 31'000);
  EXPECT_EQ(time(Kernel::kConvolution, 1), 31'000) << "a curve of one point is level";
  EXPECT_EQ(time(Kernel::kMatMul, 64), 31'000);
  EXPECT_EQ(time(Kernel::kMatMul, 1), 121'000);
  EXPECT_EQ(time(Kernel::kGroupedConvolution, 1), 301'000);
  EXPECT_EQ(time(Kernel::kGroupedConvolution, 8), 101'000);
  EXPECT_EQ(time(Kernel::kGroupedConvolution, 20), 76'000) << "half way between 0.3 and 0.5";
  EXPECT_EQ(time(Kernel::kGroupedConvolution, 1000), 61'000) << "level beyond the last point";
}

TEST(Cost, ConvolutionsComputeWholeBlocksOfChannels) {
  DeviceProfile blocked = kRound;
  blocked.convolution = {{3, 0.5}, {16, 1}};
  blocked.input_block = 16;
  blocked.output_block = 8;
  const CostModel cost(blocked);
  const auto time = [&](Kernel kernel, double inputs, double outputs) {
    return cost.node({.flops = 10 * inputs * outputs,
                      .activation_bytes = 0,
                      .weight_bytes = 0,
                      .output_elements = 100,
                      .kernel = kernel,
                      .inputs = inputs,
                      .outputs = outputs}) -
           cost.launch();
  };
  EXPECT_EQ(time(Kernel::kConvolution, 16, 16), 2'560);
  EXPECT_EQ(time(Kernel::kConvolution, 16, 9), 2'560) << "as two blocks of 8";
  EXPECT_EQ(time(Kernel::kConvolution, 17, 16), 5'120) << "as two blocks of 16";
  EXPECT_EQ(time(Kernel::kConvolution, 3, 16), 960) << "three inputs as they are, at half the peak";
  // 4 outputs of the 100 elements do not fill a block: 400 bytes are read and written in another order.
  const auto computed = std::llround(1'280 / efficiency_at(blocked.convolution, 8));
  EXPECT_EQ(time(Kernel::kConvolution, 16, 4), computed + 1'000 + 8) << "a step of its own";
  blocked.input_block = 1;
  EXPECT_EQ(CostModel(blocked).node({.flops = 0,
                                     .activation_bytes = 0,
                                     .weight_bytes = 0,
                                     .output_elements = 100,
                                     .kernel = Kernel::kConvolution,
                                     .inputs = 16,
                                     .outputs = 4}),
            1'000)
      << "where images do not lie in blocks";
  EXPECT_EQ(time(Kernel::kMatMul, 64, 63), std::llround(10 * 64 * 63 / efficiency_at(blocked.matmul, 63)));
}

TEST(Cost, StepsThatComeBackToTheirOperandsWaitForThem) {
  const CostModel cost(kRound);
  Work work{.flops = 0, .activation_bytes = 1e5, .weight_bytes = 0, .output_elements = 100};
  EXPECT_EQ(cost.node(work), 1000 + 10'000);
  for (const Kernel kernel : {Kernel::kConvolution, Kernel::kGroupedConvolution, Kernel::kMatMul}) {
    work.kernel = kernel;
    EXPECT_EQ(cost.node(work), 1000 + 20'000);
  }
}

TEST(Cost, WeightsComeFromWhereAllOfThemAre) {
  const CostModel cost(kRound);
  Work work{.flops = 0, .activation_bytes = 0, .weight_bytes = 1e5, .output_elements = 100};
  work.kernel = Kernel::kConvolution;
  EXPECT_EQ(cost.node(work), 1000 + 10'000) << "in one stream, from the cache that holds them";
  EXPECT_EQ(cost.with_weights(1e4).node(work), 1000 + 10'000);
  EXPECT_EQ(cost.with_weights(2e6).node(work), 1000 + 100'000) << "other weights drove them out";
  work.activation_bytes = 1e5;
  EXPECT_EQ(cost.with_weights(2e6).node(work), 1000 + 100'000 + 20'000);
}

TEST(Cost, PricesChangesOfPlacement) {
  const CostModel cost(kRound);
  EXPECT_EQ(cost.copy(1e5, 1), 1000 + 20'000) << "read and written, in the cache";
  EXPECT_EQ(cost.copy(1e6, 0), 2'000'000) << "read and written, in DRAM";
  const Type image = floats({2, 8, 4, 4});
  EXPECT_EQ(cost.view(image, 1e5), 100);
  DeviceProfile slow = kRound;
  slow.copy_efficiency = 0.5;
  EXPECT_EQ(CostModel(slow).copy(1e5, 1), 1000 + 40'000);
  DeviceProfile channels_last = kRound;
  channels_last.channels_last = true;
  EXPECT_EQ(CostModel(channels_last).view(image, 1e5), 21'000) << "the bytes move";
  EXPECT_EQ(CostModel(channels_last).view(floats({2, 8}), 1e5), 100) << "no image";
  EXPECT_EQ(CostModel(channels_last).transpose(image, 1e5), 21'000 + 21'000 + 100)
      << "moved, transposed, and the other Reshape";
  EXPECT_EQ(cost.transpose(image, 1e5), 21'000 + 2 * 100);
  channels_last.joins_in_place = true;
  EXPECT_EQ(CostModel(channels_last).transpose(image, 1e5), 21'000) << "one step";
  EXPECT_EQ(cost.inside(1e5, 0), 10'000) << "no dispatch";
  EXPECT_EQ(cost.inside(1e5, 2e4), 20'000) << "the larger of both";
  const Work product{.flops = 1e5, .activation_bytes = 0, .weight_bytes = 1e5, .output_elements = 100};
  EXPECT_EQ(cost.packing(product), 0) << "packed once";
  DeviceProfile packs = kRound;
  packs.packs_group_weights = true;
  EXPECT_EQ(CostModel(packs).packing(product), 40'000) << "at every run twice what a copy takes";
  Work row = product;
  row.flops = 5e4;
  EXPECT_EQ(CostModel(packs).packing(row), 0) << "2 FLOPs a weight: one row";
}

}  // namespace
}  // namespace mts
