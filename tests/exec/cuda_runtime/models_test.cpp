// Whole plans of the CUDA backend on a device of host memory (host_device.h): single nodes and every bundled
// model give the reference's outputs, whatever order the streams run in, and with libraries that refuse.
#include "exec/bind.h"
#include "exec/compile.h"
#include "exec/cuda/own_kernels.h"
#include "exec/device_instance.h"
#include "tests/exec/cuda_runtime/host_device.h"
#include "tests/exec/cuda_runtime/node_cases.h"
#include "tests/exec/cuda_runtime/plans.h"
#include "tests/exec/harness.h"
#include "tests/exec/net.h"

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
                           const std::vector<Datum>& expected, Backend& backend, const std::string& what,
                           double tolerance = 1e-4) {
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
      expect_same(expected[i], (*actual)[i], what + " output " + std::to_string(i) + "\n" + text, tolerance);
  }
}

class Nodes : public testing::TestWithParam<Case> {};

TEST_P(Nodes, EqualTheReference) {
  std::vector<Datum> inputs;
  const Model model = model_of(GetParam(), inputs);
  const std::vector<Datum> expected = reference(model, inputs);
  for (const std::set<std::string>& refused : {std::set<std::string>{}, {"conv", "pool"}, {"gemm"}}) {
    for (const bool own : {false, true}) {
      const auto backend = host_backend(1, refused, own);
      expect_same_on_device(model, inputs, expected, *backend, to_string(GetParam()));
    }
  }
}

TEST_P(Nodes, OfSixteenBitsEqualTheReference) {
  for (const DType dtype : {DType::kFloat16, DType::kBfloat16}) {
    Case c = GetParam();
    c.opset = 22;  // the first with bfloat16 everywhere
    for (Operand& operand : c.operands) {
      if (operand.dtype == DType::kFloat32) operand.dtype = dtype;
    }
    std::vector<Datum> inputs;
    const Model model = model_of(c, inputs);
    const std::vector<Datum> expected = reference(model, inputs);
    for (const std::set<std::string>& refused : {std::set<std::string>{}, {"conv", "pool"}, {"gemm"}})
      expect_same_on_device(model, inputs, expected, *host_backend(1, refused), to_string(c));
  }
}

TEST_P(Nodes, HeldInSixteenBitsAreNearTheReference) {
  std::vector<Datum> inputs;
  const Model model = model_of(GetParam(), inputs);
  const std::vector<Datum> expected = reference(model, inputs);
  for (const auto& [held, tolerance] : {std::pair{DType::kFloat16, 5e-3}, {DType::kBfloat16, 2e-2}}) {
    for (const std::set<std::string>& refused : {std::set<std::string>{}, {"conv", "pool"}, {"gemm"}}) {
      const auto backend = host_backend(1, refused, true, held);
      expect_same_on_device(model, inputs, expected, *backend, to_string(GetParam()), tolerance);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(CudaBackend, Nodes, testing::ValuesIn(node_cases()));

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
// Inputs and outputs keep their types; the tolerances are those of 16-bit models (README).
TEST_P(Families, HeldInSixteenBitsAreNearTheReference) {
  const Family& family = GetParam();
  const std::string& path = family.models.front();
  auto model = load_model("models/" + path, "m");
  ASSERT_TRUE(model.has_value()) << model.error().to_string();
  ASSERT_TRUE(model->graph.sort().has_value());
  const std::vector<Datum> inputs = inputs_of(*model, family, 1);
  const std::vector<Datum> expected = reference(*model, inputs);
  for (const auto& [held, tolerance] : {std::pair{DType::kFloat16, 5e-3}, {DType::kBfloat16, 2e-2}}) {
    const auto backend = host_backend(7, {}, true, held);
    expect_same_on_device(*model, inputs, expected, *backend, path, tolerance);
  }
}

INSTANTIATE_TEST_SUITE_P(CudaBackend, Families, testing::ValuesIn(families()),
                         [](const auto& param_info) { return param_info.param.name; });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Families);

// What a device with this much memory says to a net of 16 MB of weights and a few MB of activations; empty:
// it fits.
std::string message_with(uint64_t capacity, DType held) {
  Net net;
  ValueId x = net.node("MatMul", {net.input({512, 1024}), net.weight({1024, 2048})});
  x = net.node("MatMul", {net.node("Softmax", {x}), net.weight({2048, 1024})});
  net.output(net.node("Relu", {x}));
  BackendParts parts;
  parts.runtime = std::make_unique<HostRuntime>(1, capacity);
  parts.libraries = std::make_unique<HostLibraries>();
  parts.own = std::move(*make_own_kernels(*parts.runtime));
  const auto backend = make_backend(std::move(parts), Math::kStrict, held);
  auto plan = plan_for(net.model, net.inputs, *backend);
  EXPECT_TRUE(plan.has_value());
  SharedDeviceMemory memory;
  const auto instance = DeviceInstance::create(net.model, std::move(*plan), *backend, memory, 4);
  if (instance) return "";
  EXPECT_EQ(instance.error().code, ErrorCode::kDevice);  // exit code 5
  EXPECT_EQ(instance.error().message.find('\n'), std::string::npos);
  return instance.error().message;
}

TEST(DeviceInstance, OutOfMemoryNamesWhatIsNeededAndTheBudgetThatFits) {
  using testing::AllOf, testing::HasSubstr;
  EXPECT_EQ(message_with(40'000'000, DType::kFloat32), "");
  EXPECT_THAT(
      message_with(24'000'000, DType::kFloat32),
      AllOf(HasSubstr("28.0 MiB are needed (weights 16.0 MiB, activations 8.0 MiB, inputs, outputs and "
                      "workspace 4.0 MiB), 22.9 MiB of 22.9 MiB are free"),
            HasSubstr("--memory-budget 19MB makes groups that fit")));
  EXPECT_THAT(message_with(10'000'000, DType::kFloat32),
              AllOf(HasSubstr("weights 16.0 MiB"), HasSubstr("fewer models in one file")));
  // Halves: half the bytes, of a budget that counts float32.
  EXPECT_EQ(message_with(24'000'000, DType::kFloat16), "");
  EXPECT_THAT(message_with(14'000'000, DType::kFloat16),
              AllOf(HasSubstr("weights 8.0 MiB"), HasSubstr("--memory-budget 19MB")));
}

TEST(DeviceInstance, StepsAreNamedToProfilersWhenTheyAreTimedAndOnlyThen) {
  Net net;
  net.output(net.node("Relu", {net.conv(net.input({1, 4, 6, 6}), 4, 4)}));
  const auto backend = host_backend();
  auto plan = plan_for(net.model, net.inputs, *backend);
  ASSERT_TRUE(plan.has_value());
  std::vector<std::string> expected;
  for (const Step& step : plan->steps) {
    if (step.kind == StepKind::kView) continue;
    expected.insert(expected.end(), {"+" + label_of(*plan, step), "replay", "replay", "-"});
  }
  SharedDeviceMemory memory;
  const auto instance = DeviceInstance::create(net.model, std::move(*plan), *backend, memory, 4);
  ASSERT_TRUE(instance.has_value());
  ASSERT_TRUE((*instance)->run(net.inputs).has_value());
  const auto& runtime = static_cast<const HostRuntime&>(*backend->runtime());
  EXPECT_THAT(runtime.trace(), testing::IsEmpty());
  ASSERT_TRUE((*instance)->time_steps(2).has_value());
  EXPECT_EQ(runtime.trace(), expected);
}

}  // namespace
}  // namespace mts::exec::cuda
