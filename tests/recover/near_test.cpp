#include "tests/recover/recover_models.h"

#include <limits>

#include <gmock/gmock.h>

namespace mts::testing {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr RecoverOptions kNear{.near = 1e-6};

TEST(Near, TheFirstModelsWeightIsKept) {
  const Values w = random_values(8 * 6 * 9, 1);
  std::vector<Model> models = models_of(kConv, {w, nudged(w, 1.2e-7, 2), nudged(w, 1.2e-7, 3)});
  const std::vector<Model> before = models_of(kConv, {w, nudged(w, 1.2e-7, 2), nudged(w, 1.2e-7, 3)});
  const std::vector<Recovered> done = recovered(models, kNear);
  ASSERT_THAT(done, SizeIs(2));
  EXPECT_EQ(done[0].model, "m1");
  EXPECT_EQ(done[0].kind, Recovered::Kind::kNear);
  EXPECT_GT(done[0].error, 0);
  EXPECT_LE(done[0].error, 1.2e-7);
  EXPECT_EQ(done[0].bytes_before, w.size() * 4);
  EXPECT_EQ(done[0].bytes_after, 0U);
  EXPECT_EQ(stored_bytes(models), w.size() * 4 + 3 * 8 * 4);
  for (size_t m = 0; m < 3; ++m) EXPECT_LE(output_error(before[m], models[m]), 1e-6);
  EXPECT_EQ(run(before[0]), run(models[0]));
  EXPECT_THAT(recovered(models, kNear), IsEmpty());  // once is enough
}

TEST(Near, NothingHappensAboveTheBoundOrUnasked) {
  const Values w = random_values(8 * 6 * 9, 1);
  std::vector<Model> models = models_of(kConv, {w, nudged(w, 1e-4, 2)});
  const size_t bytes = stored_bytes(models);
  EXPECT_THAT(recovered(models, kNear), IsEmpty());
  EXPECT_THAT(recovered(models, {}), IsEmpty());
  EXPECT_EQ(stored_bytes(models), bytes);
  EXPECT_THAT(recovered(models, {.near = 1e-3}), SizeIs(1));
}

// m1 is near m0 and m2 near m1, but m2 is not near m0.
TEST(Near, ErrorsDoNotAddUpAlongAChain) {
  const Values w = random_values(24 * 32, 1);
  Values w1 = w, w2 = w;
  w1[5] += 0.8e-6F;
  w2[5] += 1.6e-6F;
  std::vector<Model> models = models_of(kGemm, {w, w1, w2});
  const std::vector<Recovered> done = recovered(models, kNear);
  ASSERT_THAT(done, SizeIs(1));
  EXPECT_EQ(done[0].model, "m1");
}

TEST(Near, BiasesCountToo) {
  const Values w = random_values(24 * 32, 1);
  std::vector<Model> models;
  for (const char* name : {"a", "b"}) models.push_back(one_layer(kGemm, w, 5, name));
  Graph& graph = models[1].graph;
  const ValueId bias = graph.node(graph.order()[0]).inputs[2];
  graph.value(bias).weight = Weight::floats(nudged(random_values(24, 5), 1e-7, 6), {24});
  EXPECT_THAT(recovered(models, kNear), SizeIs(1));
  EXPECT_EQ(stored_bytes(models), w.size() * 4 + 24 * 4);
}

// Beside a mask's "minus infinity" everything else would look equal.
TEST(Near, MasksAndNonFiniteValuesAreLeftAlone) {
  for (const float huge : {std::numeric_limits<float>::lowest(), std::numeric_limits<float>::quiet_NaN(),
                           -std::numeric_limits<float>::infinity()}) {
    Values a = random_values(24 * 32, 1), b = random_values(24 * 32, 2);
    a[0] = b[0] = huge;
    std::vector<Model> models = models_of(kGemm, {a, b});
    EXPECT_THAT(recovered(models, {.near = 1e-2, .scaled = 1e-2, .lowrank = 1e-2}), IsEmpty()) << huge;
  }
}

// 0.5 and the number before it give outputs of different sizes.
TEST(Near, ScalesOfResizeAreLeftAlone) {
  std::vector<Model> models;
  for (const float scale : {0.5F, 0.49999997F}) {
    GraphBuilder g("m" + std::to_string(models.size()));
    const ValueId x = g.input(floats({-1, 4, 6, 6}));
    const ValueId scales = g.constant(Weight::floats(Values{1, 1, scale, scale}, {4}));
    g.output(g.op("Resize", {x, kNoValue, scales}, Type::tensor(DType::kFloat32, Shape(4, Dim::unknown()))));
    models.push_back(std::move(g.model));
  }
  EXPECT_THAT(recovered(models, kNear), IsEmpty());
}

TEST(Near, OneSmallVarianceKeepsBatchNormalizationsApart) {
  const auto model = [](float smallest) {
    GraphBuilder g("m" + std::to_string(smallest));
    const ValueId x = g.input(floats({-1, 4, 5, 5}));
    const std::vector<ValueId> inputs{x, g.constant(1, {4}), g.constant(2, {4}), g.constant(3, {4}),
                                      g.constant(Weight::floats(Values{100, 1, smallest, 1}, {4}))};
    g.output(g.op("BatchNormalization", inputs, floats({-1, 4, 5, 5})));
    return std::move(g.model);
  };
  std::vector<Model> far = [&] {
    std::vector<Model> models;
    models.push_back(model(1e-4F));
    models.push_back(model(1.5e-4F));  // 5e-7 of the largest, but half as much again
    return models;
  }();
  EXPECT_THAT(recovered(far, kNear), IsEmpty());
  std::vector<Model> close;
  close.push_back(model(1e-4F));
  close.push_back(model(1.0000001e-4F));
  EXPECT_THAT(recovered(close, kNear), SizeIs(1));
}

}  // namespace
}  // namespace mts::testing
