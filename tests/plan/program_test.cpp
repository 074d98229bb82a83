#include "plan/program.h"

#include "tests/plan/planned.h"

#include <gmock/gmock.h>

namespace mts {
namespace {

using ::testing::ElementsAre;
using testing::Planned;

const char* const kLinear1 =
    "g (float[N,2] x) => (float[N,2] y) <float[2,2] w = {1, 2, 3, 4}> "
    "{ h = MatMul (x, w) y = Relu (h) }";
const char* const kLinear2 =
    "g (float[N,2] x) => (float[N,2] y) <float[2,2] w = {5, 6, 7, 8}> "
    "{ h = MatMul (x, w) y = Relu (h) }";

TEST(Program, EqualNodesAreOneMember) {
  const Planned planned({.graphs = {kLinear1, kLinear1}, .shared = {"x"}});
  ASSERT_EQ(planned.program.columns.size(), 2u);
  for (const Column& column : planned.program.columns) {
    ASSERT_EQ(column.members.size(), 1u);
    EXPECT_EQ(column.members[0].origins.size(), 2u);
    EXPECT_EQ(column.members[0].model, 0u);
  }
  EXPECT_EQ(planned.number(0, "y"), planned.number(1, "y"));
}

TEST(Program, CorrespondingNodesStandInOneColumn) {
  const Planned planned({.graphs = {kLinear1, kLinear2}});
  ASSERT_EQ(planned.program.columns.size(), 2u);
  const Column& product = planned.column("MatMul");
  ASSERT_EQ(product.members.size(), 2u);
  EXPECT_THAT(product.members[1].operands, ElementsAre(planned.number(1, "x"), planned.number(1, "w")));
  EXPECT_THAT(product.members[1].outputs, ElementsAre(planned.number(1, "h")));
}

TEST(Program, KnowsSourcesAndUses) {
  const Planned planned(
      {.graphs = {"g (float[2,2] x) => (float[2,2] y, float[2,2] h) <float[2,2] w = {1, 2, 3, 4}> "
                  "{ h = MatMul (x, w) y = MatMul (h, w) }"}});
  const Program& program = planned.program;
  const ValueSource& source = program.sources[planned.number(0, "y")];
  ASSERT_TRUE(source.produced());
  EXPECT_THAT(program.columns[source.column].members[source.member].outputs,
              ElementsAre(planned.number(0, "y")));
  EXPECT_FALSE(program.sources[planned.number(0, "x")].produced());
  EXPECT_EQ(program.use_counts[planned.number(0, "w")], 2u);
  EXPECT_EQ(program.use_counts[planned.number(0, "h")], 2u) << "an output of the model reads it too";
  EXPECT_NE(program.weights[planned.number(0, "w")], nullptr);
  EXPECT_EQ(program.weights[planned.number(0, "x")], nullptr);
  EXPECT_THAT(program.outputs.front(), ElementsAre(planned.number(0, "y"), planned.number(0, "h")));
}

TEST(Program, ColumnsAreTopologicalForEveryModel) {
  const Planned planned(
      {.graphs = {"g (float[N,2] x) => (float[N,2] y) { a = Relu (x) b = Sigmoid (a) y = Add (a, b) }",
                  "g (float[N,2] x) => (float[N,2] y) { b = Sigmoid (x) a = Relu (b) y = Add (a, b) }"}});
  for (uint32_t c = 0; c < planned.program.columns.size(); ++c)
    for (const Member& member : planned.program.columns[c].members)
      for (const Number operand : member.operands)
        if (const ValueSource& source = planned.program.sources[operand]; source.produced()) {
          EXPECT_LT(source.column, c);
        }
}

TEST(Program, CapturesAreUses) {
  const Planned planned({.graphs = {"g (bool c, float[2] x) => (float[2] y) { h = Relu (x) y = If (c) <"
                                    "then_branch = t () => (float[2] p) { p = Neg (h) }, "
                                    "else_branch = e () => (float[2] q) { q = Abs (x) }> }"}});
  const Member& branch = planned.column("If").members.front();
  EXPECT_THAT(branch.captures,
              ::testing::UnorderedElementsAre(planned.number(0, "h"), planned.number(0, "x")));
  EXPECT_EQ(planned.program.use_counts[planned.number(0, "h")], 1u);
}

// Sizes without a name: equal in members that compute them from equal types with equal attributes, and
// not to be had from any input.
TEST(Program, NamesUnknownSizes) {
  const std::string head =
      "g (float[N,1,H,8] x) => (float[N,1,P,Q] y) { p = MaxPool <kernel_shape = [2, 2], ";
  const std::string tail = "> (x) y = Relu (p) }";
  const Planned planned({.graphs = {head + "strides = [2, 2]" + tail, head + "strides = [2, 2]" + tail,
                                    head + "strides = [1, 1]" + tail}});
  const auto size = [&](uint32_t model) { return (*planned.type(model, "p").shape)[2]; };
  ASSERT_TRUE(size(0).is_symbolic());
  EXPECT_EQ(size(0).symbol.front(), '?');
  EXPECT_TRUE(size(0).same_as(size(1)));
  EXPECT_FALSE(size(0).same_as(size(2)));
  EXPECT_EQ((*planned.type(0, "p").shape)[0], Dim::symbolic("N"));
}

TEST(Program, PromisesNothingOfIndependentDims) {
  const Planned dependent({.graphs = {kLinear1, kLinear2}});
  EXPECT_EQ(to_string(dependent.type(0, "h")), to_string(dependent.type(1, "h")));
  const Planned independent({.graphs = {kLinear1, kLinear2}, .independent_dims = true});
  EXPECT_EQ(to_string(independent.type(0, "h")), "float32[a/N,2]");
  EXPECT_EQ(to_string(independent.type(1, "h")), "float32[b/N,2]");
}

TEST(Program, InputsWithoutDimNamesDiffer) {
  const char* const graph = "g (float[?,2] x) => (float[?,2] y) { y = Relu (x) }";
  const Planned planned({.graphs = {graph, graph}});
  const Dim first = (*planned.type(0, "x").shape)[0], second = (*planned.type(1, "x").shape)[0];
  EXPECT_TRUE(first.is_symbolic());
  EXPECT_FALSE(first.same_as(second));
}

}  // namespace
}  // namespace mts
