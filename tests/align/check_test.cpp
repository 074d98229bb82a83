// The check that all other tests rely on notices what is wrong.
#include "src/align/check.h"

#include "tests/share/graph_builder.h"

#include <gtest/gtest.h>

namespace mts::alignment {
namespace {

using mts::testing::floats;
using mts::testing::GraphBuilder;
using ::testing::Test;

// Two models x -> Relu -> Tanh, aligned.
class CheckAlignment : public Test {
 protected:
  CheckAlignment() {
    for (int m = 0; m < 2; ++m) {
      GraphBuilder b;
      b.output(b.op("Tanh", {b.op("Relu", {b.input(floats({4}))})}));
      models.push_back(std::move(b.model));
    }
    const auto& order = models[0].graph.order();
    alignment.sets = {{{order[0], order[0]}}, {{order[1], order[1]}}};
  }
  void expect_wrong(const char* what) {
    const auto result = check_alignment(models, alignment);
    ASSERT_FALSE(result.has_value()) << what;
    EXPECT_NE(result.error().message.find(what), std::string::npos) << result.error().message;
  }

  std::vector<Model> models;
  Alignment alignment;
};

TEST_F(CheckAlignment, AcceptsWhatIsRight) { EXPECT_TRUE(check_alignment(models, alignment).has_value()); }

TEST_F(CheckAlignment, NoticesAMissingNode) {
  alignment.sets[1].nodes[1] = kNoNode;
  expect_wrong("in no set");
}

TEST_F(CheckAlignment, NoticesANodeInTwoSets) {
  alignment.sets.push_back({{kNoNode, alignment.sets[1].nodes[1]}});
  expect_wrong("in two sets");
}

TEST_F(CheckAlignment, NoticesAWrongOrder) {
  std::swap(alignment.sets[0], alignment.sets[1]);
  expect_wrong("before its operand");
}

TEST_F(CheckAlignment, NoticesMembersThatDiffer) {
  std::swap(alignment.sets[0].nodes[1], alignment.sets[1].nodes[1]);
  expect_wrong("differ");
}

TEST_F(CheckAlignment, NoticesAnEmptySetAndAMissingEntry) {
  alignment.sets.push_back({{kNoNode, kNoNode}});
  expect_wrong("empty");
  alignment.sets.back().nodes.pop_back();
  expect_wrong("one entry a model");
}

TEST_F(CheckAlignment, NoticesADifferentRank) {
  Graph& graph = models[1].graph;
  graph.value(graph.node(graph.order()[0]).outputs[0]).type = floats({4, 4});
  expect_wrong("differ");
}

}  // namespace
}  // namespace mts::alignment
