// Every rule x every mapping of its operands x sizes x placements: fused = one by one.
#include "rules/rule.h"
#include "tests/rules/harness.h"

#include <set>

#include <gtest/gtest.h>

namespace mts::testing {
namespace {

class EveryRule : public ::testing::TestWithParam<RuleCase> {};

TEST_P(EveryRule, FusedEqualsSingles) { check(GetParam()); }

INSTANTIATE_TEST_SUITE_P(Rules, EveryRule, ::testing::ValuesIn(all_cases()),
                         [](const auto& param) { return param.param.name; });

TEST(Rules, EveryRuleHasACase) {
  std::set<std::string, std::less<>> covered;
  for (const RuleCase& rule_case : all_cases()) covered.insert(rule_case.op);
  for (const Rule& rule : all_rules())
    EXPECT_TRUE(covered.contains(rule.op_type)) << rule.op_type << " has no case in tests/rules";
}

TEST(Rules, AreListedOnce) {
  std::set<std::pair<std::string_view, std::string_view>> seen;
  for (const Rule& rule : all_rules())
    EXPECT_TRUE(seen.emplace(rule.domain, rule.op_type).second) << rule.op_type;
}

TEST(Rules, OperatorsThatMixTheBatchHaveNone) {
  for (const char* op :
       {"DynamicQuantizeLinear", "MeanVarianceNormalization", "Size", "NonZero", "Unique", "Compress",
        "RandomNormal", "RandomUniformLike", "Multinomial", "Bernoulli", "Dropout"}) {
    Node node;
    node.op_type = op;
    EXPECT_EQ(find_rule(node), nullptr) << op;
  }
}

}  // namespace
}  // namespace mts::testing
