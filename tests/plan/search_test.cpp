#include "plan/plan.h"
#include "tests/plan/planned.h"

namespace mts {
namespace {

using Mode = StitchOptions::Strategy;
using testing::Planned;
using testing::ProgramCase;

// Launches cost everything: whatever can run as one should.
const DeviceProfile kLaunchBound{.name = "launch",
                                 .sources = {},
                                 .flops = {{DType::kFloat32, 1e15}},
                                 .memory_bandwidth = {1e15, 1e15},
                                 .dispatch_seconds = 1e-5,
                                 .view_seconds = 1e-6};
// Launches are free and every byte that is moved costs: nothing should be put together.
const DeviceProfile kBandwidthBound{
    .name = "bandwidth", .sources = {}, .flops = {{DType::kFloat32, 1e15}}, .memory_bandwidth = {1e6, 1e6}};

// A chain in which shared and distinct layers alternate, with a residual and a head.
std::string network(const std::string& distinct) {
  return "g (float[N,2] x) => (float[N,2] y) <float[2,2] shared = {1, 2, 3, 4}, float[2,2] own = {" +
         distinct + ", 1, 1, 1}, float[2] bias = {" + distinct +
         ", 2}> { h = MatMul (x, shared) r = Relu (h) k = MatMul (r, own) b = Add (k, bias) s = Add (b, r) "
         "y = Softmax (s) }";
}
const ProgramCase kNetworks{.graphs = {network("5"), network("6"), network("7")}};
// No weights, so that only launches and copies count.
const char* const kUnary = "g (float[N,64] x) => (float[N,64] y) { y = Relu (x) }";

Plan plan_of(const Planned& planned, const DeviceProfile& profile, const PlanOptions& options = {}) {
  return make_plan(planned.program, CostModel(profile), options);
}

int64_t apart_count(const Planned& planned, const Plan& plan) {
  int64_t count = 0;
  for (size_t c = 0; c < plan.columns.size(); ++c)
    count += planned.program.columns[c].members.size() > 1 && plan.columns[c].strategy == Strategy::kApart;
  return count;
}

std::string describe(const Plan& plan) {
  std::string text;
  for (const ColumnPlan& column : plan.columns) {
    text += std::string(name_of(column.strategy)) + " (" + column.refusal + ")";
    for (const LanePlan& lane : column.lanes) {
      text += " [";
      for (const uint32_t member : lane.members) text += std::to_string(member) + " ";
      if (lane.fused())
        for (const Form& form : lane.option.outputs) text += to_string(form);
      text += "]";
    }
    text += "\n";
  }
  return text + std::to_string(plan.predicted);
}

TEST(Search, TakesWhatIsCheaper) {
  const Planned planned({.graphs = {kUnary, kUnary}});
  const Plan stitched = plan_of(planned, kLaunchBound);
  ASSERT_EQ(stitched.columns.size(), 1u);
  // Two nodes of 10 us against a Concat, a node, and a Split: a single elementwise node does not pay.
  EXPECT_EQ(stitched.columns[0].strategy, Strategy::kApart);
  EXPECT_EQ(stitched.columns[0].refusal, "it is predicted to be faster apart");
  EXPECT_EQ(stitched.predicted, 20'000);

  const Planned networks(kNetworks);
  EXPECT_EQ(apart_count(networks, plan_of(networks, kLaunchBound)), 0);
  EXPECT_EQ(apart_count(networks, plan_of(networks, kBandwidthBound)), 6);
}

// The more nodes there are between the Concat and the Split, the better they pay.
TEST(Search, LooksBeyondOneNode) {
  const char* const chain =
      "g (float[N,64] x) => (float[N,64] y) { a = Relu (x) b = Tanh (a) c = Neg (b) "
      "d = Abs (c) y = Sqrt (d) }";
  const Planned planned({.graphs = {chain, chain}});
  const Plan plan = plan_of(planned, kLaunchBound);
  EXPECT_EQ(apart_count(planned, plan), 0);
  // Concat, five nodes, Split with a view; bytes cost nothing that can be seen.
  EXPECT_EQ(plan.predicted, 10'000 + 5 * 10'000 + 11'000);
  EXPECT_EQ(plan.predicted_apart, 10 * 10'000);
  for (const ColumnPlan& column : plan.columns)
    EXPECT_EQ(column.lanes[0].option.outputs, plan.columns[0].lanes[0].option.outputs) << "no conversions";
}

TEST(Search, IsNeverPredictedToLose) {
  for (const DeviceProfile& profile : {kLaunchBound, kBandwidthBound, *find_profile("generic-gpu"),
                                       *find_profile("cpu-avx2"), *find_profile("cpu-avx512")}) {
    SCOPED_TRACE(profile.name);
    const Planned planned(kNetworks);
    const Plan chosen = plan_of(planned, profile);
    EXPECT_LE(chosen.predicted, chosen.predicted_apart);
    EXPECT_LE(chosen.predicted, plan_of(planned, profile, {.strategy = Mode::kStitch}).predicted);
    const Plan apart = plan_of(planned, profile, {.strategy = Mode::kConcat});
    EXPECT_EQ(apart.predicted, chosen.predicted_apart);
  }
}

TEST(Search, StitchNeverLeavesApartWhatARuleAllows) {
  for (const DeviceProfile& profile : {kLaunchBound, kBandwidthBound}) {
    SCOPED_TRACE(profile.name);
    for (const ProgramCase& given : {kNetworks, ProgramCase{.graphs = {kUnary, kUnary}}}) {
      const Planned planned(given);
      const Plan plan = plan_of(planned, profile, {.strategy = Mode::kStitch});
      EXPECT_EQ(apart_count(planned, plan), 0) << describe(plan);
    }
  }
}

TEST(Search, StitchSaysWhyNodesAreApart) {
  const char* const graph =
      "g (float[N,2] x) => (float[N,2] y) { e = EyeLike <dtype = 1> (x) y = Add (x, e) }";
  const Planned planned({.graphs = {graph, graph}});
  const Plan plan = plan_of(planned, kLaunchBound, {.strategy = Mode::kStitch});
  const ColumnPlan& eye = plan.columns[planned.column_index("EyeLike")];
  EXPECT_EQ(eye.strategy, Strategy::kApart);
  EXPECT_EQ(eye.refusal, "the operator has no batching rule");
  EXPECT_EQ(plan.columns[planned.column_index("Add")].strategy, Strategy::kBatch);
}

TEST(Search, ConcatLeavesEverythingApart) {
  const Planned planned(kNetworks);
  const Plan plan = plan_of(planned, kLaunchBound, {.strategy = Mode::kConcat});
  EXPECT_EQ(apart_count(planned, plan), static_cast<int64_t>(plan.columns.size()));
  for (const ColumnPlan& column : plan.columns)
    EXPECT_EQ(column.refusal, "nothing is stitched by --strategy concat");
}

// Weight classes {a, c} and {b}: the weights are too big to be put together out of shared parts.
TEST(Search, PartitionsWeightClasses) {
  const auto linear = [](const std::string& weight) {
    return "g (float[N,128] x) => (float[N,128] y) <float[1,1] w = {" + weight + "}> { y = MatMul (x, w) }";
  };
  const Planned planned({.graphs = {linear("1"), linear("2"), linear("1")}, .widened = {"w"}});
  const Plan plan = plan_of(planned, kLaunchBound, {.strategy = Mode::kStitch});
  ASSERT_EQ(plan.columns.size(), 1u);
  EXPECT_EQ(plan.columns[0].strategy, Strategy::kPartition);
  EXPECT_NE(plan.columns[0].refusal, "") << "why not all of them";
  const Plan netfuse = plan_of(planned, kLaunchBound, {.strategy = Mode::kNetfuse, .allow_duplicates = true});
  EXPECT_EQ(netfuse.columns[0].strategy, Strategy::kGroup);
  const double weight = 4.0 * 128 * 128;
  EXPECT_EQ(plan.predicted_memory.constants, 2 * weight);
  EXPECT_EQ(netfuse.predicted_memory.constants, 3 * weight) << "a copy a model";
}

TEST(Search, EveryMemberIsInOneLane) {
  const Planned planned(kNetworks);
  for (const Mode mode : {Mode::kAuto, Mode::kStitch, Mode::kConcat, Mode::kNetfuse}) {
    const Plan plan = plan_of(planned, kLaunchBound, {.strategy = mode});
    ASSERT_EQ(plan.columns.size(), planned.program.columns.size());
    for (size_t c = 0; c < plan.columns.size(); ++c) {
      std::vector<uint32_t> members;
      for (const LanePlan& lane : plan.columns[c].lanes) {
        EXPECT_TRUE(std::ranges::is_sorted(lane.members));
        members.insert(members.end(), lane.members.begin(), lane.members.end());
      }
      std::ranges::sort(members);
      std::vector<uint32_t> all(planned.program.columns[c].members.size());
      std::iota(all.begin(), all.end(), 0u);
      EXPECT_EQ(members, all);
    }
  }
}

TEST(Search, IsDeterministic) {
  for (const Mode mode : {Mode::kAuto, Mode::kStitch, Mode::kNetfuse}) {
    const Planned first(kNetworks), second(kNetworks);
    const DeviceProfile profile = *find_profile("cpu-avx2");
    EXPECT_EQ(describe(plan_of(first, profile, {.strategy = mode})),
              describe(plan_of(second, profile, {.strategy = mode})));
  }
}

TEST(Search, ExplainsWhatApartWouldCostAlsoWhereEverythingIsStitched) {
  const Planned planned(kNetworks);
  for (const Mode mode : {Mode::kAuto, Mode::kStitch}) {
    const Plan plan = plan_of(planned, kLaunchBound, {.strategy = mode, .explain = true});
    for (size_t c = 0; c < plan.columns.size(); ++c) {
      if (planned.program.columns[c].members.size() < 2) continue;
      const auto& alternatives = plan.columns[c].alternatives;
      const auto apart = std::ranges::find(alternatives, Strategy::kApart, &Alternative::strategy);
      ASSERT_NE(apart, alternatives.end()) << "column " << c;
      EXPECT_GT(apart->cost, alternatives.front().cost);
    }
  }
}

}  // namespace
}  // namespace mts
