// What textual goldens cannot show: weights above 1 KB, metadata, refusals of malformed graphs.
#include "tests/canon/run_both.h"

#include <mts/canonicalise.h>
#include <mts/model_io.h>

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mts {
namespace {

// A float32 weight that no other seed makes.
WeightPtr weight(Dims dims, int seed) {
  std::vector<float> values(static_cast<size_t>(element_count(dims)));
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>((static_cast<int>(i) * 31 + seed * 17) % 97) / 97.0f - 0.5f;
  return Weight::floats(values, std::move(dims));
}

// The text with its zero weights (float[...] name = {0, ...} cannot be that long) added as constants.
Model model_with(const std::string& text, const std::vector<std::pair<std::string, WeightPtr>>& weights) {
  auto model = parse_text("<ir_version: 8, opset_import: [\"\" : 17]> " + text, "m");
  EXPECT_TRUE(model) << (model ? "" : model.error().to_string());
  Graph& graph = model->graph;
  for (const auto& [name, content] : weights)
    for (size_t i = 0; i < graph.inputs().size(); ++i) {
      const ValueId id = graph.inputs()[i];
      if (graph.value(id).name != name) continue;
      graph.remove_input(i);
      graph.value(id).weight = content;
      break;
    }
  return std::move(*model);
}

size_t count(const Graph& graph, std::string_view op_type) {
  return static_cast<size_t>(
      std::ranges::count_if(graph.order(), [&](NodeId id) { return graph.node(id).op_type == op_type; }));
}

size_t constant_bytes(const Graph& graph) {
  size_t bytes = 0;
  for (size_t i = 0; i < graph.value_count(); ++i)
    if (const auto& w = graph.value(static_cast<ValueId>(i)).weight; w != nullptr && w->byte_size() > 1024)
      bytes += w->byte_size();
  return bytes;
}

Model canonical(Model model) {
  const Model before = model.clone();
  std::vector<Model> models;
  models.push_back(std::move(model));
  const auto done = canonicalise(models);
  EXPECT_TRUE(done) << (done ? "" : done.error().to_string());
  testing_canon::expect_same_results(before, models[0], "canonical");
  return std::move(models[0]);
}

TEST(FoldConstants, TransposeOfALargeWeightFolds) {
  const Model model =
      canonical(model_with("g (float[N,S,24] x, float[32,24] w) => (float[N,S,32] y) { t = Transpose <perm = "
                           "[1, 0]> (w) y = MatMul (x, t) }",
                           {{"w", weight({32, 24}, 1)}}));
  EXPECT_EQ(count(model.graph, "Transpose"), 0u);
  EXPECT_EQ(constant_bytes(model.graph), 32u * 24 * 4);
}

TEST(FoldConstants, TransposeOfATiedEmbeddingStays) {
  const Model model =
      canonical(model_with("g (int64[N,S] ids, float[32,24] w) => (float[N,S,32] y) { x = Gather (w, ids) t "
                           "= Transpose <perm = [1, 0]> (w) "
                           "y = MatMul (x, t) }",
                           {{"w", weight({32, 24}, 1)}}));
  EXPECT_EQ(count(model.graph, "Transpose"), 1u);
  EXPECT_EQ(constant_bytes(model.graph), 32u * 24 * 4);
}

TEST(FoldConstants, RepackingOfGatesFoldsWhole) {
  const Model model = canonical(
      model_with("g (float[N,S,24] x, float[32,24] w) => (float[N,S,32] y) "
                 "<int64[1] a0 = {0}, int64[1] a8 = {8}, int64[1] a16 = {16}, int64[1] a24 = {24}, int64[1] "
                 "a32 = {32}> { "
                 "i = Slice (w, a0, a8, a0) f = Slice (w, a8, a16, a0) c = Slice (w, a16, a24, a0) o = Slice "
                 "(w, a24, a32, a0) "
                 "p = Concat <axis = 0> (i, o, f, c) t = Transpose <perm = [1, 0]> (p) y = MatMul (x, t) }",
                 {{"w", weight({32, 24}, 1)}}));
  EXPECT_EQ(model.graph.order().size(), 1u);
  EXPECT_EQ(constant_bytes(model.graph), 32u * 24 * 4);
}

TEST(FoldConstants, ArithmeticOnLargeWeightsStays) {
  // A folded W + B A would no longer be the W that other models share.
  const Model model = canonical(
      model_with("g (float[N,S,24] x, float[24,32] w, float[24,2] b, float[2,32] a) => (float[N,S,32] y) { d "
                 "= MatMul (b, a) "
                 "u = Add (w, d) y = MatMul (x, u) }",
                 {{"w", weight({24, 32}, 1)}, {"b", weight({24, 2}, 2)}, {"a", weight({2, 32}, 3)}}));
  EXPECT_EQ(model.graph.order().size(), 3u);
}

TEST(FoldConstants, LargeResultsOfSmallConstantsStay) {
  const Model model =
      canonical(model_with("g (float[N,400] x) => (float[N,400] y) <int64[1] n = {400}> { z = "
                           "ConstantOfShape <value = float[1] {2.0}> (n) y = Add (x, z) }",
                           {}));
  EXPECT_EQ(count(model.graph, "ConstantOfShape"), 1u);
}

TEST(Canonicalise, LinearLayersInAnyLayoutEndWithOneWeight) {
  const WeightPtr rows = weight({32, 24}, 1);
  std::vector<Model> models;
  models.push_back(model_with(
      "g (float[N,24] x, float[32,24] w, float[32] b) => (float[N,32] y) { y = Gemm <transB = 1> (x, w, b) }",
      {{"w", rows}, {"b", weight({32}, 2)}}));
  models.push_back(
      model_with("g (float[N,24] x, float[24,32] w, float[32] b) => (float[N,32] y) { m = MatMul (x, w) y = "
                 "Add (b, m) }",
                 {{"w", Weight::transpose(rows, {1, 0})}, {"b", weight({32}, 2)}}));
  models.push_back(
      model_with("g (float[N,S,24] x, float[24,32] w) => (float[N,S,32] y) { y = MatMul (x, w) }",
                 {{"w", Weight::transpose(rows, {1, 0})}}));
  std::vector<Model> before;
  for (const Model& model : models) before.push_back(model.clone());
  ASSERT_TRUE(canonicalise(models));
  std::vector<Digest> digests;
  for (size_t m = 0; m < models.size(); ++m) {
    testing_canon::expect_same_results(before[m], models[m], "model " + std::to_string(m));
    for (size_t i = 0; i < models[m].graph.value_count(); ++i)
      if (const auto& w = models[m].graph.value(static_cast<ValueId>(i)).weight;
          w != nullptr && w->dims().size() == 2) {
        digests.push_back(w->digest());
        EXPECT_EQ(w->dims(), (Dims{24, 32}));
      }
  }
  ASSERT_EQ(digests.size(), 3u);
  EXPECT_EQ(digests[0], digests[1]);
  EXPECT_EQ(digests[0], digests[2]);
  EXPECT_EQ(count(models[1].graph, "Gemm"), 1u);
}

TEST(Canonicalise, MetadataGoesUnlessItIsKept) {
  const auto described = [] {
    auto model = parse_text(
        "<ir_version: 8, opset_import: [\"\" : 17]> g (float[N] x) => (float[N] y) { y = Relu (x) }", "m");
    model->graph.node(model->graph.order()[0]).metadata = {{"pkg.torch.onnx.stack_trace", "..."}};
    model->metadata = {{"author", "me"}};
    return std::move(*model);
  };
  std::vector<Model> dropped, kept;
  dropped.push_back(described());
  kept.push_back(described());
  ASSERT_TRUE(canonicalise(dropped));
  ASSERT_TRUE(canonicalise(kept, {.keep_metadata = true}));
  EXPECT_TRUE(dropped[0].graph.node(dropped[0].graph.order()[0]).metadata.empty());
  EXPECT_EQ(dropped[0].metadata.size(), 1u);
  EXPECT_EQ(kept[0].graph.node(kept[0].graph.order()[0]).metadata.size(), 1u);
}

TEST(Canonicalise, RefusesNodesWithWrongOperands) {
  for (const char* body :
       {"y = MatMul (x)", "y = Add (x, x, x)", "y = Mul (\"\", x)", "y = Reshape ()", "y, z = Relu (x)"}) {
    auto model = parse_text(
        std::string("<ir_version: 8, opset_import: [\"\" : 17]> g (float[N,2] x) => (float[N,2] y) { ") +
            body + " }",
        "broken");
    if (!model) continue;  // the reader may refuse it first
    std::vector<Model> models;
    models.push_back(std::move(*model));
    const auto done = canonicalise(models);
    ASSERT_FALSE(done) << body;
    EXPECT_EQ(done.error().code, ErrorCode::kModel) << body;
    EXPECT_THAT(done.error().to_string(), testing::HasSubstr("broken")) << body;
  }
}

TEST(Canonicalise, PassesAreNamedAndFound) {
  for (const Pass& pass : passes()) {
    EXPECT_EQ(find_pass(pass.name), &pass);
    EXPECT_FALSE(pass.summary.empty());
  }
  EXPECT_EQ(find_pass("no-such-pass"), nullptr);
}

}  // namespace
}  // namespace mts
