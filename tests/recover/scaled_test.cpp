#include "ir/number.h"
#include "tests/recover/recover_models.h"

#include <gmock/gmock.h>

namespace mts::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr RecoverOptions kScaled{.scaled = 1e-6};

// diag(s) W, rounded: the scales along the axis of output channels.
Values scaled(const Layer& layer, const Values& w, const Values& s) {
  Values result = w;
  const bool outputs_first = layer.op != "MatMul";
  const size_t inner = w.size() / s.size();
  for (size_t i = 0; i < w.size(); ++i) result[i] *= s[outputs_first ? i / inner : i % s.size()];
  return result;
}

size_t outputs_of(const Layer& layer) {
  return static_cast<size_t>(layer.op == "MatMul" ? layer.dims[1] : layer.dims[0]);
}

TEST(Scaled, OneWeightAndAScalePerModel) {
  for (const Layer& layer : {kConv, kGemm, kMatMul}) {
    for (const bool bias : {true, false}) {
      Layer form = layer;
      form.bias = bias;
      const size_t channels = outputs_of(form);
      const auto count = static_cast<int64_t>(channels);
      const Values w = random_values(element_count(form.dims), 1);
      const std::vector<Values> weights{w, scaled(form, w, random_values(count, 2, 3)),
                                        scaled(form, w, random_values(count, 3, 3))};
      const std::vector<Model> before = models_of(form, weights);
      std::vector<Model> models = models_of(form, weights);
      const std::vector<Recovered> done = recovered(models, kScaled);
      ASSERT_THAT(done, SizeIs(3)) << layer.op;
      EXPECT_EQ(done[1].kind, Recovered::Kind::kScaled);
      EXPECT_LE(done[1].error, 2e-7);
      EXPECT_EQ(done[0].bytes_after, (w.size() + channels) * 4);
      EXPECT_EQ(done[2].bytes_after, channels * 4);
      EXPECT_EQ(stored_bytes(models), (w.size() + (bias ? 6 : 3) * channels) * 4) << layer.op;
      for (size_t m = 0; m < 3; ++m)
        EXPECT_LE(output_error(before[m], models[m]), 1e-6) << layer.op << " " << m;
      EXPECT_EQ(operators(models[0]), operators(models[2]));
      EXPECT_THAT(recovered(models, kScaled), IsEmpty());
    }
  }
}

TEST(Scaled, AConvolutionBecomesConvMulAdd) {
  const Values w = random_values(element_count(kConv.dims), 1);
  std::vector<Model> models = models_of(kConv, {w, scaled(kConv, w, random_values(8, 2))});
  recovered(models, kScaled);
  EXPECT_THAT(operators(models[1]), ElementsAre("Conv", "Mul", "Add", "Relu"));
}

TEST(Scaled, DepthwiseConvolutions) {
  const Layer depthwise{
      "Conv", {6, 1, 3, 3}, {{"pads", std::vector<int64_t>{1, 1, 1, 1}, {}}, {"group", int64_t{6}, {}}}};
  const auto model = [&](const Values& w, const std::string& name) {
    GraphBuilder g(name);
    const ValueId x = g.input(floats({-1, 6, 5, 5}));
    g.output(g.op("Conv", {x, g.constant(Weight::floats(w, depthwise.dims))}, floats({-1, 6, 5, 5}),
                  depthwise.attributes));
    return std::move(g.model);
  };
  const Values w = random_values(54, 1), other = scaled(depthwise, w, random_values(6, 2));
  std::vector<Model> models;
  models.push_back(model(w, "a"));
  models.push_back(model(other, "b"));
  EXPECT_THAT(recovered(models, kScaled), SizeIs(2));
  EXPECT_LE(output_error(model(other, "b"), models[1]), 1e-6);
}

// A channel that one model has switched off is taken from another one.
TEST(Scaled, ChannelsOfZerosDoNotPreventSharing) {
  const Values w = random_values(element_count(kConv.dims), 1);
  Values off0 = random_values(8, 2), off1 = random_values(8, 3), off01 = random_values(8, 4);
  off0[2] = off1[5] = off01[2] = off01[5] = 0;
  const std::vector<Values> weights{scaled(kConv, w, off0), scaled(kConv, w, off01), scaled(kConv, w, off1)};
  const std::vector<Model> before = models_of(kConv, weights);
  std::vector<Model> models = models_of(kConv, weights);
  EXPECT_THAT(recovered(models, kScaled), SizeIs(3));
  EXPECT_EQ(stored_bytes(models), (w.size() + 6 * 8) * 4);
  for (size_t m = 0; m < 3; ++m) EXPECT_LE(output_error(before[m], models[m]), 1e-6) << m;
}

TEST(Scaled, NothingHappensWhenTheBoundDoesNotHold) {
  const Values w = random_values(element_count(kConv.dims), 1);
  Values other = scaled(kConv, w, random_values(8, 2));
  other[40] += 1e-4F;
  std::vector<Model> models = models_of(kConv, {w, other});
  EXPECT_THAT(recovered(models, kScaled), IsEmpty());
  EXPECT_THAT(operators(models[0]), ElementsAre("Conv", "Relu"));
  EXPECT_THAT(recovered(models, {.scaled = 1e-3}), SizeIs(2));
}

TEST(Scaled, InputChannelsAreNotScaled) {
  const Values w = random_values(24 * 32, 1), s = random_values(32, 2);
  Values other = w;
  for (size_t i = 0; i < w.size(); ++i) other[i] *= s[i % 32];
  std::vector<Model> models = models_of(kGemm, {w, other});
  EXPECT_THAT(recovered(models, kScaled), IsEmpty());
}

TEST(Scaled, NothingHappensWhenItSavesNoBytes) {
  const Layer thin{"Gemm", {24, 2}, {{"transB", int64_t{1}, {}}}};
  const Values w = random_values(48, 1);
  std::vector<Model> models = models_of(thin, {w, scaled(thin, w, random_values(24, 2))});
  EXPECT_THAT(recovered(models, kScaled), IsEmpty());  // 48 + 2 * 24 is not less than 2 * 48
}

TEST(Scaled, AWeightWithAnotherReaderStays) {
  const Values w = random_values(24 * 32, 1), other = scaled(kGemm, w, random_values(24, 2));
  std::vector<Model> models = models_of(kGemm, {w, other});
  Graph& graph = models[1].graph;
  const ValueId weight = graph.node(graph.order()[0]).inputs[1];
  graph.add_output(weight);
  EXPECT_THAT(recovered(models, kScaled), IsEmpty());
}

TEST(Scaled, HalfPrecisionWithinItsOwnRounding) {
  const auto model = [](const Values& w, const std::string& name) {
    std::string bytes(w.size() * 2, '\0');
    for (size_t i = 0; i < w.size(); ++i) {
      const uint16_t half = float_to_float16(w[i]);
      std::memcpy(bytes.data() + 2 * i, &half, 2);
    }
    GraphBuilder g(name);
    const Type type = Type::tensor(DType::kFloat16, {Dim::symbolic("N"), Dim::known(24)});
    const ValueId x = g.input(Type::tensor(DType::kFloat16, {Dim::symbolic("N"), Dim::known(32)}));
    const WeightPtr weight = Weight::from_bytes(DType::kFloat16, {24, 32}, own_bytes(std::move(bytes)));
    g.output(g.op("Gemm", {x, g.constant(weight)}, type, kGemm.attributes));
    return std::move(g.model);
  };
  const Values w = random_values(24 * 32, 1), other = scaled(kGemm, w, random_values(24, 2));
  std::vector<Model> models;
  models.push_back(model(w, "a"));
  models.push_back(model(other, "b"));
  EXPECT_THAT(recovered(models, kScaled), IsEmpty());
  const std::vector<Recovered> done = recovered(models, {.scaled = 2e-3});
  ASSERT_THAT(done, SizeIs(2));
  EXPECT_GT(done[1].error, 1e-5);
  EXPECT_EQ(done[1].bytes_after, 48U);
}

}  // namespace
}  // namespace mts::testing
