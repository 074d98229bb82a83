#include "plan/lanes.h"

#include "plan/lane_cost.h"
#include "tests/plan/planned.h"

#include <gmock/gmock.h>

namespace mts {
namespace {

using ::testing::ElementsAre;
using Mode = StitchOptions::Strategy;
using testing::Planned;

// y = x W with W [1,1], or [128,128] where it is widened; the number in the weight tells models apart.
std::string linear(const std::string& weight) {
  return "g (float[N,K] x) => (float[N,K] y) <float[1,1] w = {" + weight + "}> { y = MatMul (x, w) }";
}

Lane lane_of(const Planned& planned, const std::string& op, bool distinct_weights = false) {
  const Column& column = planned.column(op);
  return make_lane(planned.program, column, everyone(column), distinct_weights);
}

ColumnChoices choices_of(const Planned& planned, const Column& column, const PlanOptions& options = {}) {
  const CostModel cost(*find_profile("generic-gpu"));
  const WeightUse weights(planned.program, options.allow_duplicates);
  KnownProposals known;
  return enumerate_choices(
      planned.program, column, cost, options, weights, [](Number) { return std::span<const Placement>{}; },
      known);
}

ColumnChoices choices_of(const Planned& planned, const std::string& op, const PlanOptions& options = {}) {
  return choices_of(planned, planned.column(op), options);
}

std::vector<std::vector<uint32_t>> parts_of(const Choice& choice) {
  std::vector<std::vector<uint32_t>> parts;
  for (const LanePlan& lane : choice.lanes) parts.push_back(lane.members);
  return parts;
}

bool offers(const ColumnChoices& choices, Strategy strategy) {
  return std::ranges::any_of(choices.choices, [&](const Choice& c) { return c.strategy == strategy; });
}

TEST(MakeLane, TellsSharedFromDistinct) {
  const Planned shared({.graphs = {linear("1"), linear("1")}});
  const Lane batch = lane_of(shared, "MatMul");
  EXPECT_TRUE(batch.operands[0].mapped());
  EXPECT_FALSE(batch.operands[0].constant);
  EXPECT_EQ(batch.operands[0].types.size(), 2u);
  EXPECT_TRUE(batch.operands[1].once());
  EXPECT_NE(batch.operands[1].shared_weight(), nullptr);
  EXPECT_EQ(batch.outputs[0].size(), 2u);

  const Planned distinct({.graphs = {linear("1"), linear("2")}, .shared = {"x"}});
  const Lane fan_out = lane_of(distinct, "MatMul");
  EXPECT_TRUE(fan_out.operands[0].once());
  EXPECT_TRUE(fan_out.operands[1].mapped());
  EXPECT_TRUE(fan_out.operands[1].constant);
  EXPECT_EQ(fan_out.operands[1].weights.size(), 2u);
}

TEST(MakeLane, NetfuseTakesEveryWeightForDistinctButNoParameter) {
  const char* const graph =
      "g (float[N,2] x) => (float[N,2] y) <float[2,2] w = {1, 2, 3, 4}, float low = {0}> "
      "{ h = MatMul (x, w) y = Clip (h, low) }";
  const Planned planned({.graphs = {graph, graph}});
  EXPECT_TRUE(lane_of(planned, "MatMul", true).operands[1].mapped());
  EXPECT_TRUE(lane_of(planned, "Clip", true).operands[1].once());
}

TEST(MakeLane, AnOperandOfSomeModelsOnlyHasNoType) {
  const Planned planned(
      {.graphs = {"g (float[N,2] x) => (float[N,2] y) <float low = {0}> { y = Clip (x, low) }",
                  "g (float[N,2] x) => (float[N,2] y) { y = Clip (x) }"}});
  Column column;  // the alignment would keep them apart
  for (const Column& each : planned.program.columns)
    column.members.insert(column.members.end(), each.members.begin(), each.members.end());
  ASSERT_EQ(column.members.size(), 2u);
  const Lane lane = make_lane(planned.program, column, everyone(column), false);
  EXPECT_FALSE(lane.operands[1].type().has_rank());
  const ColumnChoices choices = choices_of(planned, column);
  EXPECT_EQ(choices.choices.size(), 1u);
  EXPECT_EQ(choices.refusal, "an optional operand is there in some models only");
}

class WeightUseTest : public ::testing::Test {
 protected:
  // W1 is read twice, W2 once; both are too big to be put together at run time.
  static std::string twice(const std::string& first, const std::string& second) {
    return "g (float[N,128] x) => (float[N,128] y) <float[1,1] w1 = {" + first + "}, float[1,1] w2 = {" +
           second + "}> { h = MatMul (x, w1) k = Relu (h) l = MatMul (k, w1) y = MatMul (l, w2) }";
  }
  const Planned big{{.graphs = {twice("1", "2"), twice("3", "4")}, .widened = {"w1", "w2"}}};
  const Planned small{{.graphs = {"g (float[N,1] x) => (float[N,1] y) <float[1,1] w1 = {1}> "
                                  "{ h = MatMul (x, w1) y = MatMul (h, w1) }"}}};
};

TEST_F(WeightUseTest, AWeightOfOnePlaceMayBecomeAPart) {
  const Number numbers[] = {big.number(0, "w2"), big.number(1, "w2")};
  EXPECT_TRUE(WeightUse(big.program, false).may_concatenate(numbers));
}

TEST_F(WeightUseTest, AWeightOfTwoPlacesMayNot) {
  const Number numbers[] = {big.number(0, "w2"), big.number(1, "w1")};
  EXPECT_FALSE(WeightUse(big.program, false).may_concatenate(numbers));
  EXPECT_TRUE(WeightUse(big.program, true).may_concatenate(numbers)) << "duplicates are allowed";
}

TEST_F(WeightUseTest, AWeightMayNotBecomeTwoParts) {
  const Number numbers[] = {big.number(0, "w2"), big.number(0, "w2")};
  EXPECT_FALSE(WeightUse(big.program, false).may_concatenate(numbers));
}

TEST_F(WeightUseTest, SmallOnesArePutTogetherAtRunTime) {
  const Number numbers[] = {small.number(0, "w1")};
  ASSERT_EQ(small.program.use_counts[numbers[0]], 2u);
  EXPECT_TRUE(WeightUse(small.program, false).may_concatenate(numbers));
}

TEST(Choices, TheLastOneIsApart) {
  const Planned planned({.graphs = {linear("1"), linear("1")}});
  const ColumnChoices choices = choices_of(planned, "MatMul");
  ASSERT_GT(choices.choices.size(), 1u);
  EXPECT_EQ(choices.refusal, "");
  EXPECT_TRUE(offers(choices, Strategy::kBatch));
  const Choice& apart = choices.choices.back();
  EXPECT_EQ(apart.strategy, Strategy::kApart);
  EXPECT_THAT(parts_of(apart), ElementsAre(ElementsAre(0), ElementsAre(1)));
  for (const LanePlan& lane : apart.lanes) EXPECT_FALSE(lane.fused());
}

TEST(Choices, WhatAllModelsShareRunsOnce) {
  const Planned planned({.graphs = {linear("1"), linear("1")}, .shared = {"x"}});
  const ColumnChoices choices = choices_of(planned, "MatMul");
  ASSERT_EQ(choices.choices.size(), 1u);
  EXPECT_EQ(choices.choices.front().strategy, Strategy::kOnce);
}

TEST(Choices, ConcatHasNoOther) {
  const Planned planned({.graphs = {linear("1"), linear("1")}});
  EXPECT_EQ(choices_of(planned, "MatMul", {.strategy = Mode::kConcat}).choices.size(), 1u);
}

// a, c: one weight; b: another. As a whole they would store a's weight twice.
TEST(Choices, WeightClassesArePartsOfAPartition) {
  const Planned planned({.graphs = {linear("1"), linear("2"), linear("1")}, .widened = {"w"}});
  const ColumnChoices choices = choices_of(planned, "MatMul");
  EXPECT_NE(choices.refusal, "");
  EXPECT_FALSE(offers(choices, Strategy::kGroup));
  ASSERT_TRUE(offers(choices, Strategy::kPartition));
  for (const Choice& choice : choices.choices) {
    if (choice.strategy != Strategy::kPartition) continue;
    EXPECT_THAT(parts_of(choice), ElementsAre(ElementsAre(0, 2), ElementsAre(1)));
    EXPECT_EQ(choice.lanes[0].option.strategy, Strategy::kBatch);
  }
  EXPECT_TRUE(offers(choices_of(planned, "MatMul", {.strategy = Mode::kNetfuse, .allow_duplicates = true}),
                     Strategy::kGroup));
}

// a, b: one input; c: another. Their weights are distinct: the first two can fan out.
TEST(Choices, CommonInputsArePartsOfAPartition) {
  const auto graph = [](const std::string& input, const std::string& weight) {
    return "g (float[N,2] " + input + ") => (float[N,2] y) <float[2,2] w = {" + weight +
           ", 1, 1, 1}> { y = MatMul (" + input + ", w) }";
  };
  const Planned planned({.graphs = {graph("x", "1"), graph("x", "2"), graph("z", "3")}, .shared = {"x"}});
  const ColumnChoices choices = choices_of(planned, "MatMul");
  bool found = false;
  for (const Choice& choice : choices.choices) {
    if (choice.strategy != Strategy::kPartition) continue;
    found = true;
    EXPECT_THAT(parts_of(choice), ElementsAre(ElementsAre(0, 1), ElementsAre(2)));
    EXPECT_EQ(choice.lanes[0].option.strategy, Strategy::kFanOut);
  }
  EXPECT_TRUE(found);
}

TEST(Choices, AMissingRuleIsSaid) {
  const char* const graph = "g (float[N,2] x) => (float[2,N] y) { y = EyeLike <dtype = 1> (x) }";
  const Planned planned({.graphs = {graph, graph}});
  const ColumnChoices choices = choices_of(planned, "EyeLike");
  EXPECT_EQ(choices.choices.size(), 1u);
  EXPECT_EQ(choices.refusal, "the operator has no batching rule");
}

TEST(Choices, BatchingReadsASharedWeightOnce) {
  const Planned planned({.graphs = {linear("1"), linear("1")}, .widened = {"w"}});
  const ColumnChoices choices = choices_of(planned, "MatMul");
  for (const Choice& choice : choices.choices)
    if (choice.strategy == Strategy::kBatch) {
      EXPECT_LT(choice.cost, choices.choices.back().cost);
    }
}

// LayerNormalization of a sum, [1,2,8] a model, priced at a microsecond an element where it is one slow step.
TEST(LaneCost, SumsThatAreNormalisedMayBeOneSlowStep) {
  const std::string graph =
      "g (float[1,2,8] x, float[1,2,8] z) => (float[1,2,8] y) <float[8] w = {1,1,1,1,1,1,1,1}>"
      "{ s = Add (x, z) y = LayerNormalization (s, w) }";
  const Planned planned({.graphs = {graph, graph}});
  const Column& column = planned.column("LayerNormalization");
  DeviceProfile profile = *find_profile("cpu-avx512");
  const CostModel usual(profile);
  profile.skip_normalization_seconds = 1e-6;
  const CostModel slow(profile);
  const auto more = [&](const std::vector<LanePlan>& lanes) {
    const auto cost = [&](const CostModel& model) {
      return make_choice(planned.program, column, model, lanes, Strategy::kApart).cost;
    };
    return cost(slow) - cost(usual);
  };
  EXPECT_EQ(more(apart_lanes(everyone(column))), 2 * 16'000);
  Option batch;
  batch.outputs = {Form::fused({.axis = 0, .fold = Fold::kConcat})};
  EXPECT_EQ(more({{everyone(column), batch}}), 2 * 16'000);
  batch.outputs = {Form::fused({.axis = 0, .fold = Fold::kStacked})};
  EXPECT_EQ(more({{everyone(column), batch}}), 0) << "four axes";
}

// A channel that fans out is an image of its own; activations, sums and normalizations are what ONNX Runtime
// runs inside of a convolution.
TEST(RunsInsideProducer, OfImagesOnlyBehindConvolutionsWhereTheDeviceSaysSo) {
  const Planned planned({.graphs = {
                             "g (float[1,1,4,4] x, float[1,1,4,4] z) => (float[1,1,4,4] y)"
                             "<float[1,1,1,1] w = {2}, float[1] s = {1}, float[1] b = {0}>"
                             "{ c = Conv (x, w) n = BatchNormalization (c, s, b, b, s) a = Add (n, z)"
                             "  r = Relu (a) t = Tanh (r) p = MaxPool <kernel_shape = [1,1]> (t)"
                             "  y = Sigmoid (p) }",
                         }});
  DeviceProfile profile = *find_profile("generic-gpu");
  const auto inside = [&](Fusion fusion, const std::string& op) {
    profile.fusion = fusion;
    return runs_inside_producer(planned.program, planned.column(op).members.front(), CostModel(profile));
  };
  for (const char* op : {"BatchNormalization", "Add", "Relu", "Tanh", "Sigmoid"}) {
    EXPECT_FALSE(inside(Fusion::kNone, op)) << op;
    EXPECT_TRUE(inside(Fusion::kAny, op)) << op;
  }
  for (const char* op : {"BatchNormalization", "Add", "Relu"})
    EXPECT_TRUE(inside(Fusion::kConvolution, op)) << op;
  EXPECT_FALSE(inside(Fusion::kConvolution, "Tanh")) << "a second activation";
  EXPECT_FALSE(inside(Fusion::kConvolution, "Sigmoid")) << "behind no convolution";
}

}  // namespace
}  // namespace mts
