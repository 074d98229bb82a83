#include "plan/grouping.h"

#include "plan/group_search.h"
#include "plan/schedule.h"
#include "plan/signature.h"
#include "plan/similarity.h"
#include "tests/plan/planned.h"

#include <set>

#include <gmock/gmock.h>

namespace mts {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Planned;
using testing::ProgramCase;

// Models with a shared layer, a layer of their own, and activations of 4 KB.
ProgramCase networks(int count) {
  ProgramCase given;
  for (int m = 0; m < count; ++m)
    given.graphs.push_back(
        "g (float[16,64] x) => (float[16,64] y) <float[1,1] shared = {1}, float[1,1] own = {" +
        std::to_string(10 + m) + "}> { h = Mul (x, shared) r = Tanh (h) k = Mul (r, own) y = Relu (k) }");
  return given;
}
// Another family: it has nothing but its input in common with the first.
std::string other_network(int own) {
  return "g (float[8,4,4] x) => (float[8,4,4] y) <float[1,1] own = {" + std::to_string(own) +
         "}> { a = Softmax (x) b = Sigmoid (a) c = Mul (b, own) d = Sin (c) y = Cos (d) }";
}

// Work of up to `cache` bytes is fast, larger work slow; launches cost a little.
CostModel cached(double cache) {
  return CostModel(DeviceProfile{.name = "cached",
                                 .sources = {},
                                 .flops = {{DType::kFloat32, 1e15}},
                                 .caches = {{"L1", cache, {1e12, 1e12}}},
                                 .memory_bandwidth = {1e9, 1e9},
                                 .dispatch_seconds = 1e-6,
                                 .joins_in_place = true});
}
std::vector<size_t> sizes(const Groups& groups) {
  std::vector<size_t> result;
  for (const auto& group : groups) result.push_back(group.size());
  return result;
}
Groups chosen(const Planned& planned, const CostModel& cost, GroupSearchOptions options = {}) {
  const auto groups = choose_groups(planned.program, cost, options);
  EXPECT_TRUE(groups) << groups.error().to_string();
  return groups ? *groups : Groups{};
}
GroupSearchOptions in(int64_t count) {
  GroupSearchOptions options;
  options.groups = count;
  return options;
}

void expect_order_of_operands(const Program& program, const Plan& plan) {
  std::set<std::pair<uint32_t, uint32_t>> placed;
  std::set<Number> made;
  for (const LaneRef ref : plan.order) {
    EXPECT_TRUE(placed.insert({ref.column, ref.lane}).second);
    const auto& members = plan.columns[ref.column].lanes[ref.lane].members;
    for (const uint32_t m : members)
      for (const Number operand : program.columns[ref.column].members[m].operands)
        EXPECT_TRUE(operand == kNoNumber || !program.sources[operand].produced() || made.contains(operand));
    for (const uint32_t m : members)
      for (const Number output : program.columns[ref.column].members[m].outputs) made.insert(output);
  }
  size_t lanes = 0;
  for (const ColumnPlan& column : plan.columns) lanes += column.lanes.size();
  EXPECT_EQ(placed.size(), lanes);
}

TEST(InGroups, RunsOneGroupAfterTheOther) {
  const Planned planned(networks(4));
  const Groups groups{{2, 0}, {3, 1}};
  const Program divided = in_groups(planned.program, groups);
  ASSERT_EQ(divided.columns.size(), 2 * planned.program.columns.size());
  for (size_t c = 0; c < divided.columns.size(); ++c) {
    const bool second = c >= planned.program.columns.size();
    for (const Member& member : divided.columns[c].members)
      EXPECT_EQ(member.model % 2 == 1, second) << "column " << c;
  }
  for (Number number = 0; number < divided.sources.size(); ++number) {
    const ValueSource& source = divided.sources[number];
    ASSERT_EQ(source.produced(), planned.program.sources[number].produced());
    if (!source.produced()) continue;
    EXPECT_EQ(divided.columns[source.column].members[source.member].outputs[source.output], number);
  }
}

TEST(InGroups, WhatTwoGroupsNeedRunsInTheFirst) {
  ProgramCase given = networks(3);
  given.shared = {"x"};
  const Planned planned(given);  // the shared layers of all models are one node
  const Program divided = in_groups(planned.program, {{1}, {0}, {2}});
  const ValueSource& trunk = divided.sources[planned.number(2, "r")];
  EXPECT_LT(trunk.column, 2U);
  const Plan plan = make_plan(divided, cached(1e9), {.groups = {{1}, {0}, {2}}});
  expect_order_of_operands(divided, plan);
}

TEST(OfModels, KeepsTheirWorkOnly) {
  const Planned planned(networks(3));
  const uint32_t two[] = {0, 2};
  const Program part = of_models(planned.program, two);
  for (const Column& column : part.columns) EXPECT_EQ(column.members.size(), 2U);
  EXPECT_FALSE(part.sources[planned.number(1, "r")].produced());
  EXPECT_TRUE(part.outputs[1].empty());
}

TEST(Schedule, EveryLaneRunsOnceAndAfterItsOperands) {
  for (const double cache : {1.0, 1e4, 1e9}) {
    const Planned planned(networks(5));
    expect_order_of_operands(planned.program, make_plan(planned.program, cached(cache), {}));
  }
}

TEST(Schedule, WhatStaysApartRunsModelByModel) {
  const Planned planned(networks(3));
  const Plan plan = make_plan(planned.program, cached(1),
                              {.strategy = StitchOptions::Strategy::kConcat, .groups = {{1, 2, 0}}});
  std::vector<uint32_t> models;
  for (const LaneRef ref : plan.order)
    models.push_back(planned.program.columns[ref.column]
                         .members[plan.columns[ref.column].lanes[ref.lane].members[0]]
                         .model);
  EXPECT_THAT(models, ElementsAre(1, 1, 1, 1, 2, 2, 2, 2, 0, 0, 0, 0));
}

TEST(PredictedMemory, ApartHoldsOneModelAndStitchedAllOfThem) {
  const Planned planned(networks(4));
  const auto peak = [&](StitchOptions::Strategy strategy) {
    return make_plan(planned.program, cached(1e9), {.strategy = strategy}).predicted_memory.activations;
  };
  // Everything is elementwise and runs in place; outputs are held to the end.
  EXPECT_EQ(peak(StitchOptions::Strategy::kConcat), 4 * 4096);
  // All inputs are brought together by a copy, beside the first value of all.
  EXPECT_EQ(peak(StitchOptions::Strategy::kStitch), 4 * 4096 + 4 * 4096);
}

TEST(Signatures, AlikeSetsHaveOne) {
  const Planned planned(networks(4));
  Signatures signatures(planned.program);
  const uint32_t a[] = {0, 1}, b[] = {2, 3}, c[] = {3, 1}, one[] = {0};
  EXPECT_EQ(signatures.of(a), signatures.of(b));
  EXPECT_EQ(signatures.of(a), signatures.of(c));
  EXPECT_NE(signatures.of(a), signatures.of(one));
}

TEST(Signatures, TellWhichWeightsAreEqual) {
  ProgramCase given = networks(4);
  given.graphs[3] = given.graphs[2];  // its own layer is not its own
  const Planned planned(given);
  Signatures signatures(planned.program);
  const uint32_t distinct[] = {0, 1}, equal[] = {2, 3};
  EXPECT_NE(signatures.of(distinct), signatures.of(equal));
}

TEST(Similarity, FamiliesStandTogether) {
  ProgramCase given = networks(3);
  given.graphs.insert(given.graphs.begin() + 1, other_network(1));
  given.graphs.push_back(other_network(2));
  const Planned planned(given);
  const SimilarityOrder order = order_by_similarity(planned.program, cached(1e9));
  EXPECT_THAT(order.models, ::testing::AnyOf(ElementsAre(0, 2, 3, 1, 4), ElementsAre(1, 4, 0, 2, 3)));
  int strangers = 0;
  for (const double related : order.related) strangers += related < 0.5;
  EXPECT_EQ(strangers, 1);
}

TEST(ChooseGroups, OneWhereStitchingPaysAndSmallerOnesWhereTheCacheIsFull) {
  const Planned planned(networks(8));
  EXPECT_THAT(sizes(chosen(planned, cached(1e9))), ElementsAre(8));
  // A stitched operator on the activations of two models moves 16 KB.
  GroupSearchOptions everything;
  everything.plan.strategy = StitchOptions::Strategy::kStitch;
  EXPECT_THAT(sizes(chosen(planned, cached(17'000), everything)), ElementsAre(2, 2, 2, 2));
}

TEST(ChooseGroups, OneGroupMayRunAFewModelsAtATime) {
  const Planned planned(networks(8));
  const Plan plan = make_plan(planned.program, cached(17'000), {});
  // The first operator would have to copy its inputs together.
  for (size_t c = 1; c < plan.columns.size(); ++c)
    for (const LanePlan& lane : plan.columns[c].lanes) EXPECT_EQ(lane.members.size(), 2U);
}

TEST(ChooseGroups, AsManyAsAskedFor) {
  const Planned planned(networks(7));
  for (int64_t count = 1; count <= 7; ++count) {
    const Groups groups = chosen(planned, cached(1e9), in(count));
    EXPECT_EQ(groups.size(), static_cast<size_t>(count));
    std::set<uint32_t> models;
    for (const auto& group : groups) models.insert(group.begin(), group.end());
    EXPECT_EQ(models.size(), 7U);
  }
  const auto refused = choose_groups(planned.program, cached(1e9), in(8));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kUsage);
  EXPECT_THAT(refused.error().message, HasSubstr("7 models cannot be divided into 8 groups"));
}

TEST(ChooseGroups, FewerGroupsThanFamilies) {
  ProgramCase given = networks(2);
  given.graphs.push_back(other_network(1));
  const Planned planned(given);
  EXPECT_THAT(sizes(chosen(planned, cached(1e9), in(1))), ElementsAre(3));
}

TEST(ChooseGroups, KeepsAMemoryBudget) {
  const Planned planned(networks(8));
  const CostModel cost = cached(1e9);
  const Plan whole = make_plan(planned.program, cost, {});
  GroupSearchOptions options;
  options.memory_budget = whole.predicted_memory.constants + whole.predicted_memory.activations / 2;
  const Groups groups = chosen(planned, cost, options);
  EXPECT_GT(groups.size(), 1U);
  EXPECT_LT(groups.size(), 8U);  // stitching pays: no smaller than need be
  for (const auto& group : groups) {
    const Program part = of_models(planned.program, group);
    EXPECT_LE(make_plan(part, cost, {.groups = {group}}).predicted_memory.peak(), *options.memory_budget);
  }
  options.memory_budget = 1000;
  const auto refused = choose_groups(planned.program, cost, options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kCheckFailed);
  EXPECT_THAT(refused.error().message, HasSubstr("cannot be kept"));
}

TEST(ChooseGroups, KeepsALatencyBudgetWithTheLeastMemory) {
  const Planned planned(networks(8));
  const CostModel cost = cached(1e9);
  GroupSearchOptions options;
  options.latency_budget = 1e9;  // a second: any order will do
  EXPECT_EQ(chosen(planned, cost, options).size(), 8U);
  options.latency_budget = static_cast<double>(make_plan(planned.program, cost, {}).predicted);
  EXPECT_THAT(sizes(chosen(planned, cost, options)), ElementsAre(8));
  options.latency_budget = 1;
  EXPECT_FALSE(choose_groups(planned.program, cost, options));
}

}  // namespace
}  // namespace mts
