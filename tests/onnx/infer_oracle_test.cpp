// infer_types against onnx::shape_inference::InferShapes as the oracle: whatever that knows of a value,
// infer_types must know too.
#include <mts/model_io.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>
#include <onnx/shape_inference/implementation.h>

namespace mts {
namespace {

namespace fs = std::filesystem;

// Empty when `type` says at least as much as the oracle's.
std::string compare(const onnx::TypeProto& oracle, const Type& type) {
  if (oracle.value_case() == onnx::TypeProto::VALUE_NOT_SET) return {};
  if (!oracle.has_tensor_type()) return type.kind == Type::Kind::kOther ? "" : "not a tensor";
  if (!type.is_tensor()) return "no tensor type";
  const auto& tensor = oracle.tensor_type();
  if (tensor.elem_type() != static_cast<int32_t>(type.dtype))
    return "element type " + std::to_string(tensor.elem_type());
  if (!tensor.has_shape()) return {};
  if (!type.has_rank()) return "no rank";
  if (static_cast<int>(type.rank()) != tensor.shape().dim_size())
    return "rank " + std::to_string(tensor.shape().dim_size());
  for (int i = 0; i < tensor.shape().dim_size(); ++i) {
    const auto& dim = tensor.shape().dim(i);
    const Dim& mine = (*type.shape)[static_cast<size_t>(i)];
    if (dim.has_dim_value() && mine.value != dim.dim_value())
      return "dim " + std::to_string(i) + " is " + std::to_string(dim.dim_value());
    if (!dim.dim_param().empty() && !dim.dim_param().starts_with("unk__") && !mine.is_known() &&
        mine.symbol != dim.dim_param())
      return "dim " + std::to_string(i) + " is " + dim.dim_param();
  }
  return {};
}

// The contents that data propagation found. Where the lengths differ the oracle is wrong: it takes unknown
// bounds of a Slice for 0.
void compare_content(const onnx::shape_inference::DataValueMap& oracle, const Graph& graph,
                     const ShapeFacts& facts, const std::string& path) {
  for (size_t i = 0; i < graph.value_count(); ++i) {
    const Value& value = graph.value(static_cast<ValueId>(i));
    const auto it = oracle.find(value.name);
    if (it == oracle.end() || (value.type.dtype != DType::kInt64 && value.type.dtype != DType::kInt32))
      continue;
    for (int k = 0; k < it->second.dim_size(); ++k) {
      const auto& dim = it->second.dim(k);
      const bool says = (dim.has_dim_value() && dim.dim_value() >= 0) ||
                        (!dim.dim_param().empty() && !dim.dim_param().starts_with("unk__"));
      if (!says) continue;
      if (!facts.known[i]) {
        ADD_FAILURE() << path << ": the content of " << value.name << " is not known";
        break;
      }
      if (facts.content[i].size() != static_cast<size_t>(it->second.dim_size())) break;
      const Dim& mine = facts.content[i][static_cast<size_t>(k)];
      EXPECT_TRUE(dim.has_dim_value() ? mine.value == dim.dim_value() : mine.symbol == dim.dim_param())
          << path << ": element " << k << " of " << value.name;
    }
  }
}

void compare_graph(const onnx::GraphProto& oracle, const Graph& graph, const std::string& path,
                   size_t& compared) {
  std::map<std::string, ValueId> ids;
  for (size_t i = 0; i < graph.value_count(); ++i)
    ids.emplace(graph.value(static_cast<ValueId>(i)).name, static_cast<ValueId>(i));
  for (const auto* list : {&oracle.value_info(), &oracle.output()})
    for (const auto& info : *list) {
      const auto it = ids.find(info.name());
      if (it == ids.end()) continue;
      ++compared;
      const Type& type = graph.value(it->second).type;
      if (const std::string problem = compare(info.type(), type); !problem.empty())
        ADD_FAILURE() << path << ": " << info.name() << " is " << to_string(type) << ", oracle: " << problem;
    }
}

// Forgets all types but those of the inputs, so that everything must be inferred.
void strip(Model& model) {
  Graph& graph = model.graph;
  for (size_t i = 0; i < graph.value_count(); ++i) {
    Value& value = graph.value(static_cast<ValueId>(i));
    if (value.producer != kNoNode) value.type = {};
  }
}

void run_all(const fs::path& folder, bool stripped) {
  std::error_code missing;
  size_t compared = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder, missing)) {
    if (entry.path().extension() != ".onnx") continue;
    auto model = load_model(entry.path().string(), "m");
    if (!model) continue;
    if (stripped) strip(*model);
    auto bytes = to_bytes(*model);
    ASSERT_TRUE(bytes) << bytes.error().to_string();
    onnx::ModelProto proto;
    ASSERT_TRUE(proto.ParseFromString(*bytes));
    onnx::shape_inference::DataValueMap content;
    try {
      onnx::shape_inference::InferShapes(proto, onnx::OpSchemaRegistry::Instance(),
                                         onnx::ShapeInferenceOptions(false, 0, true), &content);
    } catch (const std::exception&) {
      // It gives up on the first contradiction; what it found before still counts.
    }
    auto facts = infer_types(*model);
    ASSERT_TRUE(facts) << facts.error().to_string();
    compare_graph(proto.graph(), model->graph, entry.path().string(), compared);
    compare_content(content, model->graph, *facts, entry.path().string());
  }
  if (compared == 0) GTEST_SKIP() << "the models are not installed";
  testing::Test::RecordProperty("values", static_cast<int>(compared));
}

class InferOracle : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Types, InferOracle, testing::Bool(),
                         [](const auto& test) { return test.param ? "Stripped" : "Declared"; });

TEST_P(InferOracle, Debian) { run_all("/usr/share/libonnx-testdata/data", GetParam()); }
TEST_P(InferOracle, Sdist) { run_all(MTS_ONNX_TESTS, GetParam()); }
TEST_P(InferOracle, BundledFamilies) { run_all("models", GetParam()); }
TEST_P(InferOracle, MoreModels) {
  const char* folder = std::getenv("MTS_MORE_MODELS");
  if (folder == nullptr) GTEST_SKIP() << "MTS_MORE_MODELS is not set";
  run_all(folder, GetParam());
}

}  // namespace
}  // namespace mts
