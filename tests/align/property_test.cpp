// What holds for every family of graphs. align_models itself checks each alignment: every node in exactly one
// set, an order that is topological for every model, members that fit.
#include "tests/align/align_models.h"
#include "tests/align/random_models.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace mts {
namespace {

using testing::align_models;
using testing::RandomModel;
using testing::RandomModels;
using testing::Recipe;

bool operator_equal(const Alignment& a, const Alignment& b) {
  return std::ranges::equal(a.sets, b.sets, {}, &AlignedSet::nodes, &AlignedSet::nodes);
}

class AlignFamilies : public ::testing::TestWithParam<uint32_t> {};

TEST_P(AlignFamilies, AlignmentsAreValidAndDeterministic) {
  for (uint32_t seed = GetParam() * 100; seed < GetParam() * 100 + 100; ++seed) {
    SCOPED_TRACE(seed);
    RandomModels random(seed);
    const Recipe base = random.recipe(5 + random.below(60));
    std::vector<Model> models;
    const int count = 2 + random.below(5);
    for (int m = 0; m < count; ++m)
      models.push_back(random.build(random.mutate(base, random.below(12)), true).model);
    const Alignment first = align_models(models), second = align_models(models);
    EXPECT_TRUE(operator_equal(first, second));
    if (::testing::Test::HasFailure()) return;
  }
}

TEST_P(AlignFamilies, UnrelatedGraphsAlignValidly) {
  for (uint32_t seed = GetParam() * 20; seed < GetParam() * 20 + 20; ++seed) {
    SCOPED_TRACE(seed);
    RandomModels random(seed);
    std::vector<Model> models;
    for (int m = 0; m < 4; ++m)
      models.push_back(random.build(random.recipe(1 + random.below(80)), true).model);
    align_models(models);
    if (::testing::Test::HasFailure()) return;
  }
}

// One architecture with one set of weights: whatever the order of the files, everything aligns.
TEST_P(AlignFamilies, OneModelInAnyFileOrderAlignsCompletely) {
  for (uint32_t seed = GetParam() * 100; seed < GetParam() * 100 + 100; ++seed) {
    SCOPED_TRACE(seed);
    RandomModels random(seed);
    const Recipe recipe = random.recipe(5 + random.below(80));
    std::vector<Model> models;
    for (int m = 0; m < 3; ++m) models.push_back(random.build(recipe, true).model);
    EXPECT_EQ(align_models(models).sets.size(), recipe.steps.size());
    if (::testing::Test::HasFailure()) return;
  }
}

// The same with weights of its own for each model.
TEST_P(AlignFamilies, OneArchitectureInAnyFileOrderAlignsCompletely) {
  for (uint32_t seed = GetParam() * 100; seed < GetParam() * 100 + 100; ++seed) {
    SCOPED_TRACE(seed);
    RandomModels random(seed);
    Recipe recipe = random.recipe(5 + random.below(80));
    std::vector<Model> models;
    for (int m = 0; m < 3; ++m) {
      for (Recipe::Step& step : recipe.steps)
        if (step.weight != 0) step.weight += 1000;
      models.push_back(random.build(recipe, true).model);
    }
    EXPECT_EQ(align_models(models).sets.size(), recipe.steps.size());
    if (::testing::Test::HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, AlignFamilies, ::testing::Range(0U, 6U));

// A little changed: nearly all nodes that both copies have, meet again.
TEST(AlignMutations, UnchangedNodesMeetAgain) {
  size_t common = 0, met = 0;
  for (uint32_t seed = 0; seed < 300; ++seed) {
    RandomModels random(seed);
    const Recipe base = random.recipe(60);
    const Recipe changed = random.mutate(base, 3);
    std::vector<RandomModel> built;
    built.push_back(random.build(base, true));
    built.push_back(random.build(changed, true));
    std::vector<Model> models;
    for (RandomModel& one : built) models.push_back(std::move(one.model));
    const Alignment alignment = align_models(models);
    for (size_t id = 0; id < built[0].node_of.size(); ++id) {
      const NodeId a = built[0].node_of[id], b = built[1].node_of[id];
      if (a == kNoNode || b == kNoNode) continue;
      ++common;
      met += testing::together(alignment, a, b) ? 1 : 0;
    }
  }
  RecordProperty("common", static_cast<int>(common));
  RecordProperty("met", static_cast<int>(met));
  EXPECT_GT(static_cast<double>(met), 0.97 * static_cast<double>(common)) << met << " of " << common;
}

}  // namespace
}  // namespace mts
