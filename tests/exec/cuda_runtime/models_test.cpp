// Whole plans of the CUDA backend on a device of host memory (host_device.h): single nodes and every bundled
// model give the reference's outputs, whatever order the streams run in, and with libraries that refuse.
#include "exec/bind.h"
#include "exec/compile.h"
#include "exec/device_instance.h"
#include "tests/exec/cuda_runtime/host_device.h"
#include "tests/exec/cuda_runtime/plans.h"
#include "tests/exec/harness.h"

#include <mts/model_io.h>

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mts::exec::cuda {
namespace {

std::vector<Datum> reference(const Model& model, const std::vector<Datum>& inputs) {
  auto session = create_session(model, {.device = "ref"});
  EXPECT_TRUE(session.has_value()) << session.error().to_string();
  auto outputs = (*session)->run(inputs);
  EXPECT_TRUE(outputs.has_value()) << outputs.error().to_string();
  return outputs ? std::move(*outputs) : std::vector<Datum>{};
}

void expect_same_on_device(const Model& model, const std::vector<Datum>& inputs,
                           const std::vector<Datum>& expected, Backend& backend, const std::string& what) {
  SharedDeviceMemory memory;
  Result<ExecPlan> plan = plan_for(model, inputs, backend);
  ASSERT_TRUE(plan.has_value()) << what << ": " << plan.error().to_string();
  const std::string text = to_string(*plan);
  auto instance = DeviceInstance::create(model, std::move(*plan), backend, memory, 16);
  ASSERT_TRUE(instance.has_value()) << what << ": " << instance.error().to_string();
  for (int repeat = 0; repeat < 2; ++repeat) {
    const auto actual = (*instance)->run(inputs);
    ASSERT_TRUE(actual.has_value()) << what << ": " << actual.error().to_string();
    ASSERT_EQ(expected.size(), actual->size());
    for (size_t i = 0; i < expected.size(); ++i)
      expect_same(expected[i], (*actual)[i], what + " output " + std::to_string(i) + "\n" + text);
  }
}

class Nodes : public testing::TestWithParam<Case> {};

TEST_P(Nodes, EqualTheReference) {
  std::vector<Datum> inputs;
  const Model model = model_of(GetParam(), inputs);
  const std::vector<Datum> expected = reference(model, inputs);
  for (const std::set<std::string>& refused : {std::set<std::string>{}, {"conv", "pool"}}) {
    for (const bool own : {false, true}) {
      const auto backend = host_backend(1, refused, own);
      expect_same_on_device(model, inputs, expected, *backend, to_string(GetParam()));
    }
  }
}

using I = int64_t;
using Ints = std::vector<int64_t>;
std::vector<Case> cases() {
  const auto bias = [](int64_t n) { return weight({n}); };
  return {
      {"Conv", {}, {input({2, 3, 7, 6}), weight({4, 3, 3, 3})}},
      {"Conv", {{"pads", Ints{1, 1, 1, 1}}}, {input({2, 4, 6, 6}), weight({6, 4, 3, 3}), bias(6)}},
      {"Conv",
       {{"pads", Ints{0, 1, 2, 1}}, {"strides", Ints{2, 2}}},
       {input({1, 3, 9, 8}), weight({5, 3, 3, 3}), bias(5)}},
      {"Conv", {{"dilations", Ints{2, 1}}}, {input({1, 3, 9, 8}), weight({5, 3, 3, 3})}},
      {"Conv",
       {{"auto_pad", std::string("SAME_UPPER")}, {"strides", Ints{2, 2}}},
       {input({1, 3, 8, 8}), weight({5, 3, 3, 3})}},
      {"Conv",
       {{"group", I{2}}, {"pads", Ints{1, 1, 1, 1}}},
       {input({2, 4, 5, 5}), weight({6, 2, 3, 3}), bias(6)}},
      {"Conv",
       {{"group", I{4}}, {"pads", Ints{1, 1, 1, 1}}},
       {input({2, 4, 5, 5}), weight({4, 1, 3, 3}), bias(4)}},
      {"Conv", {}, {input({2, 8, 5, 5}), weight({6, 8, 1, 1}), bias(6)}},
      {"Conv", {{"group", I{2}}}, {input({2, 8, 5, 5}), weight({6, 4, 1, 1}), bias(6)}},
      {"Conv", {{"strides", Ints{2, 2}}}, {input({2, 8, 5, 5}), weight({6, 8, 1, 1})}},
      {"Conv", {}, {input({2, 8, 5, 5}), input({6, 8, 1, 1}), input({6})}},
      {"Conv", {}, {input({1, 2, 5, 5}), input({3, 2, 3, 3})}},
      {"Conv", {{"pads", Ints{1, 1}}}, {input({2, 3, 9}), weight({4, 3, 3}), bias(4)}},
      {"Conv", {}, {input({1, 2, 4, 5, 6}), weight({3, 2, 2, 3, 2}), bias(3)}},
      {"Conv", {}, {input({3, 4, 3, 3}), weight({6, 4, 3, 3}), bias(6)}},  // one pixel out
      {"MatMul", {}, {input({3, 5}), weight({5, 7})}},
      {"MatMul", {}, {input({2, 3, 5}), weight({5, 7})}},
      {"MatMul", {}, {input({4, 3, 5}), input({4, 5, 7})}},
      {"MatMul", {}, {input({2, 4, 3, 5}), input({2, 4, 5, 2})}},
      {"MatMul", {}, {input({4, 2, 3, 5}), weight({4, 1, 5, 2})}},
      {"MatMul", {}, {input({3, 5}), weight({4, 5, 2})}},
      {"MatMul", {}, {input({5}), weight({5, 2})}},
      {"MatMul", {}, {input({2, 5}), weight({5})}},
      {"MatMul", {}, {input({2, 1, 3, 5}), input({1, 4, 5, 2})}},
      {"Gemm", {}, {input({3, 5}), weight({5, 7}), weight({7})}},
      {"Gemm",
       {{"transA", I{1}}, {"transB", I{1}}, {"alpha", 0.5f}},
       {input({5, 3}), weight({7, 5}), weight({1, 7})}},
      {"Gemm", {{"beta", 0.25f}}, {input({3, 5}), weight({5, 7}), weight({7})}},
      {"Gemm", {}, {input({3, 5}), weight({5, 7}), weight({3, 7})}},
      {"Gemm", {}, {input({3, 5}), weight({5, 7}), weight({3, 1})}},
      {"MaxPool",
       {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}},
       {input({2, 3, 8, 8})}},
      {"AveragePool", {{"kernel_shape", Ints{2, 2}}}, {input({2, 3, 8, 8})}},
      {"GlobalAveragePool", {}, {input({2, 3, 8, 8})}},
      {"Softmax", {}, {input({2, 9})}},
      {"Concat", {{"axis", I{1}}}, {input({2, 3, 4}), input({2, 1, 4})}},
      {"NonZero", {}, {input({2, 3})}},
  };
}
INSTANTIATE_TEST_SUITE_P(CudaBackend, Nodes, testing::ValuesIn(cases()));

class Families : public testing::TestWithParam<Family> {};

TEST_P(Families, EqualTheReferenceInAnyOrderOfStreams) {
  const Family& family = GetParam();
  for (const std::string& path : family.models) {
    auto model = load_model("models/" + path, "m");
    ASSERT_TRUE(model.has_value()) << model.error().to_string();
    ASSERT_TRUE(model->graph.sort().has_value());
    const std::vector<Datum> inputs = inputs_of(*model, family, 1);
    const std::vector<Datum> expected = reference(*model, inputs);
    const auto backend = host_backend(static_cast<unsigned>(path.size()));
    expect_same_on_device(*model, inputs, expected, *backend, path);
    if (&path - family.models.data() == 1) break;  // the others are built alike
  }
}
INSTANTIATE_TEST_SUITE_P(CudaBackend, Families, testing::ValuesIn(families()),
                         [](const auto& param_info) { return param_info.param.name; });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Families);

TEST(DeviceInstance, SaysWhatNeedsHowMuch) {
  const Case matmul{"MatMul", {}, {input({64, 64}), weight({64, 64})}};
  std::vector<Datum> inputs;
  const Model model = model_of(matmul, inputs);
  const auto backend = make_backend(
      {std::make_unique<HostRuntime>(1, 10'000), std::make_unique<HostLibraries>(), cpu_kernels()},
      Math::kStrict);
  auto plan = plan_for(model, inputs, *backend);
  ASSERT_TRUE(plan.has_value());
  SharedDeviceMemory memory;
  const auto instance = DeviceInstance::create(model, std::move(*plan), *backend, memory, 4);
  ASSERT_FALSE(instance.has_value());
  EXPECT_EQ(instance.error().code, ErrorCode::kDevice);
  EXPECT_THAT(instance.error().message, testing::HasSubstr("weights need 16384"));
}

}  // namespace
}  // namespace mts::exec::cuda
