#include "src/align/features.h"

#include "tests/align/random_models.h"
#include "tests/share/graph_builder.h"

#include <algorithm>
#include <functional>
#include <memory>

#include <gtest/gtest.h>

namespace mts::alignment {
namespace {

using mts::testing::floats;
using mts::testing::GraphBuilder;
using mts::testing::RandomModels;
using mts::testing::Recipe;

// Features of the models and, for each, those of the node that the builder's function returned the value of.
struct Extracted {
  std::vector<Model> models;
  std::vector<ModelFeatures> features;
  std::vector<NodeFeatures> chosen;
};
using Build = std::function<ValueId(GraphBuilder&)>;

Extracted extract(const std::vector<Build>& builds) {
  Extracted result;
  std::vector<NodeId> ids;
  for (const Build& build : builds) {
    GraphBuilder b;
    const ValueId value = build(b);
    if (b.graph().is_unused(value)) b.output(value);
    ids.push_back(b.producer(value));
    result.models.push_back(std::move(b.model));
  }
  const WeightClasses classes = classify_weights(result.models);
  result.features = extract_features(result.models, classes, number_values(result.models, classes, {}));
  for (size_t m = 0; m < ids.size(); ++m)
    result.chosen.push_back(*std::ranges::find(result.features[m].nodes, ids[m], &NodeFeatures::id));
  return result;
}

Build linear(int seed, int64_t out, Type input = floats({-1, 4})) {
  return [=](GraphBuilder& b) {
    return b.op("MatMul", {b.input(input), b.constant(seed, {4, out})}, floats({-1, out}));
  };
}

TEST(Features, SignatureIsFormAndDimsOfConstantsNotTheirContent) {
  const auto e = extract({linear(1, 4), linear(2, 4), linear(1, 8)});
  EXPECT_EQ(e.chosen[0].signature, e.chosen[1].signature);
  EXPECT_EQ(e.chosen[0].form, e.chosen[2].form);
  EXPECT_NE(e.chosen[0].signature, e.chosen[2].signature);
  EXPECT_NE(e.chosen[0].content, e.chosen[1].content);
}

TEST(Features, FormTellsOperatorAttributesKindsAndRanksApart) {
  const auto op = [](const char* type, std::vector<Attribute> attributes = {}, size_t outputs = 1,
                     Type of = floats({-1, 4}), const char* domain = "") {
    return [=](GraphBuilder& b) { return b.op(type, {b.input(of)}, of, attributes, outputs, domain); };
  };
  const Attribute p{"p", int64_t{1}, {}}, q{"q", int64_t{2}, {}}, other{"p", int64_t{3}, {}};
  const auto e = extract({op("A", {p, q}), op("A", {q, p}), op("B", {p, q}), op("A", {other, q}),
                          op("A", {p, q}, 2), op("A", {p, q}, 1, floats({-1, 4, 4})),
                          op("A", {p, q}, 1, floats({-1, 9})), op("A", {p, q}, 1, floats({-1, 4}), "my")});
  EXPECT_EQ(e.chosen[0].form, e.chosen[1].form) << "order of attributes";
  for (const size_t i : {2, 3, 4, 5, 7}) EXPECT_NE(e.chosen[0].form, e.chosen[i].form) << i;
  EXPECT_EQ(e.chosen[0].form, e.chosen[6].form) << "dims of activations";
  const auto constants = extract({[](GraphBuilder& b) {
                                    return b.op("Add", {b.input(floats({4})), b.constant(1, {4})});
                                  },
                                  [](GraphBuilder& b) {
                                    return b.op("Add", {b.input(floats({4})), b.input(floats({4}))});
                                  }});
  EXPECT_NE(constants.chosen[0].form, constants.chosen[1].form);
}

TEST(Features, ForwardIsTheUpstreamConeWithItsWeightDims) {
  const auto two = [](int seed, int64_t middle, const char* activation) {
    return [=](GraphBuilder& b) {
      const ValueId x =
          b.op("MatMul", {b.input(floats({-1, 4})), b.constant(seed, {4, middle})}, floats({-1, middle}));
      return b.op("MatMul", {b.op(activation, {x}), b.constant(seed + 1, {middle, 3})}, floats({-1, 3}));
    };
  };
  const auto e = extract({two(1, 8, "Relu"), two(5, 8, "Relu"), two(1, 6, "Relu"), two(1, 8, "Tanh")});
  EXPECT_EQ(e.chosen[0].forward, e.chosen[1].forward);
  EXPECT_NE(e.chosen[0].forward, e.chosen[2].forward);
  EXPECT_NE(e.chosen[0].forward, e.chosen[3].forward);
}

TEST(Features, ForwardKnowsInputsUpToTheBatchAxis) {
  const auto e = extract({linear(1, 4, floats({-1, 4})), linear(1, 4, floats({8, 4})),
                          linear(1, 4, floats({-1, 5})), linear(1, 4, floats({-1, -1}))});
  EXPECT_EQ(e.chosen[0].forward, e.chosen[1].forward);
  EXPECT_NE(e.chosen[0].forward, e.chosen[2].forward);
  EXPECT_NE(e.chosen[0].forward, e.chosen[3].forward);
}

TEST(Features, ForwardKnowsSlotsAndOutputs) {
  const auto sub = [](bool swapped) {
    return [=](GraphBuilder& b) {
      const ValueId x = b.input(floats({4})), y = b.op("Relu", {x});
      return swapped ? b.op("Sub", {y, x}) : b.op("Sub", {x, y});
    };
  };
  const auto part = [](size_t output) {
    return [=](GraphBuilder& b) {
      b.op("Split", {b.input(floats({4}))}, floats({2}), {}, 2);
      return b.op("Relu", {b.graph().node(b.last).outputs[output]});
    };
  };
  const auto e = extract({sub(false), sub(true), part(0), part(1)});
  EXPECT_NE(e.chosen[0].forward, e.chosen[1].forward);
  EXPECT_NE(e.chosen[2].forward, e.chosen[3].forward);
}

TEST(Features, DepthIsTheLongestPath) {
  const auto e = extract({[](GraphBuilder& b) {
    const ValueId x = b.input(floats({4}));
    return b.op("Add", {x, b.op("Relu", {b.op("Relu", {x})})});
  }});
  EXPECT_EQ(e.chosen[0].depth, 2U);
}

TEST(Features, RoleIsWhatReadsTheNodeNearby) {
  // `length` Relus behind the node, then a head.
  const auto trunk = [](int length, const char* head, int64_t classes) {
    return [=](GraphBuilder& b) {
      const ValueId start = b.op("Tanh", {b.input(floats({-1, 4}))});
      ValueId x = start;
      for (int i = 0; i < length; ++i) x = b.op("Relu", {x});
      b.output(b.op(head, {b.linear(x, 1, 4, classes)}));
      return start;
    };
  };
  const auto e = extract({trunk(6, "Softmax", 3), trunk(6, "Sigmoid", 3), trunk(1, "Softmax", 3),
                          trunk(1, "Sigmoid", 3), trunk(1, "Softmax", 5)});
  EXPECT_EQ(e.chosen[0].role(), e.chosen[1].role());
  EXPECT_NE(e.chosen[0].backward, e.chosen[1].backward);
  EXPECT_NE(e.chosen[2].role(), e.chosen[3].role());
  EXPECT_EQ(e.chosen[2].role(), e.chosen[4].role()) << "a class count is no other role";
}

TEST(Features, ProjectionsHaveEqualForwardHashesAndOtherRoles) {
  const auto projection = [](size_t which) {
    return [=](GraphBuilder& b) {
      const ValueId x = b.input(floats({-1, 4}));
      const ValueId qkv[] = {b.linear(x, 1, 4, 4), b.linear(x, 2, 4, 4), b.linear(x, 3, 4, 4)};
      b.output(b.op("MatMul", {b.op("Softmax", {b.op("MatMul", {qkv[0], qkv[1]})}), qkv[2]}));
      return qkv[which];
    };
  };
  const auto e = extract({projection(0), projection(1), projection(2), projection(0)});
  EXPECT_EQ(e.chosen[0].forward, e.chosen[1].forward);
  EXPECT_EQ(e.chosen[0].forward, e.chosen[2].forward);
  EXPECT_NE(e.chosen[0].role(), e.chosen[1].role());
  EXPECT_NE(e.chosen[0].role(), e.chosen[2].role());
  EXPECT_NE(e.chosen[1].role(), e.chosen[2].role());
  EXPECT_EQ(e.chosen[0].role(), e.chosen[3].role());
}

TEST(Features, ConesAreComputedFromConstantsOnly) {
  const auto dequantised = [](int seed, const char* op) {
    return [=](GraphBuilder& b) {
      const ValueId w = b.op(op, {b.constant(seed, {4, 4}), b.constant(9, {})});
      return b.op("MatMul", {b.input(floats({-1, 4})), w});
    };
  };
  const auto e = extract({dequantised(1, "DequantizeLinear"), dequantised(1, "DequantizeLinear"),
                          dequantised(2, "DequantizeLinear"), dequantised(1, "RandomNormalLike")});
  const auto operand = [&](size_t m) {
    const auto n = std::ranges::find(e.features[m].nodes, e.chosen[m].id, &NodeFeatures::id) -
                   e.features[m].nodes.begin();
    return e.features[m].operands_of(static_cast<size_t>(n))[1];
  };
  EXPECT_TRUE(e.features[0].nodes[operand(0).producer].cone);
  EXPECT_EQ(operand(0).content, operand(1).content);
  EXPECT_NE(operand(0).content, operand(2).content);
  EXPECT_EQ(operand(0).bytes, 64U + 4);
  EXPECT_EQ(operand(3).content, kNone);
}

TEST(Features, OnlyContentThatTellsLayersApartIsTelling) {
  const auto add = [](WeightPtr weight) {
    return [=](GraphBuilder& b) { return b.op("Add", {b.input(floats({-1, 16})), b.constant(weight)}); };
  };
  const auto e = extract({add(Weight::floats(std::vector<float>(16, 0.0F), {16})),
                          add(mts::testing::weight(1, {16})), add(mts::testing::weight(1, {2}))});
  const auto telling = [&](size_t m) { return e.features[m].operands_of(0)[1].telling; };
  EXPECT_FALSE(telling(0)) << "zeros";
  EXPECT_TRUE(telling(1));
  EXPECT_FALSE(telling(2)) << "too small";
}

TEST(Features, CanonicalOrderIsTopologicalAndDoesNotDependOnTheFile) {
  for (uint32_t seed = 0; seed < 100; ++seed) {
    RandomModels random(seed);
    const Recipe recipe = random.recipe(50);
    std::vector<Model> models;
    for (int m = 0; m < 2; ++m) models.push_back(random.build(recipe, true).model);
    const WeightClasses classes = classify_weights(models);
    const auto features = extract_features(models, classes, number_values(models, classes, {}));
    for (const ModelFeatures& model : features)
      for (size_t n = 0; n < model.nodes.size(); ++n)
        for (const Operand& operand : model.operands_of(n))
          if (operand.producer != kNone) {
            EXPECT_LT(operand.producer, n);
          }
    const auto what = [](const NodeFeatures& node) {
      return std::tuple(node.depth, node.forward, node.role());
    };
    EXPECT_TRUE(std::ranges::equal(features[0].nodes, features[1].nodes, {}, what, what)) << seed;
  }
}

}  // namespace
}  // namespace mts::alignment
