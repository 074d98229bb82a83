// Measured steps beside what a device could do: on figures that can be worked out by hand, and on this
// machine.
#include "bench/roofline.h"

#include <mts/bench.h>
#include <mts/device_session.h>

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mts {
namespace {

using bench_detail::roofline_of;

// 1 Gflop/s (float16: 4), 1 MB of cache at 10 GB/s, DRAM at 1 GB/s.
DeviceProfile device() {
  DeviceProfile profile;
  profile.name = "slow";
  profile.flops = {{DType::kFloat32, 1e9}, {DType::kFloat16, 4e9}};
  profile.caches = {{"L2", 1e6, {10e9, 10e9}}};
  profile.memory_bandwidth = {1e9, 1e9};
  return profile;
}

StepTime step(std::string name, double milliseconds, double flops, double bytes, double outer_bytes,
              DType dtype = DType::kFloat32) {
  StepTime result{.name = std::move(name), .milliseconds = milliseconds};
  result.flops = flops;
  result.bytes = bytes;
  result.outer_bytes = outer_bytes;
  result.dtype = dtype;
  return result;
}

TEST(Roofline, TakesTheSlowerOfArithmeticAndMemory) {
  // 2 Mflop in all take 2 ms, 0.5 MB of weights 0.05 ms.
  const StepTime steps[] = {step("Conv a", 1.5, 1e6, 0.1e6, 0.1e6), step("Conv b", 2.5, 1e6, 0.4e6, 0.4e6)};
  const Roofline result = roofline_of(steps, device(), Precision::kStrict, 4);
  EXPECT_EQ(result.profile, "slow");
  EXPECT_DOUBLE_EQ(result.floor_ms, 2);
  EXPECT_DOUBLE_EQ(result.share, 0.5);
  // 3 MB do not stay in the cache.
  const StepTime heavy[] = {step("MatMul", 5, 1e6, 3e6, 3e6)};
  EXPECT_DOUBLE_EQ(roofline_of(heavy, device(), Precision::kStrict, 6).floor_ms, 3);
}

TEST(Roofline, KnowsThePeakOfTheType) {
  const StepTime half[] = {step("Conv", 1, 1e6, 0, 0, DType::kFloat16)};
  EXPECT_DOUBLE_EQ(roofline_of(half, device(), Precision::kFloat16, 1).floor_ms, 0.25);
  const StepTime single[] = {step("Conv", 1, 1e6, 0, 0)};
  EXPECT_DOUBLE_EQ(roofline_of(single, device(), Precision::kTf32, 1).floor_ms, 0.5);
}

TEST(Roofline, NamesTheFiveStepsThatLoseMost) {
  std::vector<StepTime> steps;
  for (int i = 0; i < 8; ++i) steps.push_back(step("s" + std::to_string(i), 1 + i % 4, 1e6, 0, 0));
  steps.push_back(step("faster than its floor", 0.5, 1e6, 0, 0));
  const Roofline result = roofline_of(steps, device(), Precision::kStrict, 30);
  std::vector<std::string> names;
  for (const Roofline::Loss& loss : result.losses) names.push_back(loss.step);
  EXPECT_THAT(names, testing::ElementsAre("s3", "s7", "s2", "s6", "s1"));
  EXPECT_DOUBLE_EQ(result.losses[0].lost_ms(), 3);
  EXPECT_DOUBLE_EQ((Roofline::Loss{"", 0.5, 1}.lost_ms()), 0);
}

TEST(Roofline, OfASessionOnThisMachine) {
  Model model;
  model.ir_version = 8;
  model.opsets[""] = 18;
  Graph& graph = model.graph;
  const ValueId x = graph.add_input("x", Type::tensor(DType::kFloat32, {Dim::known(64), Dim::known(128)}));
  const ValueId w = graph.add_constant("w", Weight::floats(std::vector<float>(128 * 256, 0.5f), {128, 256}));
  const ValueId y = graph.add_value("y", Type{});
  Node product = make_node("MatMul", {x, w}, {y});
  product.name = "product";
  graph.add_node(product);
  graph.add_output(y);
  const ExecutorOptions options{.device = "cpu", .threads = 1};
  auto session = create_session(model, options);
  ASSERT_TRUE(session.has_value()) << session.error().to_string();
  Tensor input(DType::kFloat32, {64, 128});
  std::fill_n(input.mutable_as<float>(), input.element_count(), 1.f);
  const Competitor fused{.name = "fused", .sessions = {session->get()}, .inputs = {{Datum(input)}}};
  const auto steps = time_steps(**session, fused.inputs[0], 3);
  ASSERT_TRUE(steps.has_value()) << steps.error().to_string();
  double flops = 0, outer = 0;
  for (const StepTime& s : *steps) {
    flops += s.flops;
    outer += s.outer_bytes;
  }
  EXPECT_EQ(flops, 2.0 * 64 * 128 * 256);
  EXPECT_EQ(outer, 4.0 * (64 * 128 + 128 * 256 + 64 * 256));
  const auto roofline = measure_roofline(fused, "cpu-avx2", options, 1.0);
  ASSERT_TRUE(roofline.has_value()) << roofline.error().to_string();
  EXPECT_EQ(roofline->profile, "cpu-avx2");
  EXPECT_GT(roofline->floor_ms, 0);
  ASSERT_FALSE(roofline->losses.empty());
  EXPECT_FALSE(measure_roofline(fused, "abacus", options, 1.0).has_value());
  const Competitor two{.name = "sequential", .sessions = {nullptr, nullptr}};
  EXPECT_FALSE(measure_roofline(two, "cpu-avx2", options, 1.0).has_value());
}

// Work is counted from the plan: two convolutions of one weight, the second of the first's output.
TEST(Roofline, AWeightReadTwiceIsMovedOnce) {
  Model model;
  model.ir_version = 8;
  model.opsets[""] = 18;
  Graph& graph = model.graph;
  ValueId value = graph.add_input(
      "x", Type::tensor(DType::kFloat32, {Dim::known(1), Dim::known(8), Dim::known(10), Dim::known(10)}));
  const ValueId w =
      graph.add_constant("w", Weight::floats(std::vector<float>(8 * 8 * 9, 0.1f), {8, 8, 3, 3}));
  for (const char* name : {"first", "second"}) {
    const ValueId next = graph.add_value(name, Type{});
    Node conv = make_node("Conv", {value, w}, {next});
    conv.name = name;
    graph.add_node(conv);
    value = next;
  }
  graph.add_output(value);
  auto session = create_session(model, {.device = "cpu", .threads = 1});
  ASSERT_TRUE(session.has_value()) << session.error().to_string();
  Tensor input(DType::kFloat32, {1, 8, 10, 10});
  std::fill_n(input.mutable_as<float>(), input.element_count(), 1.f);
  const std::vector<Datum> inputs = {Datum(input)};
  const auto steps = time_steps(**session, inputs, 1);
  ASSERT_TRUE(steps.has_value()) << steps.error().to_string();
  double flops = 0, outer = 0;
  for (const StepTime& s : *steps) {
    flops += s.flops;
    outer += s.outer_bytes;
  }
  EXPECT_EQ(flops, 2.0 * 8 * 9 * 8 * (8 * 8 + 6 * 6));
  EXPECT_EQ(outer, 4.0 * (800 + 8 * 8 * 9 + 8 * 6 * 6));
}

}  // namespace
}  // namespace mts
