#include "tests/recover/recover_models.h"

#include <gmock/gmock.h>

namespace mts::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr RecoverOptions kLowrank{.lowrank = 1e-5};

const Layer kWideConv{"Conv",
                      {32, 24, 3, 3},
                      {{"kernel_shape", std::vector<int64_t>{3, 3}, {}},
                       {"pads", std::vector<int64_t>{1, 1, 1, 1}, {}},
                       {"strides", std::vector<int64_t>{2, 2}, {}}}};
const Layer kWideGemm{"Gemm", {48, 64}, {{"transB", int64_t{1}, {}}}};
const Layer kGemmColumns{"Gemm", {64, 64}};
const Layer kWideMatMul{"MatMul", {64, 48}};

int64_t rows_of(const Layer& layer) { return layer.dims[0]; }
int64_t columns_of(const Layer& layer) { return element_count(layer.dims) / layer.dims[0]; }

// W + B A.
Values with_term(const Layer& layer, const Values& w, int64_t rank, unsigned seed, float size = 0.05F) {
  const Values b = random_values(rows_of(layer) * rank, seed, size);
  const Values a = random_values(rank * columns_of(layer), seed + 1000);
  return sum(w, product(b, a, rows_of(layer), rank, columns_of(layer)));
}

size_t bytes_of(const Layer& layer, int64_t terms, int64_t rank) {
  const int64_t factors = terms * rank * (rows_of(layer) + columns_of(layer));
  return static_cast<size_t>(4 * (element_count(layer.dims) + factors));
}

// Bytes of the weights without the three biases.
size_t weight_bytes(const std::vector<Model>& models, const Layer& layer) {
  const int64_t width = layer.op == "MatMul" ? layer.dims[1] : layer.dims[0];
  return stored_bytes(models) - models.size() * static_cast<size_t>(width) * 4;
}

void expect_equal_outputs(const Layer& layer, const std::vector<Values>& weights,
                          const std::vector<Model>& models) {
  const std::vector<Model> before = models_of(layer, weights);
  for (size_t m = 0; m < models.size(); ++m)
    EXPECT_LE(output_error(before[m], models[m]), 1e-5) << layer.op << " " << m;
}

TEST(Lowrank, ABaseThatIsOneOfTheModels) {
  for (const Layer& layer : {kWideConv, kWideGemm, kGemmColumns, kWideMatMul}) {
    const Values w = random_values(element_count(layer.dims), 1);
    for (const size_t position : {0, 1, 2, 3}) {
      std::vector<Values> weights;
      for (unsigned m = 0; m < 4; ++m) weights.push_back(m == position ? w : with_term(layer, w, 4, 10 + m));
      std::vector<Model> models = models_of(layer, weights);
      const std::vector<Recovered> done = recovered(models, kLowrank);
      ASSERT_THAT(done, SizeIs(3)) << layer.op << " " << position;
      for (const Recovered& weight : done) {
        EXPECT_EQ(weight.rank, 4);
        EXPECT_LE(weight.error, 1e-6);
        EXPECT_NE(weight.model, "m" + std::to_string(position));
      }
      EXPECT_EQ(weight_bytes(models, layer), bytes_of(layer, 3, 4)) << layer.op << " " << position;
      expect_equal_outputs(layer, weights, models);
      EXPECT_EQ(run(models[position]), run(models_of(layer, weights)[position]));
    }
  }
}

TEST(Lowrank, ABaseThatIsNotThere) {
  for (const Layer& layer : {kWideConv, kWideGemm, kGemmColumns, kWideMatMul}) {
    const Values w = random_values(element_count(layer.dims), 1);
    std::vector<Values> weights;
    for (unsigned m = 0; m < 3; ++m) weights.push_back(with_term(layer, w, 3, 20 + m));
    std::vector<Model> models = models_of(layer, weights);
    const std::vector<Recovered> done = recovered(models, kLowrank);
    ASSERT_THAT(done, SizeIs(3)) << layer.op;
    size_t after = 0;
    for (const Recovered& weight : done) {
      EXPECT_EQ(weight.rank, 3);
      EXPECT_LE(weight.error, 1e-6);
      after += weight.bytes_after;
    }
    EXPECT_EQ(after, bytes_of(layer, 3, 3));
    EXPECT_EQ(weight_bytes(models, layer), after);
    expect_equal_outputs(layer, weights, models);
    EXPECT_EQ(operators(models[0]), operators(models[2]));
  }
}

// Small terms: hardly above the rounding of the weights. Ranks that differ.
TEST(Lowrank, SmallTermsOfDifferentRanks) {
  const Values w = random_values(element_count(kWideMatMul.dims), 1);
  for (const float size : {1e-3F, 1e-4F}) {
    const std::vector<Values> weights{
        with_term(kWideMatMul, w, 2, 30, size), with_term(kWideMatMul, w, 5, 31, size),
        with_term(kWideMatMul, w, 1, 32, size), with_term(kWideMatMul, w, 5, 33, size)};
    std::vector<Model> models = models_of(kWideMatMul, weights);
    const std::vector<Recovered> done = recovered(models, kLowrank);
    ASSERT_THAT(done, SizeIs(4));
    int64_t ranks = 0;
    for (const Recovered& weight : done) ranks += weight.rank;
    EXPECT_LE(ranks, 13);
    for (const Recovered& weight : done) EXPECT_LE(weight.error, 1e-5);
    expect_equal_outputs(kWideMatMul, weights, models);
  }
}

TEST(Lowrank, TwoModelsShareOneOfTheirWeights) {
  const Values w = random_values(element_count(kWideGemm.dims), 1);
  const std::vector<Values> weights{with_term(kWideGemm, w, 3, 40), with_term(kWideGemm, w, 3, 41)};
  std::vector<Model> models = models_of(kWideGemm, weights);
  const std::vector<Recovered> done = recovered(models, kLowrank);
  ASSERT_THAT(done, SizeIs(1));
  EXPECT_EQ(done[0].rank, 6);
  EXPECT_EQ(done[0].model, "m1");
  EXPECT_THAT(operators(models[0]), ElementsAre("Gemm", "Relu"));
  EXPECT_THAT(operators(models[1]), ElementsAre("Gemm", "Gemm", "Gemm", "Add", "Relu"));
  expect_equal_outputs(kWideGemm, weights, models);
}

// Two families of weights at one place, and one that belongs to none.
TEST(Lowrank, EachFamilyHasItsBase) {
  const Values w = random_values(element_count(kWideMatMul.dims), 1),
               v = random_values(element_count(kWideMatMul.dims), 2);
  const std::vector<Values> weights{w,
                                    v,
                                    with_term(kWideMatMul, w, 2, 50),
                                    with_term(kWideMatMul, v, 2, 51),
                                    random_values(element_count(kWideMatMul.dims), 3),
                                    with_term(kWideMatMul, v, 2, 52)};
  std::vector<Model> models = models_of(kWideMatMul, weights);
  EXPECT_THAT(recovered(models, kLowrank), SizeIs(3));
  EXPECT_EQ(weight_bytes(models, kWideMatMul), 3 * bytes_of(kWideMatMul, 1, 2));  // 3 weights, 3 terms
  expect_equal_outputs(kWideMatMul, weights, models);
}

TEST(Lowrank, UnrelatedOrHighRankWeightsStay) {
  const Values w = random_values(element_count(kWideMatMul.dims), 1);
  std::vector<Model> unrelated =
      models_of(kWideMatMul, {w, random_values(element_count(kWideMatMul.dims), 2)});
  EXPECT_THAT(recovered(unrelated, kLowrank), IsEmpty());
  std::vector<Model> high = models_of(kWideMatMul, {w, with_term(kWideMatMul, w, 28, 60)});
  EXPECT_THAT(recovered(high, kLowrank), IsEmpty());  // factors of 28 * 112 are no smaller than 64 * 48
  EXPECT_THAT(operators(high[1]), ElementsAre("MatMul", "Add", "Relu"));
}

// Rows that a look at every third one does not see.
TEST(Lowrank, ADifferenceInFewRowsIsFound) {
  const Layer tall{"Gemm", {201, 100}, {{"transB", int64_t{1}, {}}}};
  const Values w = random_values(element_count(tall.dims), 1);
  Values other = w;
  const Values change = random_values(20 * 100, 2);
  for (size_t k = 0; k < 20; ++k)
    for (size_t j = 0; j < 100; ++j) other[(3 * k + 1) * 100 + j] += change[k * 100 + j];
  std::vector<Model> models = models_of(tall, {w, other});
  const std::vector<Recovered> done = recovered(models, kLowrank);
  ASSERT_THAT(done, SizeIs(1));
  EXPECT_EQ(done[0].rank, 20);
}

// Down to bounds that rounding alone exceeds: what is reported is what is in the model.
TEST(Lowrank, TheErrorIsTheOneReported) {
  const int64_t rows = rows_of(kWideMatMul), columns = columns_of(kWideMatMul);
  const Values w = random_values(rows * columns, 1), other = with_term(kWideMatMul, w, 4, 70, 0.5F);
  double largest = 0;
  for (const float v : other) largest = std::max(largest, std::abs(static_cast<double>(v)));
  int held = 0, refused = 0;
  for (double bound = 1e-6; bound > 1e-8; bound /= 1.05) {
    std::vector<Model> models = models_of(kWideMatMul, {w, other});
    const std::vector<Recovered> done = recovered(models, {.lowrank = bound});
    if (done.empty()) {
      ++refused;
      continue;
    }
    ++held;
    const Graph& graph = models[1].graph;
    const auto values = [&](size_t node) {
      return graph.value(graph.node(graph.order()[node]).inputs[1]).weight->as_doubles();
    };
    const std::vector<double> down = values(0), up = values(1), base = values(2);
    const int64_t rank = done[0].rank;
    double error = 0;
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < columns; ++j) {
        const auto at = static_cast<size_t>(i * columns + j);
        double sum = base[at];
        for (int64_t k = 0; k < rank; ++k)
          sum += down[static_cast<size_t>(i * rank + k)] * up[static_cast<size_t>(k * columns + j)];
        error = std::max(error, std::abs(sum - static_cast<double>(other[at])));
      }
    EXPECT_LE(error / largest, bound);
    EXPECT_NEAR(error / largest, done[0].error, 1e-12);
  }
  EXPECT_GT(held, 0);
  EXPECT_GT(refused, 0);
}

TEST(Lowrank, TheSameBitsEveryTime) {
  const Values w = random_values(element_count(kWideGemm.dims), 1);
  const auto once = [&] {
    std::vector<Values> weights;
    for (unsigned m = 0; m < 3; ++m) weights.push_back(with_term(kWideGemm, w, 3, 20 + m));
    std::vector<Model> models = models_of(kWideGemm, weights);
    recovered(models, kLowrank);
    return *to_bytes(models[0]) + *to_bytes(models[2]);
  };
  EXPECT_EQ(once(), once());
}

}  // namespace
}  // namespace mts::testing
