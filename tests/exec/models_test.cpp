// Every bundled model gives the same outputs on the CPU backend and on the reference evaluator, for several
// bindings of its symbolic dimensions (a plan each).
#include "tests/exec/harness.h"

#include <mts/model_io.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <random>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace mts::exec {
namespace {

using Json = nlohmann::json;

struct Family {
  std::string name;
  Json entry;
};
void PrintTo(const Family& family, std::ostream* out) { *out << family.name; }

std::vector<Family> families() {
  std::ifstream file("models/families.json");
  std::vector<Family> result;
  if (!file) return result;
  for (const Json& entry : Json::parse(file)) result.push_back({entry["name"].get<std::string>(), entry});
  return result;
}

Datum random_input(const Value& value, const Json& entry, size_t binding, unsigned seed) {
  Dims dims;
  for (const Dim& dim : *value.type.shape) {
    if (dim.is_known()) {
      dims.push_back(dim.value);
    } else if (entry["dims"].contains(dim.symbol)) {
      const Json& choices = entry["dims"][dim.symbol];
      dims.push_back(choices[std::min(binding, choices.size() - 1)].get<int64_t>());
    } else {
      dims.push_back(1);
    }
  }
  double low = -2, high = 2;
  if (entry["ranges"].contains(value.name)) {
    low = entry["ranges"][value.name][0].get<double>();
    high = entry["ranges"][value.name][1].get<double>() - 1e-3;
  } else if (is_integer(value.type.dtype)) {
    low = 0, high = 9.99;
  }
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(low, high);
  std::vector<double> values(static_cast<size_t>(element_count(dims)));
  for (double& v : values) v = uniform(random);
  if (value.type.dtype == DType::kFloat16) {
    Tensor half(DType::kFloat16, dims);
    // 1.x * 2^e with a random mantissa: exact values do not matter here.
    for (int64_t i = 0; i < half.element_count(); ++i)
      half.mutable_as<uint16_t>()[i] =
          static_cast<uint16_t>(0x3800 + random() % 0x400 + (random() % 2) * 0x8000);
    return half;
  }
  return random_tensor(value.type.dtype, dims, seed, values);
}

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
