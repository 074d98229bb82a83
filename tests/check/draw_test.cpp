#include "check/draw.h"

#include "check/compare.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace mts::check {
namespace {

std::vector<double> drawn(Drawing drawing, uint64_t seed = 1, const std::string& stream = "a/x") {
  return doubles_of(draw(drawing, seed, stream));
}

TEST(Draw, DependsOnSeedAndStreamOnly) {
  const Drawing drawing{DType::kFloat32, {4, 5}, {}, {}};
  EXPECT_EQ(drawn(drawing), drawn(drawing));
  EXPECT_NE(drawn(drawing), drawn(drawing, 2));
  EXPECT_NE(drawn(drawing), drawn(drawing, 1, "b/x"));
}

TEST(Draw, KeepsToRanges) {
  for (const double x : drawn({DType::kInt64, {1000}, {}, std::pair(10.0, 12.0)}))
    EXPECT_TRUE(x == 10 || x == 11);
  for (const double x : drawn({DType::kFloat32, {1000}, {}, std::pair(-1.0, 1.0)})) {
    EXPECT_GE(x, -1);
    EXPECT_LT(x, 1);
  }
  for (const double x : drawn({DType::kInt32, {1000}, {.below = 3}, {}})) EXPECT_TRUE(x >= 0 && x < 3);
  for (const double x : drawn({DType::kInt64, {1000}, {.below = {}, .size = true}, {}})) EXPECT_GE(x, 1);
}

TEST(Draw, FillsEveryType) {
  for (int32_t number = 1; number <= 26; ++number) {
    const auto dtype = static_cast<DType>(number);
    const Tensor tensor = draw({.dtype = dtype, .dims = {64}}, 1, "x");
    SCOPED_TRACE(name_of(dtype));
    if (dtype == DType::kString) {
      EXPECT_NE(tensor.strings()[0], "");
      continue;
    }
    if (dtype == DType::kComplex64 || dtype == DType::kComplex128) continue;
    std::vector<double> values = doubles_of(tensor);
    if (dtype == DType::kFloat4E2M1) values.assign({1, 2});  // no arithmetic yet: only that it can be drawn
    for (const double x : values) EXPECT_EQ(x, x) << "NaN";
    std::ranges::sort(values);
    EXPECT_GE(std::ranges::unique(values).begin() - values.begin(), 2);
  }
}

TEST(Draw, MasksNeverHideAWholeRow) {
  const std::vector<double> mask = drawn({.dtype = DType::kInt64, .dims = {50, 4}, .mask = true});
  EXPECT_TRUE(std::ranges::count(mask, 0.0) > 0);
  for (size_t i = 0; i < mask.size(); i += 4) EXPECT_EQ(mask[i], 1);
}

TEST(UsageOf, FindsTheAxisThatIsIndexed) {
  Graph graph;
  const ValueId ids = graph.add_input("ids", Type::tensor(DType::kInt32, {Dim::symbolic("N")}));
  const ValueId table = graph.add_constant("table", Weight::floats(std::vector<float>(12), {4, 3}));
  const ValueId wide = graph.add_value("wide", Type::tensor(DType::kInt64));
  const ValueId rows = graph.add_value("rows", {});
  const ValueId columns = graph.add_value("columns", {});
  graph.add_node(make_node("Cast", {ids}, {wide}));
  graph.add_node(make_node("Gather", {table, wide}, {rows}));
  EXPECT_EQ(usage_of(graph, ids).below, 4);
  Node other = make_node("Gather", {table, ids}, {columns});
  other.set("axis", int64_t{-1});
  graph.add_node(std::move(other));
  EXPECT_EQ(usage_of(graph, ids).below, 3);
}

TEST(UsageOf, DoesNotMistakeDataForIndices) {
  Graph graph;
  const ValueId x = graph.add_input("x", Type::tensor(DType::kInt64, {Dim::known(4)}));
  const ValueId at = graph.add_constant("at", Weight::int64_scalar(2));
  const ValueId out = graph.add_value("out", {});
  graph.add_node(make_node("Gather", {x, at}, {out}));
  EXPECT_FALSE(usage_of(graph, x).below.has_value());
  const ValueId shape = graph.add_input("shape", Type::tensor(DType::kInt64, {Dim::known(1)}));
  const ValueId shaped = graph.add_value("shaped", {});
  graph.add_node(make_node("Reshape", {out, shape}, {shaped}));
  EXPECT_TRUE(usage_of(graph, shape).size);
  EXPECT_FALSE(usage_of(graph, x).size);
}

TEST(UsageOf, LooksIntoSubgraphs) {
  Graph graph;
  const ValueId ids = graph.add_input("ids", Type::tensor(DType::kInt64, {Dim::known(2)}));
  const ValueId condition = graph.add_input("condition", Type::tensor(DType::kBool, Shape{}));
  auto branch = std::make_shared<Graph>();
  const ValueId inner = branch->add_capture(ids, "ids", Type::tensor(DType::kInt64));
  const ValueId table = branch->add_constant("table", Weight::floats(std::vector<float>(10), {5, 2}));
  const ValueId rows = branch->add_value("rows", {});
  branch->add_node(make_node("Gather", {table, inner}, {rows}));
  branch->add_output(rows);
  Node choice = make_node("If", {condition}, {graph.add_value("y", {})});
  choice.set("then_branch", branch);
  choice.set("else_branch", branch->clone());
  graph.add_node(std::move(choice));
  EXPECT_EQ(usage_of(graph, ids).below, 5);
}

}  // namespace
}  // namespace mts::check
