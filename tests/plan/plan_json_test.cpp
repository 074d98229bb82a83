#include "plan/plan_json.h"

#include "tests/plan/planned.h"

#include <gmock/gmock.h>

namespace mts {
namespace {

using ::testing::HasSubstr;
using testing::Planned;
using testing::ProgramCase;

// Models with a shared layer and one of their own.
ProgramCase networks(int count, const std::string& last = "Relu") {
  ProgramCase given;
  for (int m = 0; m < count; ++m)
    given.graphs.push_back(
        "g (float[N,2] x) => (float[N,2] y) <float[2,2] shared = {1, 2, 3, 4}, float[2,2] own = {" +
        std::to_string(m) + ", 1, 1, 1}> { h = MatMul (x, shared) k = MatMul (h, own) y = " + last +
        " (k) }");
  return given;
}
const DeviceProfile kLaunchBound{.name = "launch",
                                 .sources = {},
                                 .flops = {{DType::kFloat32, 1e15}},
                                 .memory_bandwidth = {1e15, 1e15},
                                 .dispatch_seconds = 1e-5};
const Groups kGroups{{2, 0}, {1, 3}};

struct Case {
  explicit Case(int count = 4)
      : planned(networks(count)),
        program(in_groups(planned.program, kGroups)),
        plan(make_plan(program, CostModel(kLaunchBound), {.groups = kGroups})),
        text(to_json(program, plan, {.target = "launch", .share_inputs = {"x"}, .partial = "full"})) {}
  Planned planned;
  Program program;
  Plan plan;
  std::string text;
};

Error error_of(const std::string& text) {
  const auto parsed = parse_plan(text, "p.json");
  EXPECT_FALSE(parsed);
  return parsed ? Error{} : parsed.error();
}
std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

TEST(PlanJson, IsReplayedAsItWas) {
  const Case one;
  const auto recorded = parse_plan(one.text, "p.json");
  ASSERT_TRUE(recorded) << recorded.error().to_string();
  EXPECT_EQ(recorded->flags.target, "launch");
  EXPECT_EQ(recorded->flags.partial, "full");
  const auto groups = recorded_groups(*recorded, one.planned.program, "p.json");
  ASSERT_TRUE(groups) << groups.error().to_string();
  EXPECT_EQ(*groups, kGroups);
  const auto again = replay(*recorded, one.program, *groups, "p.json");
  ASSERT_TRUE(again) << again.error().to_string();
  size_t fused = 0;
  ASSERT_EQ(again->columns.size(), one.plan.columns.size());
  for (size_t c = 0; c < again->columns.size(); ++c) {
    EXPECT_EQ(again->columns[c].strategy, one.plan.columns[c].strategy);
    ASSERT_EQ(again->columns[c].lanes.size(), one.plan.columns[c].lanes.size());
    for (size_t l = 0; l < again->columns[c].lanes.size(); ++l) {
      EXPECT_EQ(again->columns[c].lanes[l].members, one.plan.columns[c].lanes[l].members);
      EXPECT_EQ(again->columns[c].lanes[l].option, one.plan.columns[c].lanes[l].option);
      fused += again->columns[c].lanes[l].fused();
    }
  }
  EXPECT_EQ(fused, 6U) << "everything of both groups";
  EXPECT_EQ(again->order, one.plan.order);
  EXPECT_EQ(again->predicted, one.plan.predicted);
  EXPECT_EQ(to_json(one.program, *again, recorded->flags), one.text);
}

// What was predicted and measured travels along and changes nothing.
TEST(PlanJson, CarriesWhatWasMeasured) {
  Case one;
  one.plan = make_plan(one.program, CostModel(kLaunchBound), {.explain = true, .groups = kGroups});
  one.plan.columns[0].alternatives[0].measured = 77;
  one.plan.measured = {{.name = "apart", .measured = 9, .predicted = 8, .by_layers = 7}};
  const std::string text =
      to_json(one.program, one.plan, {.target = "launch", .share_inputs = {"x"}, .partial = "full"});
  const auto recorded = parse_plan(text, "p.json");
  ASSERT_TRUE(recorded) << recorded.error().to_string();
  ASSERT_EQ(recorded->names.size(), one.plan.columns.size());
  EXPECT_EQ(recorded->names[0].node, "a:MatMul")
      << "the first model of the first group is c, but a was first";
  EXPECT_EQ(recorded->names.back().group, 1U);
  EXPECT_EQ(recorded->plan.columns[0].alternatives[0].measured, 77);
  EXPECT_EQ(recorded->plan.columns[0].alternatives[1].measured, std::nullopt);
  ASSERT_EQ(recorded->plan.measured.size(), 1U);
  EXPECT_EQ(recorded->plan.measured[0].by_layers, 7);
  EXPECT_EQ(recorded->plan.predicted_memory.peak(), one.plan.predicted_memory.peak());
  const auto again = replay(*recorded, one.program, kGroups, "p.json");
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_EQ(to_json(one.program, *again, recorded->flags), text);
  for (const auto& [from, to, what] :
       {std::tuple("\"measured_ns\":77", "\"measured_ns\":-1", "measured_ns"),
        std::tuple("\"group\":1", "\"group\":2", "group"),
        std::tuple("\"strategy\":\"apart\",\"predicted_ns\"", "\"strategy\":\"best\",\"predicted_ns\"",
                   "\"best\" is not known")})
    EXPECT_THAT(error_of(replaced(text, from, to)).to_string(), HasSubstr(what));
}

TEST(PlanJson, SaysWhatIsMalformed) {
  const std::string text = Case().text;
  EXPECT_THAT(error_of("{").to_string(), HasSubstr("p.json: is not JSON"));
  EXPECT_THAT(error_of(replaced(text, "\"schema_version\": 1", "\"schema_version\": 2")).to_string(),
              HasSubstr("schema_version: this mts reads version 1"));
  EXPECT_THAT(error_of(replaced(text, "\"strategy\": \"auto\"", "\"strategy\": \"best\"")).to_string(),
              HasSubstr("\"best\" is not known"));
  EXPECT_THAT(error_of(replaced(text, "concat(0)", "concat(zero)")).to_string(), HasSubstr("operands[0]"));
  EXPECT_THAT(error_of(replaced(text, "\"members\"", "\"member\"")).to_string(), HasSubstr("lanes[0]"));
  EXPECT_THAT(error_of(replaced(text, "\"partial\": \"full\"", "\"partial\": 1")).to_string(),
              HasSubstr("partial: is not a text"));
}

TEST(PlanJson, DoesNotFitOtherModels) {
  const Case one;
  const auto recorded = parse_plan(one.text, "p.json");
  ASSERT_TRUE(recorded);
  const Planned fewer(networks(3)), more(networks(5));
  EXPECT_FALSE(recorded_groups(*recorded, fewer.program, "p.json"));
  EXPECT_FALSE(recorded_groups(*recorded, more.program, "p.json"));
  const Planned other(networks(4, "Softmax"));
  const auto refused = replay(*recorded, in_groups(other.program, kGroups), kGroups, "p.json");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().to_string(), HasSubstr("there the plan has Relu"));
  EXPECT_FALSE(replay(*recorded, one.planned.program, one_group(4), "p.json")) << "not divided";
}

TEST(PlanJson, NeverRunsWhatNoRuleAllows) {
  const Case one;
  for (const auto& [from, to] : {std::pair("concat(0)", "concat(1)"), std::pair("[0,1]", "[0,7]"),
                                 std::pair("[0,1]", "[0,0]"), std::pair("\"variant\":0", "\"variant\":9")}) {
    const auto recorded = parse_plan(replaced(one.text, from, to), "p.json");
    ASSERT_TRUE(recorded) << recorded.error().to_string();
    EXPECT_FALSE(replay(*recorded, one.program, kGroups, "p.json")) << from << " as " << to;
  }
}

}  // namespace
}  // namespace mts
