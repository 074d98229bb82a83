#include "src/share/layer_sharing.h"

#include "src/share/common_rows.h"
#include "tests/share/graph_builder.h"

#include <mts/share.h>

#include <numeric>
#include <random>

#include <gtest/gtest.h>

namespace mts::share {
namespace {

using mts::testing::floats;
using mts::testing::GraphBuilder;

// Numbers that no other seed gives.
std::vector<float> draw(int seed, size_t count) {
  std::mt19937 random(static_cast<uint32_t>(seed));
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

// [rows, columns, inner]: element (r, c) is a function of the identities of its row and column.
WeightPtr block(const std::vector<int>& rows, const std::vector<int>& columns, int64_t inner = 1) {
  std::vector<float> values;
  for (const int row : rows)
    for (const int column : columns) {
      const auto element = draw(row * 1000 + column, static_cast<size_t>(inner));
      values.insert(values.end(), element.begin(), element.end());
    }
  Dims dims = {static_cast<int64_t>(rows.size()), static_cast<int64_t>(columns.size())};
  if (inner > 1) dims.push_back(inner);
  return Weight::floats(values, std::move(dims));
}

std::vector<uint64_t> common(const std::vector<WeightPtr>& weights, int64_t rows = 0, int64_t columns = 1) {
  std::vector<Matrix> matrices;
  for (uint32_t m = 0; m < weights.size(); ++m) matrices.push_back({weights[m], m, rows, columns});
  return common_bytes(matrices);
}

using Bytes = std::vector<uint64_t>;

TEST(CommonBytes, EqualRowsAtOtherPlacesCount) {
  EXPECT_EQ(common({block({1, 2, 3, 4}, {1, 2, 3}), block({9, 4, 1}, {1, 2, 3})}), (Bytes{24, 24}));
}

TEST(CommonBytes, NothingInCommon) {
  EXPECT_EQ(common({block({1, 2}, {1, 2}), block({3, 4}, {1, 2}), block({5}, {1, 2})}), (Bytes{0, 0, 0}));
}

TEST(CommonBytes, BlocksOfPermutedRowsAndColumnsCount) {
  // Rows 1, 2 x columns 1, 2, 3 are shared: 6 of 12 and 6 of 16 elements.
  EXPECT_EQ(common({block({1, 2, 7}, {1, 2, 3, 70}), block({80, 2, 81, 1}, {3, 71, 1, 2})}), (Bytes{24, 24}));
}

TEST(CommonBytes, AMatMulHasItsRowsInTheLastAxis) {
  const auto a = Weight::transpose(block({1, 2, 7}, {1, 2, 3, 70}), {1, 0});
  const auto b = Weight::transpose(block({80, 2, 81, 1}, {3, 71, 1, 2}), {1, 0});
  EXPECT_EQ(common({a, b}, 1, 0), (Bytes{24, 24}));
}

TEST(CommonBytes, AnElementOfAConvolutionIsItsKernel) {
  EXPECT_EQ(common({block({1, 2}, {1, 2, 3}, 9), block({3, 2}, {2, 1, 5}, 9)}), (Bytes{2 * 36, 2 * 36}));
}

TEST(CommonBytes, SubsetsOfModelsAreUnited) {
  // Model 0 shares columns 1, 2 with model 1 and columns 3, 4 with model 2.
  EXPECT_EQ(common({block({1}, {1, 2, 3, 4, 5}), block({1}, {1, 2, 60}), block({1}, {3, 4, 70})}),
            (Bytes{16, 8, 8}));
}

TEST(CommonBytes, OneElementInCommonIsChance) {
  EXPECT_EQ(common({block({1}, {1, 2, 3}), block({1}, {1, 20, 30})}), (Bytes{0, 0}));
}

TEST(CommonBytes, ZerosSayNothing) {
  const auto a = Weight::floats(std::vector<float>{0, 0, 0, 1}, {1, 4});
  const auto b = Weight::floats(std::vector<float>{0, 0, 0, 2}, {1, 4});
  EXPECT_EQ(common({a, b}), (Bytes{0, 0}));
}

TEST(CommonBytes, EqualRowsWithinOneModelAreNotShared) {
  EXPECT_EQ(common({block({1, 1}, {1, 2}), block({3}, {1, 2})}), (Bytes{0, 0}));
}

TEST(CommonBytes, VectorsAreComparedEntryByEntry) {
  const auto a = Weight::floats(std::vector<float>{1, 2, 3}, {3});
  const auto b = Weight::floats(std::vector<float>{5, 3, 1, 6}, {4});
  EXPECT_EQ(common({a, b}, 0, -1), (Bytes{8, 8}));
}

TEST(CommonBytes, PackedTypesAreComparedAsAWhole) {
  const auto packed = [](char fill) {
    return Weight::from_bytes(DType::kInt4, {2, 3}, own_bytes(std::string(3, fill)));
  };
  EXPECT_EQ(common({packed('a'), packed('a'), packed('b')}), (Bytes{3, 3, 0}));
}

TEST(CommonBytes, LargeLayersAreEstimated) {
  // Half of the columns of every row are shared; more elements than kSampled.
  std::vector<std::vector<float>> values(2);
  const auto shared = draw(1, size_t{1} << 20);
  constexpr size_t kRows = 512;
  for (size_t m = 0; m < 2; ++m) {
    const auto own = draw(2 + static_cast<int>(m), shared.size());
    const size_t half = shared.size() / kRows;
    for (size_t r = 0; r < kRows; ++r) {
      values[m].insert(values[m].end(), shared.begin() + static_cast<long>(r * half),
                       shared.begin() + static_cast<long>((r + 1) * half));
      values[m].insert(values[m].end(), own.begin() + static_cast<long>(r * half),
                       own.begin() + static_cast<long>((r + 1) * half));
    }
  }
  const Dims dims = {kRows, static_cast<int64_t>(values[0].size() / kRows)};
  const auto found = common({Weight::floats(values[0], dims), Weight::floats(values[1], dims)});
  for (const uint64_t bytes : found)
    EXPECT_NEAR(static_cast<double>(bytes) / static_cast<double>(values[0].size() * 4), 0.5, 0.01);
}

// x -> MatMul -> Add(bias) -> Relu, and an optional second MatMul.
Model mlp(WeightPtr weight, WeightPtr bias, WeightPtr second = nullptr) {
  GraphBuilder b;
  ValueId x = b.input(floats({-1, weight->dims()[0]}));
  x = b.op("MatMul", {x, b.constant(weight)}, floats({-1, weight->dims()[1]}));
  x = b.op("Relu", {b.op("Add", {x, b.constant(std::move(bias))})});
  x = b.op("Mul", {x, b.constant(Weight::floats(std::vector<float>{0.5F}, {}))});
  if (second) x = b.op("MatMul", {x, b.constant(second)}, floats({-1, second->dims()[1]}));
  b.output(x);
  return std::move(b.model);
}

std::vector<LayerSharing> sharing(const std::vector<Model>& models) {
  std::vector<std::vector<NodeId>> sets;
  for (size_t i = 0; i < 5; ++i) {
    auto& set = sets.emplace_back();
    for (const Model& model : models)
      set.push_back(i < model.graph.order().size() ? model.graph.order()[i] : kNoNode);
  }
  return layer_sharing(models, classify_weights(models), sets);
}

TEST(LayerSharing, LayersAreTheNodesThatHoldWeights) {
  const auto bias = Weight::floats(draw(5, 3), {3});
  const auto transposed = [](const WeightPtr& w) { return Weight::transpose(w, {1, 0}); };
  std::vector<Model> models;
  models.push_back(mlp(transposed(block({1, 2, 3}, {1, 2})), bias));
  models.push_back(mlp(transposed(block({1, 8, 9}, {1, 2})), bias, block({1, 2, 3}, {7, 8})));
  const auto layers = sharing(models);
  ASSERT_EQ(layers.size(), 3U);
  EXPECT_EQ(layers[0].op_type, "MatMul");
  EXPECT_EQ(layers[0].cells[0].bytes, 24U);
  EXPECT_EQ(layers[0].cells[0].shared, 8U);
  EXPECT_EQ(layers[1].op_type, "Add");
  EXPECT_EQ(layers[1].cells[1].shared, 12U);
  EXPECT_EQ(layers[2].cells[0].bytes, 0U);  // the first model ends before
  EXPECT_EQ(layers[2].cells[1].bytes, 24U);
  EXPECT_EQ(layers[2].cells[1].shared, 0U);
}

TEST(LayerSharing, AWholeTensorThatLiesInAnotherLayerCounts) {
  const auto w = block({1, 2, 3}, {1, 2, 3});
  std::vector<Model> models;
  models.push_back(mlp(w, Weight::floats(draw(5, 3), {3})));
  models.push_back(mlp(block({7, 8, 9}, {1, 2, 3}), Weight::floats(draw(6, 3), {3}), w));
  const auto layers = sharing(models);
  EXPECT_EQ(layers[0].cells[0].shared, 36U);
  EXPECT_EQ(layers[0].cells[1].shared, 0U);
}

}  // namespace
}  // namespace mts::share
