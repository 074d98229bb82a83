// Every cuDNN graph that the executor would build for the bundled families, alone and fused, and for the
// light models of ONNX's test data, has a plan for an H200: asked of cuDNN itself, on a machine without a GPU
// or a driver.
//
// Plans are compiled with libraries that cuDNN answers for, so layouts and fusion are those of the real
// device. A signature is asked once.
#include "exec/cuda/cudnn_graphs.h"
#include "exec/cuda/own_kernels.h"
#include "tests/exec/cuda_runtime/host_device.h"
#include "tests/exec/cuda_runtime/plans.h"

#include <mts/model_io.h>
#include <mts/stitch.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mts::exec::cuda {
namespace {

namespace fs = std::filesystem;

struct Answers {
  int plans = 0, refusals = 0;
  std::map<std::string, int> engines;
  std::map<DType, int> asked;
  std::vector<std::string> refused;
};

// cuDNN without a device. What it has no plan for is written down.
class DevicelessLibraries final : public Libraries {
 public:
  DevicelessLibraries(std::unique_ptr<CudnnGraphs> graphs, Answers& answers)
      : graphs_(std::move(graphs)), answers_(answers) {}
  bool takes(const ConvCall& call) override { return ask(call); }
  // Channels-last pools have runtime-compiled kernels only, which cuDNN offers on a device alone: not asked
  // here.
  bool takes(const PoolCall&) override { return false; }
  bool takes(const GemmCall&) override { return true; }  // cuBLASLt answers on a device only
  PreparedResult prepare(const ConvCall&) override { return fail(ErrorCode::kInternal, "nothing runs here"); }
  PreparedResult prepare(const PoolCall&) override { return fail(ErrorCode::kInternal, "nothing runs here"); }
  PreparedResult prepare(const GemmCall&) override { return fail(ErrorCode::kInternal, "nothing runs here"); }
  PreparedResult prepare(const CopyCall&) override { return fail(ErrorCode::kInternal, "nothing runs here"); }

 private:
  bool ask(const ConvCall& call) {
    ++answers_.asked[call.dtype];
    const auto [at, is_new] = known_.try_emplace(call.signature(), false);
    if (!is_new) return at->second;
    const auto plans = graphs_->build(call, 1);
    at->second = plans.has_value();
    if (plans) {
      ++answers_.plans;
      const std::string name = plans->front()->name();
      ++answers_.engines[name.substr(0, name.find('_'))];
    } else {
      ++answers_.refusals;
      answers_.refused.push_back(plans.error().message);
    }
    return at->second;
  }

  std::unique_ptr<CudnnGraphs> graphs_;
  Answers& answers_;
  std::map<std::string, bool> known_;
};

std::string h200() {
  std::ifstream file("tests/exec/cuda_runtime/h200_device_properties.json");
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Mode {
  const char* name;
  Math math;
  DType held;
};
constexpr Mode kModes[] = {{"FP32", Math::kStrict, DType::kFloat32},
                           {"TF32", Math::kFast, DType::kFloat32},
                           {"FP16", Math::kStrict, DType::kFloat16},
                           {"BF16", Math::kStrict, DType::kBfloat16}};

std::unique_ptr<Backend> backend_for(Answers& answers, const Mode& mode) {
  auto graphs = cudnn_graphs_without_device(h200());
  EXPECT_TRUE(graphs.has_value()) << graphs.error().to_string();
  BackendParts parts;
  parts.runtime = std::make_unique<HostRuntime>();
  parts.libraries = std::make_unique<DevicelessLibraries>(std::move(*graphs), answers);
  parts.own = std::move(*make_own_kernels(*parts.runtime));
  return make_backend(std::move(parts), mode.math, mode.held);
}

// One cache for all tests of a mode.
struct Shared {
  Answers answers;
  std::unique_ptr<Backend> backend;
};
Shared& shared(const Mode& mode) {
  static std::map<std::string, Shared> all;
  Shared& result = all[mode.name];
  if (result.backend == nullptr) result.backend = backend_for(result.answers, mode);
  return result;
}

void expect_plans(const Model& model, const std::vector<Datum>& inputs, const std::string& what) {
  for (const Mode& mode : kModes) {
    Shared& state = shared(mode);
    const size_t before = state.answers.refused.size();
    const auto plan = plan_for(model, inputs, *state.backend);
    // What no device of the executor runs has no graphs either.
    if (!plan && plan.error().code == ErrorCode::kUnsupported) {
      std::printf("%s: not run by the executor: %s\n", what.c_str(), plan.error().message.c_str());
      continue;
    }
    EXPECT_TRUE(plan.has_value()) << what << ": " << plan.error().to_string();
    for (size_t i = before; i < state.answers.refused.size(); ++i)
      ADD_FAILURE() << what << " in " << mode.name << ": " << state.answers.refused[i];
  }
}

TEST(Cudnn, FusesConvolutionAddendBiasAndReluInOneKernel) {
  auto graphs = cudnn_graphs_without_device(h200());
  ASSERT_TRUE(graphs.has_value()) << graphs.error().to_string();
  ConvCall call;
  call.x = {8, 64, 28, 28}, call.w = {64, 64, 3, 3}, call.y = {8, 64, 28, 28};
  call.strides = call.dilations = {1, 1};
  call.pads_begin = call.pads_end = {1, 1};
  call.addend = call.bias = true;
  call.activation = Activation::kRelu;
  for (const DType dtype : {DType::kFloat32, DType::kFloat16, DType::kBfloat16}) {
    for (const Math math : {Math::kStrict, Math::kFast}) {
      call.dtype = dtype;
      call.math = math;
      if (dtype != DType::kFloat32 && math == Math::kStrict) continue;
      const auto plans = (*graphs)->build(call, 3);
      ASSERT_TRUE(plans.has_value()) << plans.error().to_string();
      std::set<std::string> names;  // by which an autotuner knows them again
      for (const auto& plan : *plans) {
        names.insert(plan->name());
        EXPECT_THAT(plan->name(), testing::Not(testing::IsEmpty()));
        EXPECT_FALSE(plan->enqueue({}, nullptr, nullptr).has_value()) << "there is no device to run on";
      }
      EXPECT_EQ(names.size(), plans->size());
      EXPECT_GT(plans->size(), 1u) << "there is something to choose from";
    }
  }
  call.w = {64, 63, 3, 3};  // does not fit x
  EXPECT_FALSE((*graphs)->build(call, 1).has_value());
}

TEST(Cudnn, IsAskedForTheTypeThatModelsAreHeldIn) {
  const auto model = load_model("models/digits_heads/digit.onnx", "m");
  ASSERT_TRUE(model.has_value()) << model.error().to_string();
  for (const Mode& mode : kModes) {
    Answers answers;
    const auto backend = backend_for(answers, mode);
    for (const Family& family : families()) {
      if (family.name != "digits_heads") continue;
      ASSERT_TRUE(plan_for(*model, inputs_of(*model, family, 0), *backend).has_value());
    }
    // bfloat16 leaves the first convolution in float32.
    EXPECT_EQ(answers.asked.size(), mode.held == DType::kBfloat16 ? 2u : 1u) << mode.name;
    EXPECT_GT(answers.asked[mode.held], 0) << mode.name;
  }
}

class Families : public testing::TestWithParam<Family> {};

TEST_P(Families, HavePlansAloneAndFused) {
  const Family& family = GetParam();
  std::vector<Model> originals;
  for (const std::string& path : family.models) {
    auto model = load_model("models/" + path, fs::path(path).stem().string());
    ASSERT_TRUE(model.has_value()) << model.error().to_string();
    ASSERT_TRUE(model->graph.sort().has_value());
    originals.push_back(std::move(*model));
  }
  size_t bindings = 1;
  for (const auto& [symbol, sizes] : family.dims) bindings = std::max(bindings, sizes.size());
  for (size_t m = 0; m < originals.size(); ++m) {
    for (size_t b = 0; b < bindings; ++b)
      expect_plans(originals[m], inputs_of(originals[m], family, b), family.models[m]);
  }
  StitchOptions options;
  options.share_inputs = family.share_inputs;
  auto fused = stitch(std::move(originals), options);
  ASSERT_TRUE(fused.has_value()) << fused.error().to_string();
  ASSERT_TRUE(fused->model.graph.sort().has_value());
  for (size_t b = 0; b < bindings; ++b)
    expect_plans(fused->model, inputs_of(fused->model, family, b), "fused");
}
INSTANTIATE_TEST_SUITE_P(Cudnn, Families, testing::ValuesIn(families()),
                         [](const auto& param_info) { return param_info.param.name; });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Families);

TEST(Cudnn, LightZooModelsHavePlans) {
  const char* const data = std::getenv("MTS_ONNX_NODE_TESTS");  // "light" lies beside
  const fs::path folder = data == nullptr ? fs::path() : fs::path(data).parent_path() / "light";
  std::error_code error;
  if (!fs::is_directory(folder, error)) GTEST_SKIP() << "no light models beside MTS_ONNX_NODE_TESTS";
  std::vector<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".onnx") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  ASSERT_FALSE(paths.empty());
  for (const fs::path& path : paths) {
    auto model = load_model(path.string(), path.stem().string());
    ASSERT_TRUE(model.has_value()) << model.error().to_string();
    ASSERT_TRUE(model->graph.sort().has_value());
    // Their weights are made by operators of the graph.
    expect_plans(*model, inputs_of(*model, Family{}, 0), path.stem().string());
  }
}

// What was asked, for the log: after all tests.
class Summary : public testing::Environment {
 public:
  void TearDown() override {
    for (const Mode& mode : kModes) {
      const Answers& answers = shared(mode).answers;
      std::printf("%s: %d convolutions with a plan, %d without; engines:", mode.name, answers.plans,
                  answers.refusals);
      for (const auto& [engine, count] : answers.engines) std::printf(" %s x%d", engine.c_str(), count);
      std::printf("\n");
    }
  }
};
[[maybe_unused]] const testing::Environment* const kSummary =
    testing::AddGlobalTestEnvironment(new Summary);  // NOLINT: GoogleTest deletes it

}  // namespace
}  // namespace mts::exec::cuda
