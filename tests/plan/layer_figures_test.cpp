#include "plan/layer_figures.h"

#include "plan/lanes.h"
#include "tests/plan/planned.h"

#include <gmock/gmock.h>

namespace mts {
namespace {

using ::testing::DoubleEq;
using ::testing::Optional;
using testing::Planned;
using Scale = LayerFigures::Scale;

LayerFigures figures(Scale scale) {
  LayerFigures figures(scale);
  figures.add(3, Strategy::kApart, 1, 10, 20);
  figures.add(3, Strategy::kBatch, 2, 10, 10);
  figures.add(3, Strategy::kBatch, 8, 10, 40);
  figures.add(4, Strategy::kBatch, 2, 10, 10);  // never by itself
  return figures;
}

TEST(LayerFigures, CorrectPredictionsByWhatWasMeasured) {
  const LayerFigures absolute = figures(Scale::kAbsolute);
  EXPECT_THAT(absolute.correction(3, Strategy::kBatch, 2), Optional(DoubleEq(1)));
  EXPECT_THAT(absolute.correction(3, Strategy::kBatch, 8), Optional(DoubleEq(4)));
  EXPECT_THAT(absolute.correction(3, Strategy::kApart, 8), Optional(DoubleEq(2))) << "one figure for all";
}

TEST(LayerFigures, LieOnLinesBetweenMeasuredSizes) {
  const LayerFigures absolute = figures(Scale::kAbsolute);
  EXPECT_THAT(absolute.correction(3, Strategy::kBatch, 4), Optional(DoubleEq(2.5))) << "4 is half-way to 8";
  EXPECT_THAT(absolute.correction(3, Strategy::kBatch, 64), Optional(DoubleEq(4)));
  EXPECT_THAT(absolute.correction(3, Strategy::kBatch, 1), Optional(DoubleEq(1)));
}

TEST(LayerFigures, MayCompareOnly) {
  const LayerFigures relative = figures(Scale::kRelative);
  EXPECT_THAT(relative.correction(3, Strategy::kApart, 1), Optional(DoubleEq(1)));
  EXPECT_THAT(relative.correction(3, Strategy::kBatch, 8), Optional(DoubleEq(2)));
  EXPECT_THAT(relative.measured(3, Strategy::kBatch, 8), Optional(DoubleEq(4)));
  EXPECT_EQ(relative.correction(4, Strategy::kBatch, 2), std::nullopt);
}

TEST(LayerFigures, AreMissingWhereNothingWasMeasured) {
  EXPECT_EQ(figures(Scale::kAbsolute).correction(3, Strategy::kGroup, 2), std::nullopt);
  EXPECT_EQ(figures(Scale::kAbsolute).correction(5, Strategy::kBatch, 2), std::nullopt);
  EXPECT_EQ(figures(Scale::kAbsolute).correction(kNoLayer, Strategy::kBatch, 2), std::nullopt);
}

// Figures turn the plan round: one product for all is predicted to be faster, and measured to be slower.
TEST(LayerFigures, DecideThePlan) {
  const char* const graph =
      "g (float[4,8] x) => (float[4,8] y) <float[8,8] w = {"
      "1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, "
      "1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, "
      "1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8}> { y = MatMul (x, w) }";
  Planned planned({.graphs = {graph, graph, graph}});
  const uint32_t column = planned.column_index("MatMul");
  for (Member& member : planned.program.columns[column].members) member.layer = 0;
  const CostModel predicting(*find_profile("generic-gpu"));
  const Plan predicted = make_plan(planned.program, predicting, {});
  ASSERT_EQ(predicted.columns[column].strategy, Strategy::kBatch);

  const auto measured = std::make_shared<LayerFigures>(Scale::kRelative);
  measured->add(0, Strategy::kApart, 1, 1, 2);
  measured->add(0, Strategy::kBatch, 2, 1, 40);
  const CostModel corrected = predicting.with(measured);
  const Plan plan = make_plan(planned.program, corrected, {.explain = true});
  EXPECT_EQ(plan.columns[column].strategy, Strategy::kApart);
  for (const Alternative& alternative : plan.columns[column].alternatives) {
    ASSERT_TRUE(alternative.measured.has_value());
    const bool apart = alternative.strategy == Strategy::kApart;
    EXPECT_NEAR(static_cast<double>(*alternative.measured),
                static_cast<double>(alternative.cost) * (apart ? 2 : 40), 3);
  }
  EXPECT_EQ(predicted_time(planned.program, corrected, plan.columns), plan.predicted);
  EXPECT_EQ(predicted_time(planned.program, predicting, predicted.columns), predicted.predicted);
}

}  // namespace
}  // namespace mts
