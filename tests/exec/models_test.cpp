// Every bundled model gives the same outputs on the CPU backend and on the reference evaluator, for several
// bindings of its symbolic dimensions (a plan each).
#include "tests/exec/families.h"
#include "tests/exec/harness.h"

#include <mts/model_io.h>

#include <algorithm>

#include <gtest/gtest.h>

namespace mts::exec {
namespace {

class BundledModels : public testing::TestWithParam<Family> {};

TEST_P(BundledModels, CpuEqualsReference) {
  const Json& entry = GetParam().entry;
  for (const Json& path : entry["models"]) {
    auto model = load_model("models/" + path.get<std::string>(), "m");
    ASSERT_TRUE(model.has_value()) << model.error().to_string();
    auto reference = create_session(*model, {.device = "ref"});
    ASSERT_TRUE(reference.has_value()) << reference.error().to_string();
    auto cpu = create_session(*model, {.device = "cpu", .threads = 2});
    ASSERT_TRUE(cpu.has_value()) << cpu.error().to_string();
    size_t bindings = 1;
    for (const auto& [symbol, choices] : entry["dims"].items()) bindings = std::max(bindings, choices.size());
    for (size_t binding = 0; binding < bindings; ++binding) {
      std::vector<Datum> inputs;
      unsigned seed = static_cast<unsigned>(binding) * 100;
      for (ValueId id : model->graph.inputs())
        inputs.push_back(random_input(model->graph.value(id), entry, binding, ++seed));
      const auto expected = (*reference)->run(inputs);
      ASSERT_TRUE(expected.has_value()) << path << ": " << expected.error().to_string();
      for (int repeat = 0; repeat < 2; ++repeat) {
        const auto actual = (*cpu)->run(inputs);
        ASSERT_TRUE(actual.has_value()) << path << ": " << actual.error().to_string();
        ASSERT_EQ(expected->size(), actual->size());
        for (size_t i = 0; i < expected->size(); ++i) {
          expect_same((*expected)[i], (*actual)[i],
                      path.get<std::string>() + " binding " + std::to_string(binding) + " output " +
                          std::to_string(i));
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Families, BundledModels, testing::ValuesIn(families()),
                         [](const auto& param_info) { return param_info.param.name; });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(BundledModels);

}  // namespace
}  // namespace mts::exec
