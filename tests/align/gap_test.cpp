#include "src/align/gap.h"

#include "src/align/merge.h"
#include "tests/align/random_models.h"

#include <numeric>

#include <gtest/gtest.h>

namespace mts::alignment {
namespace {

using mts::testing::RandomModels;
using mts::testing::Recipe;

// The same graph twice, other weights, nothing matched in advance: what the gap aligner alone finds.
Pairs align_copies(uint32_t seed, size_t most_cells, size_t& size) {
  RandomModels random(seed);
  Recipe recipe = random.recipe(60);
  std::vector<Model> models;
  for (int m = 0; m < 2; ++m) {
    for (Recipe::Step& step : recipe.steps)
      if (step.weight != 0) step.weight += 1000;
    models.push_back(random.build(recipe, true).model);
  }
  const WeightClasses classes = classify_weights(models);
  const auto features = extract_features(models, classes, number_values(models, classes, {}));
  Profile profile(features);
  merge_model(profile, 0);
  std::vector<uint32_t> nodes(features[1].nodes.size());
  std::iota(nodes.begin(), nodes.end(), 0U);
  size = nodes.size();
  const std::vector<uint32_t> unmatched(nodes.size(), kNone);
  const Pairs pairs = align_gap(profile, profile.order(), features[1], nodes, unmatched, most_cells);
  for (size_t i = 0; i < pairs.size(); ++i) {
    EXPECT_EQ(profile.set(profile.order()[pairs[i].first]).form, features[1].nodes[pairs[i].second].form);
    if (i == 0) continue;
    EXPECT_LT(pairs[i - 1].first, pairs[i].first);
    EXPECT_LT(pairs[i - 1].second, pairs[i].second);
  }
  return pairs;
}

TEST(AlignGap, FindsACopyByItsSurroundings) {
  for (uint32_t seed = 0; seed < 50; ++seed) {
    size_t size = 0;
    EXPECT_EQ(align_copies(seed, kMostCells, size).size(), size) << seed;
  }
}

TEST(AlignGap, FindsNearlyAllWithoutATable) {
  size_t found = 0, all = 0;
  for (uint32_t seed = 0; seed < 50; ++seed) {
    size_t size = 0;
    found += align_copies(seed, 4, size).size();
    all += size;
  }
  EXPECT_GT(static_cast<double>(found), 0.9 * static_cast<double>(all));
}

TEST(AlignGap, NothingToAlign) {
  const std::vector<ModelFeatures> none(1);
  const Profile profile(none);
  EXPECT_TRUE(align_gap(profile, {}, none[0], {}, {}, kMostCells).empty());
}

}  // namespace
}  // namespace mts::alignment
