// Calibration on a machine that is made up: what is measured comes out of a formula, and the profile must
// find it again.
#include "bench/calibrate.h"

#include <algorithm>
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mts {
namespace {

using calibration::Probe;
using testing::DoubleNear;
using testing::HasSubstr;

constexpr double kDispatch = 1e-6, kRun = 5e-6, kRate = 1e11, kBandwidth = 2e10;
constexpr double kInputBlock = 16, kOutputBlock = 8;

double elements(const Model& model, ValueId id) {
  double count = 1;
  for (const Dim& dim : *model.graph.value(id).type.shape) count *= static_cast<double>(dim.value);
  return count;
}

// Every node costs a dispatch and its bytes, products and convolutions their FLOP too; Relu, Reshape, Split
// and Concat nothing. Ungrouped convolutions compute whole blocks of channels.
double seconds(const Model& model) {
  double total = kRun;
  for (const NodeId id : model.graph.order()) {
    const Node& node = model.graph.node(id);
    if (node.is("Relu") || node.is("Reshape") || node.is("Split") || node.is("Concat")) continue;
    const double out = elements(model, node.outputs[0]);
    total += kDispatch;
    if (node.is("MatMul") || node.is("Conv")) {
      const Type& weight = model.graph.value(node.inputs[1]).type;
      const double columns = static_cast<double>((*weight.shape)[node.is("Conv") ? 0 : 1].value);
      double flops = 2 * out * elements(model, node.inputs[1]) / columns;
      if (node.is("Conv") && node.int_or("group", 1) == 1) {
        const auto inputs = static_cast<double>((*weight.shape)[1].value);
        flops *= std::ceil(columns / kOutputBlock) * kOutputBlock / columns;
        if (inputs >= kInputBlock) flops *= std::ceil(inputs / kInputBlock) * kInputBlock / inputs;
      }
      total += flops / kRate;
    }
    if (!node.is("Gather")) {
      double moved = out;
      for (const ValueId input : node.inputs) moved += elements(model, input);
      total += 4 * moved / kBandwidth;
    }
  }
  return total;
}

Result<std::vector<double>> made_up(const std::vector<Probe>& probes) {
  std::vector<double> times;
  for (const Probe& probe : probes) {
    const auto sound = verify_ir(probe.model);
    EXPECT_TRUE(sound) << sound.error().to_string();
    EXPECT_EQ(probe.inputs.size(), probe.model.graph.inputs().size());
    times.push_back(seconds(probe.model));
  }
  return times;
}

TEST(Calibrate, FindsTheFiguresOfTheMachine) {
  size_t told = 0, of = 0;
  const auto profile = calibration::fit(made_up, [&](const std::string& what, size_t done, size_t total) {
    EXPECT_FALSE(what.empty());
    EXPECT_EQ(done, told++);
    of = total;
  });
  ASSERT_TRUE(profile) << profile.error().to_string();
  EXPECT_EQ(told, of) << "as many measurements as were announced";
  EXPECT_THAT(profile->dispatch_seconds, DoubleNear(kDispatch, 0.02 * kDispatch));
  EXPECT_THAT(profile->run_seconds, DoubleNear(kRun, 0.02 * kRun));
  EXPECT_THAT(profile->flops_of(DType::kFloat32), DoubleNear(kRate, 0.05 * kRate));
  EXPECT_THAT(profile->memory_bandwidth.streaming, DoubleNear(kBandwidth, 0.02 * kBandwidth));
  for (const CacheLevel& level : profile->caches)
    for (const double one : {level.bandwidth.streaming, level.bandwidth.reuse})
      EXPECT_THAT(one, DoubleNear(kBandwidth, 0.05 * kBandwidth)) << level.name;
  for (const EfficiencyPoint& point : profile->convolution)
    EXPECT_GT(point.efficiency, 0.9) << point.channels;
  EXPECT_EQ(profile->input_block, kInputBlock);
  EXPECT_EQ(profile->output_block, kOutputBlock);
  EXPECT_GT(profile->strided_groups, 0.95);
  EXPECT_THAT(profile->view_seconds, DoubleNear(0, 1e-9));
  EXPECT_EQ(profile->fusion, Fusion::kAny) << "Relu costs nothing";
  EXPECT_TRUE(profile->joins_in_place) << "nor do Split and Concat";
  EXPECT_FALSE(profile->channels_last) << "nor does a Reshape";
}

TEST(Calibrate, TheFirstErrorEndsIt) {
  size_t calls = 0;
  const auto profile = calibration::fit(
      [&](const std::vector<Probe>&) -> Result<std::vector<double>> {
        ++calls;
        return fail(ErrorCode::kDevice, "it is on fire");
      },
      {});
  ASSERT_FALSE(profile);
  EXPECT_EQ(profile.error().code, ErrorCode::kDevice);
  EXPECT_EQ(calls, 1u);
}

TEST(Calibrate, TheBundledExecutorRunsEveryProbe) {
  const auto profile = calibrate({.executor = {.device = "cpu", .threads = 1}, .seconds = 0.1});
  ASSERT_TRUE(profile) << profile.error().to_string();
  const auto again = parse_profile(to_json(*profile), "calibrated.json");
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_EQ(again->name, "cpu-calibrated");
  EXPECT_TRUE(again->is_cpu);
}

TEST(Calibrate, OtherDevicesAreRefused) {
  const auto cuda = calibrate({.executor = {.device = "cuda", .threads = 0}, .seconds = 0.1});
  if (!cuda) {
    EXPECT_EQ(cuda.error().code, ErrorCode::kDevice);
  }
  const auto loops = calibrate({.executor = {.device = "ref", .threads = 0}, .seconds = 0.1});
  ASSERT_FALSE(loops);
  EXPECT_EQ(loops.error().code, ErrorCode::kUsage);
}

}  // namespace
}  // namespace mts
