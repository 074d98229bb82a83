// Bundled model families through the own CUDA kernels, on the host, against the reference evaluator: the
// first model of each, and what `stitch` makes of the family.
#include "tests/exec/cuda/harness.h"
#include "tests/exec/cuda/shim_backend.h"
#include "tests/exec/families.h"

#include <mts/model_io.h>
#include <mts/stitch.h>

#include <filesystem>
#include <utility>

#include <gtest/gtest.h>

namespace mts::exec::cuda {
namespace {

std::vector<Datum> inputs_of(const Model& model, const Json& entry) {
  std::vector<Datum> inputs;
  unsigned seed = 0;
  for (ValueId id : model.graph.inputs()) {
    Value value = model.graph.value(id);
    // Ranges are given by the name in the single model: "a/ids" is drawn as "ids".
    const size_t slash = value.name.find('/');
    if (slash != std::string::npos) value.name = value.name.substr(slash + 1);
    inputs.push_back(random_input(value, entry, 0, ++seed));
  }
  return inputs;
}

class CudaModels : public testing::TestWithParam<Family> {};

TEST_P(CudaModels, OneOfTheFamily) {
  const Json& entry = GetParam().entry;
  const auto path = entry["models"][0].get<std::string>();
  const auto model = load_model("models/" + path, "m");
  ASSERT_TRUE(model.has_value()) << model.error().to_string();
  expect_same_on_shim(*model, inputs_of(*model, entry), path);
}

TEST_P(CudaModels, Stitched) {
  const Json& entry = GetParam().entry;
  std::vector<Model> models;
  for (const Json& path : entry["models"]) {
    const std::filesystem::path file = "models/" + path.get<std::string>();
    auto model = load_model(file.string(), file.stem().string());
    ASSERT_TRUE(model.has_value()) << model.error().to_string();
    models.push_back(std::move(*model));
  }
  StitchOptions options;
  options.strategy = StitchOptions::Strategy::kStitch;
  for (const Json& name : entry["share_inputs"]) options.share_inputs.push_back(name.get<std::string>());
  const auto stitched = stitch(std::move(models), options);
  ASSERT_TRUE(stitched.has_value()) << stitched.error().to_string();
  expect_same_on_shim(stitched->model, inputs_of(stitched->model, entry), GetParam().name + " stitched");
}

INSTANTIATE_TEST_SUITE_P(Families, CudaModels, testing::ValuesIn(families()),
                         [](const auto& param_info) { return param_info.param.name; });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(CudaModels);

}  // namespace
}  // namespace mts::exec::cuda
