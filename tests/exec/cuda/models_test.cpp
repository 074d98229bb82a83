// Bundled model families through the own CUDA kernels, on the host, against the reference evaluator: the
// first model of each, and what `stitch` makes of the family.
#include "exec/bind.h"
#include "exec/compile.h"
#include "tests/exec/cuda/harness.h"
#include "tests/exec/cuda/shim_backend.h"
#include "tests/exec/families.h"

#include <mts/canonicalise.h>
#include <mts/executor.h>
#include <mts/model_io.h>
#include <mts/stitch.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <map>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>

namespace mts::exec::cuda {
namespace {

// What of the bundled and light models has no CUDA kernel: TopK and classic learners, which have none on the
// CPU either. (Control flow and what has no static dims is never offered to a backend.) Whatever else falls
// back is a gap that this test finds.
constexpr std::string_view kOnHost[] = {"TopK", "LinearClassifier", "Normalizer", "Scaler",
                                        "TreeEnsembleClassifier"};

bool may_run_on_host(std::string_view op) {
  return std::find(std::begin(kOnHost), std::end(kOnHost), op) != std::end(kOnHost);
}

void expect_kernels(const std::map<std::string, StepCounts>& counts) {
  for (const auto& [op, count] : counts) {
    EXPECT_EQ(count.only_cpu, 0u) << "the CPU has a kernel that is missing here: " << op;
    EXPECT_TRUE(count.host == 0 || may_run_on_host(op))
        << op << " runs on the host, " << count.host << " times";
  }
}

std::vector<Datum> inputs_of(const Model& model, const Json& entry, size_t binding) {
  std::vector<Datum> inputs;
  unsigned seed = static_cast<unsigned>(binding) * 100;
  for (ValueId id : model.graph.inputs()) {
    Value value = model.graph.value(id);
    // Ranges are given by the name in the single model: "a/ids" is drawn as "ids".
    const size_t slash = value.name.find('/');
    if (slash != std::string::npos) value.name = value.name.substr(slash + 1);
    inputs.push_back(random_input(value, entry, binding, ++seed));
  }
  return inputs;
}

// Equal to the reference for each choice of the symbolic dimensions, and on the host only what may be there.
// `held`: in 16 bits, then within the tolerance.
void check(const Model& model, const Json& entry, const std::string& what, DType held = DType::kFloat32,
           double tolerance = 1e-4) {
  size_t bindings = 1;
  for (const auto& [symbol, choices] : entry["dims"].items()) bindings = std::max(bindings, choices.size());
  const auto reference = create_session(model, {.device = "ref", .threads = 1});
  ASSERT_TRUE(reference.has_value()) << reference.error().to_string();
  std::map<std::string, StepCounts> counts;
  const auto session = make_shim_session(model, &counts, held);
  ASSERT_TRUE(session.has_value()) << session.error().to_string();
  for (size_t binding = 0; binding < bindings; ++binding) {
    const std::vector<Datum> inputs = inputs_of(model, entry, binding);
    const auto expected = (*reference)->run(inputs);
    ASSERT_TRUE(expected.has_value()) << what << ": " << expected.error().to_string();
    const auto actual = (*session)->run(inputs);
    ASSERT_TRUE(actual.has_value()) << what << ": " << actual.error().to_string();
    ASSERT_EQ(expected->size(), actual->size()) << what;
    for (size_t i = 0; i < expected->size(); ++i) {
      expect_same((*expected)[i], (*actual)[i],
                  what + " binding " + std::to_string(binding) + " output " + std::to_string(i), tolerance);
    }
  }
  if (held == DType::kFloat32) expect_kernels(counts);  // else what is refused in 16 bits runs in float32
}

Stitched stitched_of(const Family& family, StitchOptions::Strategy strategy) {
  std::vector<Model> models;
  for (const Json& path : family.entry["models"]) {
    const std::filesystem::path file = "models/" + path.get<std::string>();
    auto model = load_model(file.string(), file.stem().string());
    EXPECT_TRUE(model.has_value()) << model.error().to_string();
    if (model) models.push_back(std::move(*model));
  }
  StitchOptions options;
  options.strategy = strategy;
  for (const Json& name : family.entry["share_inputs"])
    options.share_inputs.push_back(name.get<std::string>());
  auto stitched = stitch(std::move(models), options);
  EXPECT_TRUE(stitched.has_value()) << stitched.error().to_string();
  return stitched ? std::move(*stitched) : Stitched{};
}

class CudaModels : public testing::TestWithParam<Family> {};

TEST_P(CudaModels, EachOfTheFamily) {
  const Json& entry = GetParam().entry;
  for (const Json& path : entry["models"]) {
    const auto model = load_model("models/" + path.get<std::string>(), "m");
    ASSERT_TRUE(model.has_value()) << model.error().to_string();
    check(*model, entry, path.get<std::string>());
  }
}

TEST_P(CudaModels, Stitched) {
  for (const auto strategy : {StitchOptions::Strategy::kStitch, StitchOptions::Strategy::kAuto})
    check(stitched_of(GetParam(), strategy).model, GetParam().entry, GetParam().name + " stitched");
}

TEST_P(CudaModels, StitchedAndHeldInSixteenBits) {
  const Stitched stitched = stitched_of(GetParam(), StitchOptions::Strategy::kAuto);
  const std::string& name = GetParam().name;
  check(stitched.model, GetParam().entry, name + " in float16", DType::kFloat16, 5e-3);
  check(stitched.model, GetParam().entry, name + " in bfloat16", DType::kBfloat16, 2e-2);
}

// ONNX's light model zoo (ResNet-50, DenseNet, Inception, ShuffleNet, ...): large to run here, so only their
// plans.
TEST(CudaLightZoo, HasAKernelForEveryStep) {
  const char* const nodes = std::getenv("MTS_ONNX_NODE_TESTS");
  const std::filesystem::path folder =
      std::filesystem::path(nodes == nullptr ? "" : nodes).parent_path() / "light";
  if (nodes == nullptr || !std::filesystem::exists(folder)) GTEST_SKIP() << "there are no light models";
  size_t models = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    if (file.path().extension() != ".onnx") continue;
    auto loaded = load_model(file.path().string(), "m");
    ASSERT_TRUE(loaded.has_value()) << loaded.error().to_string();
    std::vector<Model> one;
    one.push_back(std::move(*loaded));
    const auto canonical = canonicalise(one);  // Dropout's old masks, for one
    ASSERT_TRUE(canonical.has_value()) << canonical.error().to_string();
    Model* const model = one.data();
    ASSERT_TRUE(model->graph.sort().has_value());
    std::vector<InputType> types;
    for (ValueId id : model->graph.inputs()) {
      const Value& value = model->graph.value(id);
      InputType type{value.type.dtype, {}};
      for (const Dim& dim : *value.type.shape) type.dims.push_back(dim.is_known() ? dim.value : 1);
      types.push_back(std::move(type));
    }
    std::map<std::string, StepCounts> counts;
    const std::unique_ptr<Backend> backend = make_shim_backend(&counts);
    const auto binding = exec::bind(*model, types);
    ASSERT_TRUE(binding.has_value()) << file.path() << binding.error().to_string();
    const auto plan = compile(*model, *binding, *backend);
    ASSERT_TRUE(plan.has_value()) << file.path() << plan.error().to_string();
    expect_kernels(counts);
    ++models;
  }
  EXPECT_GE(models, 9u);
}

INSTANTIATE_TEST_SUITE_P(Families, CudaModels, testing::ValuesIn(families()),
                         [](const auto& param_info) { return param_info.param.name; });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(CudaModels);

}  // namespace
}  // namespace mts::exec::cuda
