#include "plan/cost.h"

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
  return CostModel::work_of(node, operands, std::span(constant).first(operands.size()), {&output, 1});
}

// 1 GFLOP/s, DRAM 1 GB/s, cache 10 GB/s of 1 MB, 1 us a launch, busy from 100 elements on.
constexpr DeviceProfile kRound{.name = "round",
                               .flops = 1e9,
                               .memory_bandwidth = 1e9,
                               .cache_bandwidth = 1e10,
                               .cache_bytes = 1e6,
                               .launch_seconds = 1e-6,
                               .saturation = 100,
                               .grouped_efficiency = 0.5};

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
  EXPECT_EQ(work_of("Relu", {floats({10})}, floats({10})).flops, 40);
}

TEST(Cost, IsLaunchPlusTheLargerOfComputeAndBytes) {
  const CostModel cost(kRound);
  EXPECT_EQ(cost.launch(), 1000);
  EXPECT_EQ(cost.node({.flops = 0, .activation_bytes = 0, .weight_bytes = 0, .output_elements = 100}), 1000);
  // 1e4 FLOP at 1e9/s: 10 us. 2e4 bytes from the cache: 2 us.
  const Work compute{.flops = 1e4, .activation_bytes = 1e4, .weight_bytes = 1e4, .output_elements = 100};
  EXPECT_EQ(cost.node(compute), 11'000);
  EXPECT_EQ(cost.node(compute, 0.5), 21'000) << "half as efficient";
  Work small = compute;
  small.output_elements = 50;
  EXPECT_EQ(cost.node(small), 21'000) << "half the device is idle";
  // Beyond the cache: 2e6 bytes at 1 GB/s.
  EXPECT_EQ(cost.node({.flops = 1, .activation_bytes = 2e6, .weight_bytes = 0, .output_elements = 100}),
            2'001'000);
}

TEST(Cost, PricesChangesOfPlacement) {
  const CostModel cost(kRound);
  EXPECT_EQ(cost.copy(1e5, 1), 1000 + 20'000) << "read and written, in the cache";
  EXPECT_EQ(cost.copy(1e6, 0), 2'000'000) << "read and written, in DRAM";
  EXPECT_EQ(cost.view(), 100);
  EXPECT_EQ(cost.grouped_efficiency(), 0.5);
}

TEST(Profiles, AreComplete) {
  for (const DeviceProfile& profile : profiles()) {
    SCOPED_TRACE(profile.name);
    for (const double figure : {profile.flops, profile.memory_bandwidth, profile.cache_bandwidth,
                                profile.cache_bytes, profile.launch_seconds, profile.saturation})
      EXPECT_GT(figure, 0);
    EXPECT_GE(profile.cache_bandwidth, profile.memory_bandwidth);
    EXPECT_GT(profile.grouped_efficiency, 0);
    EXPECT_LE(profile.grouped_efficiency, 1);
    EXPECT_EQ(profile.is_cpu, profile.name.starts_with("cpu"));
    ASSERT_TRUE(find_profile(profile.name));
    EXPECT_EQ(find_profile(profile.name)->flops, profile.flops);
  }
}

TEST(Profiles, UnknownNamesAreRefusedWithTheKnownOnes) {
  const auto result = find_profile("abacus");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kUsage);
  EXPECT_NE(result.error().message.find("generic-gpu"), std::string::npos);
}

}  // namespace
}  // namespace mts
