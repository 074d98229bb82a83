#include "src/share/content.h"
#include "tests/share/graph_builder.h"

#include <mts/share.h>

#include <memory>

#include <gtest/gtest.h>

namespace mts {
namespace {

using testing::floats;
using testing::GraphBuilder;
using testing::weight;

// One model with one MatMul per weight.
Model chain(std::vector<WeightPtr> weights) {
  GraphBuilder b;
  ValueId x = b.input(floats({-1, 4}));
  for (auto& w : weights) x = b.op("MatMul", {x, b.constant(std::move(w))});
  b.output(x);
  return std::move(b.model);
}

std::vector<int32_t> class_ids(const Model& model, const WeightClasses& classes, size_t m) {
  std::vector<int32_t> ids;
  for (size_t i = 0; i < model.graph.value_count(); ++i)
    if (model.graph.value(static_cast<ValueId>(i)).is_constant()) ids.push_back(classes.class_of[m][i]);
  return ids;
}

TEST(ClassifyWeights, EqualContentIsOneClassAcrossModelsInOrderOfOccurrence) {
  std::vector<Model> models;
  models.push_back(chain({weight(1, {4, 4}), weight(2, {4, 4})}));
  models.push_back(chain({weight(2, {4, 4}), weight(3, {4, 4}), weight(1, {4, 4})}));
  const WeightClasses classes = classify_weights(models);
  EXPECT_EQ(class_ids(models[0], classes, 0), (std::vector<int32_t>{0, 1}));
  EXPECT_EQ(class_ids(models[1], classes, 1), (std::vector<int32_t>{1, 2, 0}));
  ASSERT_EQ(classes.classes.size(), 3U);
  EXPECT_EQ(classes.classes[0].members.size(), 2U);
  EXPECT_EQ(classes.classes[0].members[1].model, 1U);
  EXPECT_EQ(classes.unique_bytes, 3U * 64);
  EXPECT_EQ(classes.total_bytes, 5U * 64);
}

TEST(ClassifyWeights, DimsMayDifferButDtypeMayNot) {
  const std::string bytes(16, '\1');
  std::vector<Model> models;
  models.push_back(chain({Weight::from_bytes(DType::kFloat32, {4}, own_bytes(bytes)),
                          Weight::from_bytes(DType::kFloat32, {2, 2}, own_bytes(bytes)),
                          Weight::from_bytes(DType::kInt32, {4}, own_bytes(bytes)),
                          Weight::from_bytes(DType::kInt64, {2}, own_bytes(bytes))}));
  const WeightClasses classes = classify_weights(models);
  EXPECT_EQ(class_ids(models[0], classes, 0), (std::vector<int32_t>{0, 0, 1, 2}));
}

TEST(ClassifyWeights, ExpressionsAreComparedByWhatTheyEvaluateTo) {
  const auto w = weight(5, {2, 3});
  std::vector<float> transposed;
  const auto values = w->as_doubles();
  for (size_t column = 0; column < 3; ++column)
    for (size_t row = 0; row < 2; ++row) transposed.push_back(static_cast<float>(values[row * 3 + column]));
  std::vector<Model> models;
  models.push_back(chain({Weight::transpose(w, {1, 0})}));
  models.push_back(chain({Weight::floats(transposed, {3, 2})}));
  EXPECT_EQ(classify_weights(models).classes.size(), 1U);
}

TEST(ClassifyWeights, StringsAreComparedOneByOne) {
  std::vector<Model> models;
  models.push_back(chain({Weight::from_strings({2}, {"ab", "c"}), Weight::from_strings({2}, {"a", "bc"}),
                          Weight::from_strings({2}, {"ab", "c"})}));
  EXPECT_EQ(class_ids(models[0], classify_weights(models), 0), (std::vector<int32_t>{0, 1, 0}));
}

TEST(ClassifyWeights, ConstantsThatNothingReadsAreNotCounted) {
  GraphBuilder b;
  b.constant(1, {8});
  b.output(b.constant(2, {8}));  // an output is a use
  std::vector<Model> models;
  models.push_back(std::move(b.model));
  const WeightClasses classes = classify_weights(models);
  EXPECT_EQ(class_ids(models[0], classes, 0), (std::vector<int32_t>{-1, 0}));
  EXPECT_EQ(classes.total_bytes, 32U);
}

TEST(ClassifyWeights, BodiesAndTensorAttributesCount) {
  auto body = std::make_shared<Graph>();
  body->add_output(body->add_constant("c", weight(1, {4})));
  GraphBuilder b;
  const ValueId condition = b.input(Type::tensor(DType::kBool, {}));
  b.output(
      b.op("If", {condition}, floats({4}), {{"then_branch", body, {}}, {"else_branch", body->clone(), {}}}));
  b.output(b.op("Constant", {}, floats({4}), {{"value", weight(2, {4}), {}}}));
  b.output(b.op("Add", {b.constant(1, {4}), b.constant(3, {4})}));
  std::vector<Model> models;
  models.push_back(std::move(b.model));
  const WeightClasses classes = classify_weights(models);
  EXPECT_EQ(classes.total_bytes, 5U * 16);
  EXPECT_EQ(classes.unique_bytes, 3U * 16);
  EXPECT_EQ(class_ids(models[0], classes, 0).size(), 2U);
}

TEST(ClassifyWeights, NothingToClassify) {
  EXPECT_TRUE(classify_weights({}).classes.empty());
  std::vector<Model> models(2);
  const WeightClasses classes = classify_weights(models);
  EXPECT_EQ(classes.class_of.size(), 2U);
  EXPECT_EQ(classes.total_bytes, 0U);
}

TEST(GroupByContent, EqualDigestsOfDifferentContentAreToldApart) {
  const std::vector<Digest> digests = {{1, 1}, {2, 2}, {1, 1}, {1, 1}, {2, 2}, {1, 1}};
  const std::vector<int> content = {10, 20, 11, 10, 20, 11};
  const auto groups =
      share::group_by_content(digests, 0, [&](size_t a, size_t b) { return content[a] == content[b]; });
  EXPECT_EQ(groups, (std::vector<uint32_t>{0, 1, 2, 0, 1, 2}));
}

TEST(ClassifyWeights, LargeWeightsAreClassifiedOnAllCores) {
  std::vector<Model> models;
  for (int m = 0; m < 3; ++m) {
    std::vector<WeightPtr> weights;
    for (int i = 0; i < 8; ++i) weights.push_back(weight(i % 2 == 0 ? i : 100 * m + i, {1 << 16}));
    models.push_back(chain(std::move(weights)));
  }
  const WeightClasses classes = classify_weights(models);
  EXPECT_EQ(class_ids(models[2], classes, 2), (std::vector<int32_t>{0, 12, 2, 13, 4, 14, 6, 15}));
}

}  // namespace
}  // namespace mts
