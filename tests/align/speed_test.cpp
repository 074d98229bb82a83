// Alignment stays near linear in models x nodes. The limits are far above what is measured (see the recorded
// times), so that only a change of complexity fails.
#include "tests/align/align_models.h"
#include "tests/align/random_models.h"

#include <ctime>
#include <iostream>

#include <gtest/gtest.h>

namespace mts {
namespace {

using testing::floats;
using testing::GraphBuilder;
using testing::RandomModels;

// Transformer blocks of 18 nodes; `private_weight(layer)`: whether the layer's weights are the model's own.
template <class Private>
Model transformer(int m, int layers, int64_t classes, Private&& private_weight) {
  GraphBuilder b;
  ValueId x = b.input(floats({-1, 4}));
  for (int layer = 0; layer < layers; ++layer) {
    int seed = layer * 16 + (private_weight(layer) ? (m + 1) * 100'000 : 0);
    const auto linear = [&](ValueId v) {
      const ValueId product = b.op("MatMul", {v, b.constant(seed++, {4, 4})});
      return b.op("Add", {product, b.constant(seed++, {16})});
    };
    const ValueId q = linear(x), k = linear(x), v = linear(x);
    const ValueId attention = b.op("Softmax", {b.op("Mul", {b.op("MatMul", {q, k}), b.constant(-1, {})})});
    const ValueId y = b.op("LayerNormalization", {b.op("Add", {x, linear(b.op("MatMul", {attention, v}))})});
    x = b.op("LayerNormalization", {b.op("Add", {y, linear(b.op("Gelu", {linear(y)}))})});
  }
  b.output(b.linear(x, 7'000'000 + m, 4, classes));
  return std::move(b.model);
}

// Processor time: the machine may be busy with other tests.
double seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

double seconds_to_align(const char* what, const std::vector<Model>& models, size_t* sets = nullptr) {
  const WeightClasses classes = classify_weights(models);
  const double start = seconds();
  const Numbering numbering = number_values(models, classes, {});
  const double middle = seconds();
  const Alignment alignment = align(models, classes, numbering);
  const double end = seconds();
  std::cout << what << ": " << models.size() << " models x " << models.front().graph.order().size()
            << " nodes: numbered in " << middle - start << " s, aligned in " << end - middle << " s, "
            << alignment.sets.size() << " sets\n";
  if (sets != nullptr) *sets = alignment.sets.size();
  return end - middle;
}

#ifdef NDEBUG
constexpr int kModels = 64, kLayers = 142;  // 3,000 nodes
#else
constexpr int kModels = 16, kLayers = 50;
#endif

TEST(AlignSpeed, OneArchitectureOneTrunk) {
  std::vector<Model> models;
  for (int m = 0; m < kModels; ++m)
    models.push_back(transformer(m, kLayers, 2 + m, [](int) { return false; }));
  size_t sets = 0;
  EXPECT_LT(seconds_to_align("one trunk", models, &sets), 20);
  EXPECT_EQ(sets, models.front().graph.order().size());
}

TEST(AlignSpeed, OneArchitectureOtherWeights) {
  std::vector<Model> models;
  for (int m = 0; m < kModels; ++m) models.push_back(transformer(m, kLayers, 2, [](int) { return true; }));
  size_t sets = 0;
  EXPECT_LT(seconds_to_align("other weights", models, &sets), 20);
  EXPECT_EQ(sets, models.front().graph.order().size());
}

TEST(AlignSpeed, ManySmallModels) {
  std::vector<Model> models;
  for (int m = 0; m < kModels * 4; ++m)
    models.push_back(transformer(m, kLayers / 10, 2 + m, [m](int layer) { return layer > m % 10; }));
  size_t sets = 0;
  EXPECT_LT(seconds_to_align("many small", models, &sets), 20);
  EXPECT_EQ(sets, models.front().graph.order().size());
}

TEST(AlignSpeed, OtherDepths) {
  std::vector<Model> models;
  for (int m = 0; m < kModels; ++m)
    models.push_back(transformer(m, kLayers - m, 2, [m](int layer) { return layer % 7 == m % 7; }));
  EXPECT_LT(seconds_to_align("other depths", models), 20);
}

TEST(AlignSpeed, OtherStems) {
  std::vector<Model> models;
  for (int m = 0; m < kModels; ++m) {
    GraphBuilder b;
    ValueId x = b.input(floats({-1, 4}));
    for (int i = 0; i < m % 8; ++i) x = b.op("Neg", {x});
    for (int i = 0; i < kLayers * 10; ++i)
      x = b.op(i % 3 == 0 ? "Tanh" : "Relu", {b.linear(x, m * 100'000 + i, 4, 4)});
    b.output(x);
    models.push_back(std::move(b.model));
  }
  EXPECT_LT(seconds_to_align("other stems, nothing shared", models), 60);
}

TEST(AlignSpeed, Unrelated) {
  std::vector<Model> models;
  for (int m = 0; m < kModels / 4; ++m) {
    RandomModels random(static_cast<uint32_t>(m));
    models.push_back(random.build(random.recipe(kLayers * 20), false).model);
  }
  EXPECT_LT(seconds_to_align("unrelated", models), 60);
}

}  // namespace
}  // namespace mts
