// The bundled families of models: canonicalise succeeds, keeps the interface, leaves no shape arithmetic in
// convolutional networks, never adds nodes without need, and a second run changes nothing.
#include "tests/canon/run_both.h"

#include <mts/canonicalise.h>
#include <mts/model_io.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include <gtest/gtest.h>

namespace mts {
namespace {

std::vector<std::string> families() {
  std::vector<std::string> found;
  if (!std::filesystem::is_directory("models")) return found;
  for (const auto& entry : std::filesystem::directory_iterator("models"))
    if (entry.is_directory()) found.push_back(entry.path().filename().string());
  std::ranges::sort(found);
  return found;
}

std::vector<Model> load_family(const std::string& family) {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator("models/" + family))
    if (entry.path().extension() == ".onnx") paths.push_back(entry.path().generic_string());
  std::ranges::sort(paths);
  std::vector<Model> models;
  for (const std::string& path : paths) {
    auto model = load_model(path, std::filesystem::path(path).stem().string());
    EXPECT_TRUE(model) << model.error().to_string();
    if (model) models.push_back(std::move(*model));
  }
  return models;
}

std::string interface_of(const Graph& graph) {
  std::string text;
  for (const ValueId id : graph.inputs())
    text += graph.value(id).name + " " + to_string(graph.value(id).type) + "\n";
  text += "=>\n";
  for (const ValueId id : graph.outputs())
    text += graph.value(id).name + " " + to_string(graph.value(id).type) + "\n";
  return text;
}

void collect_operators(const Graph& graph, std::multiset<std::string>& operators) {
  for (const NodeId id : graph.order()) {
    operators.insert(graph.node(id).op_type);
    for (const Graph* child : graph.node(id).subgraphs()) collect_operators(*child, operators);
  }
}

class Families : public testing::TestWithParam<std::string> {};

TEST_P(Families, Canonicalise) {
  std::vector<Model> models = load_family(GetParam());
  std::vector<std::string> interfaces;
  std::vector<size_t> counts;
  for (const Model& model : models) {
    interfaces.push_back(interface_of(model.graph));
    std::multiset<std::string> operators;
    collect_operators(model.graph, operators);
    counts.push_back(operators.size());
  }
  const auto done = canonicalise(models);
  ASSERT_TRUE(done) << done.error().to_string();
  std::vector<Model> again;
  for (size_t i = 0; i < models.size(); ++i) {
    SCOPED_TRACE(models[i].path);
    const auto verified = verify_ir(models[i]);
    EXPECT_TRUE(verified) << verified.error().to_string();
    EXPECT_EQ(interface_of(models[i].graph), interfaces[i]);
    std::multiset<std::string> operators;
    collect_operators(models[i].graph, operators);
    // A ReduceMean that drops the spatial dimensions becomes two nodes.
    EXPECT_LE(operators.size(), counts[i] + operators.count("GlobalAveragePool"));
    EXPECT_EQ(operators.count("Constant"), 0u);
    const bool has_attention =
        operators.contains("Softmax") || operators.contains("LSTM") || operators.contains("GRU");
    if (operators.contains("Conv") && !has_attention && !operators.contains("Resize") &&
        !operators.contains("Expand")) {
      EXPECT_EQ(operators.count("Shape"), 0u);
    }
    again.push_back(models[i].clone());
  }
  ASSERT_TRUE(canonicalise(again));
  for (size_t i = 0; i < models.size(); ++i)
    EXPECT_EQ(testing_canon::structure_of(again[i].graph), testing_canon::structure_of(models[i].graph))
        << models[i].path;
}

INSTANTIATE_TEST_SUITE_P(All, Families, testing::ValuesIn(families()),
                         [](const auto& param) { return param.param; });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Families);

}  // namespace
}  // namespace mts
