#include "tests/align/align_models.h"

#include <mts/align.h>

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace mts {
namespace {

using testing::align_models;
using testing::floats;
using testing::full_sets;
using testing::GraphBuilder;
using testing::together;

// A chain of layers of width 4: MatMul with the weight of that seed, Relu. Returns the MatMuls.
struct Chain {
  Model model;
  std::vector<NodeId> layers;
  NodeId head = kNoNode;
};
Chain chain(const std::vector<int>& seeds, int64_t classes = 0,
            const std::function<ValueId(GraphBuilder&, ValueId)>& stem = {}) {
  GraphBuilder b;
  Chain result;
  ValueId x = b.input(floats({-1, 4}));
  if (stem) x = stem(b, x);
  for (const int seed : seeds) {
    x = b.linear(x, seed, 4, 4);
    result.layers.push_back(b.producer(x));
    x = b.op("Relu", {x});
  }
  if (classes > 0) {
    x = b.linear(x, 1000 + static_cast<int>(classes), 4, classes);
    result.head = b.producer(x);
    x = b.op("Softmax", {x});
  }
  b.output(x);
  result.model = std::move(b.model);
  return result;
}

template <class... T>
std::vector<Model> models_of(T&&... chains) {
  std::vector<Model> models;
  (models.push_back(std::move(chains.model)), ...);
  return models;
}

TEST(Align, NoModelsAndEmptyGraphs) {
  EXPECT_TRUE(align_models({}).sets.empty());
  EXPECT_TRUE(align_models(std::vector<Model>(3)).sets.empty());
}

TEST(Align, OneModelHasOneSetANode) {
  auto a = chain({1, 2, 3});
  const auto alignment = align_models(models_of(a));
  EXPECT_EQ(alignment.sets.size(), 6U);
  EXPECT_EQ(full_sets(alignment), 6U);
}

TEST(Align, AModelWithAnEmptyOne) {
  auto a = chain({1, 2});
  std::vector<Model> models(2);
  models[1] = std::move(a.model);
  EXPECT_EQ(align_models(models).sets.size(), 4U);
}

TEST(Align, AModelWithItselfAlignsCompletely) {
  auto a = chain({1, 2, 3}), b = chain({1, 2, 3}), c = chain({1, 2, 3});
  const auto alignment = align_models(models_of(a, b, c));
  EXPECT_EQ(alignment.sets.size(), 6U);
  for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(together(alignment, a.layers[i], b.layers[i]));
}

TEST(Align, SameArchitectureWithOtherWeightsAlignsCompletely) {
  auto a = chain({1, 2, 3}, 5), b = chain({4, 5, 6}, 5);
  const auto alignment = align_models(models_of(a, b));
  EXPECT_EQ(alignment.sets.size(), 8U);
}

TEST(Align, HeadsWithOtherClassCountsAlign) {
  auto a = chain({1, 2, 3}, 5), b = chain({1, 2, 3}, 7);
  const auto alignment = align_models(models_of(a, b));
  EXPECT_EQ(alignment.sets.size(), 8U);
  EXPECT_TRUE(together(alignment, a.head, b.head));
}

TEST(Align, AnInsertedLayerIsSkippedWhereWeightsAreShared) {
  auto a = chain({1, 2, 3, 4}, 5), b = chain({1, 9, 2, 3, 4}, 5);
  const auto alignment = align_models(models_of(a, b));
  EXPECT_EQ(alignment.sets.size(), 12U);
  EXPECT_TRUE(together(alignment, a.layers[0], b.layers[0]));
  for (size_t i = 1; i < 4; ++i) EXPECT_TRUE(together(alignment, a.layers[i], b.layers[i + 1])) << i;
  EXPECT_TRUE(together(alignment, a.head, b.head));
}

TEST(Align, EveryOtherLayerOfADeeperModel) {
  auto a = chain({1, 2, 3, 4, 5, 6}), b = chain({2, 4, 6});
  const auto alignment = align_models(models_of(a, b));
  for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(together(alignment, a.layers[2 * i + 1], b.layers[i])) << i;
  EXPECT_EQ(alignment.sets.size(), 12U);
}

TEST(Align, OneFineTunedLayerStaysInItsPlace) {
  auto a = chain({1, 2, 3, 4}), b = chain({1, 2, 9, 4});
  const auto alignment = align_models(models_of(a, b));
  EXPECT_EQ(alignment.sets.size(), 8U);
  EXPECT_TRUE(together(alignment, a.layers[2], b.layers[2]));
}

TEST(Align, TrunkIsSharedBehindDifferentStems) {
  auto a = chain({1, 2, 3, 4}, 5, [](GraphBuilder& b, ValueId x) { return b.op("Tanh", {x}); });
  auto b = chain({1, 2, 3, 4}, 5, [](GraphBuilder& g, ValueId x) {
    return g.op("Div", {g.op("Sub", {x, g.constant(7, {4})}), g.constant(8, {4})});
  });
  const auto alignment = align_models(models_of(a, b));
  for (size_t i = 0; i < 4; ++i) EXPECT_TRUE(together(alignment, a.layers[i], b.layers[i])) << i;
  EXPECT_EQ(alignment.sets.size(), 13U);
}

TEST(Align, TrunkBehindDifferentStemsAlignsEvenWithOtherWeights) {
  auto a = chain({1, 2, 3, 4}, 5, [](GraphBuilder& b, ValueId x) { return b.op("Tanh", {x}); });
  auto b = chain({11, 12, 13, 14}, 5, [](GraphBuilder& g, ValueId x) {
    return g.op("Div", {g.op("Sub", {x, g.constant(7, {4})}), g.constant(8, {4})});
  });
  const auto alignment = align_models(models_of(a, b));
  EXPECT_EQ(alignment.sets.size(), 13U);
}

TEST(Align, CrossingWeightsMakeNoCycle) {
  auto a = chain({1, 2}), b = chain({2, 1});
  const auto alignment = align_models(models_of(a, b));  // checks the order
  const int aligned = (together(alignment, a.layers[0], b.layers[1]) ? 1 : 0) +
                      (together(alignment, a.layers[1], b.layers[0]) ? 1 : 0);
  EXPECT_EQ(aligned, 1);
}

TEST(Align, ManyCrossingWeightsKeepTheLongestRun) {
  auto a = chain({1, 2, 3, 4, 5, 6}), b = chain({3, 4, 5, 6, 1, 2});
  const auto alignment = align_models(models_of(a, b));
  for (size_t i = 0; i < 4; ++i) EXPECT_TRUE(together(alignment, a.layers[i + 2], b.layers[i])) << i;
}

TEST(Align, DifferentOperatorsNeverMeet) {
  GraphBuilder a, b;
  a.output(a.op("Relu", {a.input(floats({4}))}));
  b.output(b.op("Tanh", {b.input(floats({4}))}));
  EXPECT_EQ(align_models(models_of(a, b)).sets.size(), 2U);
}

TEST(Align, RanksDtypesAndAttributesKeepNodesApart) {
  const auto relu = [](Type type, std::vector<Attribute> attributes = {}) {
    GraphBuilder b;
    b.output(b.op("Op", {b.input(type)}, type, std::move(attributes)));
    return b;
  };
  const auto sets = [](GraphBuilder a, GraphBuilder b) { return align_models(models_of(a, b)).sets.size(); };
  EXPECT_EQ(sets(relu(floats({2, 3})), relu(floats({2, 3}))), 1U);
  EXPECT_EQ(sets(relu(floats({2, 3})), relu(floats({5, 3}))), 1U);
  EXPECT_EQ(sets(relu(floats({2, 3})), relu(floats({2, 5}))), 1U);
  EXPECT_EQ(sets(relu(floats({2, 3})), relu(floats({3}))), 2U);
  EXPECT_EQ(sets(relu(floats({2, 3})), relu(Type::tensor(DType::kFloat16, *floats({2, 3}).shape))), 2U);
  EXPECT_EQ(sets(relu(floats({3})), relu(Type::tensor(DType::kFloat32))), 2U);
  EXPECT_EQ(sets(relu(floats({3}), {{"a", int64_t{1}, {}}}), relu(floats({3}), {{"a", int64_t{2}, {}}})), 2U);
}

// Attention-like: q, k, v of one value, then MatMul(MatMul(q, k), v).
struct Attention {
  Model model;
  NodeId q, k, v;
};
Attention attention(int q_seed, int k_seed, int v_seed, bool reversed = false) {
  GraphBuilder b;
  const ValueId x = b.input(floats({-1, 4}));
  ValueId q{}, k{}, v{};
  if (reversed) v = b.linear(x, v_seed, 4, 4);
  if (reversed) k = b.linear(x, k_seed, 4, 4);
  q = b.linear(x, q_seed, 4, 4);
  if (!reversed) k = b.linear(x, k_seed, 4, 4);
  if (!reversed) v = b.linear(x, v_seed, 4, 4);
  const ValueId scores = b.op("Softmax", {b.op("MatMul", {q, k})});
  b.output(b.op("MatMul", {scores, v}));
  Attention result{{}, b.producer(q), b.producer(k), b.producer(v)};
  result.model = std::move(b.model);
  return result;
}

void expect_projections_aligned(Attention a, Attention b) {
  const auto alignment = align_models(models_of(a, b));
  EXPECT_EQ(alignment.sets.size(), 6U);
  EXPECT_TRUE(together(alignment, a.q, b.q));
  EXPECT_TRUE(together(alignment, a.k, b.k));
  EXPECT_TRUE(together(alignment, a.v, b.v));
}

TEST(Align, ProjectionsAreToldApartByWhatReadsThem) {
  for (const bool reversed : {false, true})
    expect_projections_aligned(attention(1, 2, 3), attention(4, 5, 6, reversed));
}

TEST(Align, ProjectionsWithOneFineTuned) {
  for (const bool reversed : {false, true})
    expect_projections_aligned(attention(1, 2, 3), attention(1, 9, 3, reversed));
}

// Two branches of `length` layers that look alike, then Concat.
struct Branches {
  Model model;
  std::vector<NodeId> left, right;
};
Branches branches(int seed_left, int seed_right, int length, bool right_first) {
  GraphBuilder b;
  Branches result;
  const ValueId x = b.input(floats({-1, 4}));
  const auto branch = [&](int seed, std::vector<NodeId>& nodes) {
    ValueId y = x;
    for (int i = 0; i < length; ++i) {
      y = b.linear(y, seed + i, 4, 4);
      nodes.push_back(b.producer(y));
    }
    return y;
  };
  ValueId left{}, right{};
  if (right_first) right = branch(seed_right, result.right);
  left = branch(seed_left, result.left);
  if (!right_first) right = branch(seed_right, result.right);
  b.output(b.op("Concat", {left, right}, floats({-1, 8}), {{"axis", int64_t{1}, {}}}));
  result.model = std::move(b.model);
  return result;
}

TEST(Align, SymmetricBranchesAlignByWeightsWhateverTheFileOrder) {
  auto a = branches(100, 200, 7, false), b = branches(100, 200, 7, true);
  const auto alignment = align_models(models_of(a, b));
  EXPECT_EQ(alignment.sets.size(), 15U);
  for (size_t i = 0; i < 7; ++i) EXPECT_TRUE(together(alignment, a.left[i], b.left[i])) << i;
}

TEST(Align, SymmetricBranchesAlignByPositionBelowWithoutSharedWeights) {
  auto a = branches(100, 200, 7, false), b = branches(300, 400, 7, true);
  const auto alignment = align_models(models_of(a, b));
  EXPECT_EQ(alignment.sets.size(), 15U);
  for (size_t i = 0; i < 7; ++i) EXPECT_TRUE(together(alignment, a.left[i], b.left[i])) << i;
}

TEST(Align, OneSharedLayerDecidesForItsWholeBranch) {
  // Only the last layer of each branch is shared, and in the other model the branches are swapped in the
  // Concat.
  auto a = branches(100, 200, 3, false), b = branches(300, 400, 3, false);
  const auto last_weight = [](Branches& branch, std::vector<NodeId>& nodes) -> WeightPtr& {
    Graph& g = branch.model.graph;
    return g.value(g.node(nodes.back()).inputs[1]).weight;
  };
  last_weight(b, b.left) = last_weight(a, a.right);
  last_weight(b, b.right) = last_weight(a, a.left);
  const auto alignment = align_models(models_of(a, b));
  EXPECT_EQ(alignment.sets.size(), 7U);
  EXPECT_TRUE(together(alignment, a.right.back(), b.left.back()));
  EXPECT_TRUE(together(alignment, a.left.back(), b.right.back()));
}

TEST(Align, SwappedOutputsAlign) {
  const auto build = [](bool swapped) {
    GraphBuilder b;
    const ValueId x = b.linear(b.input(floats({-1, 4})), 1, 4, 4);
    const ValueId p = b.op("Softmax", {x}), q = b.op("Sigmoid", {x});
    b.output(swapped ? q : p);
    b.output(swapped ? p : q);
    return std::pair{std::move(b), std::pair{p, q}};
  };
  auto [a, pq] = build(false);
  auto [b, rs] = build(true);
  const NodeId a_p = a.producer(pq.first), b_p = b.producer(rs.first);
  const auto alignment = align_models(models_of(a, b));
  EXPECT_EQ(alignment.sets.size(), 3U);
  EXPECT_TRUE(together(alignment, a_p, b_p));
}

// Two towers of different operators; a longer stem shifts one of them against the other.
struct Towers {
  Model model;
  std::vector<NodeId> image, text;
};
Towers towers(int stem, int image_seed, int text_seed, int length) {
  GraphBuilder b;
  Towers result;
  ValueId x = b.input(floats({-1, 4})), t = b.input(floats({-1, 4}));
  for (int i = 0; i < stem; ++i) x = b.op("Neg", {x});
  for (int i = 0; i < length; ++i) {
    x = b.op("Relu", {b.linear(x, image_seed + i, 4, 4)});
    result.image.push_back(b.last);
    t = b.op("Tanh", {b.linear(t, text_seed + i, 4, 4)});
    result.text.push_back(b.last);
  }
  b.output(b.op("MatMul", {x, t}));
  result.model = std::move(b.model);
  return result;
}

TEST(Align, TowersOfWhichOneIsShiftedAlignBoth) {
  for (const int seed : {0, 1000}) {
    auto a = towers(0, 100, 200, 6), b = towers(3, 100 + seed, 200 + seed, 6);
    const auto alignment = align_models(models_of(a, b));
    for (size_t i = 0; i < 6; ++i) {
      EXPECT_TRUE(together(alignment, a.image[i], b.image[i])) << seed << " image " << i;
      EXPECT_TRUE(together(alignment, a.text[i], b.text[i])) << seed << " text " << i;
    }
    EXPECT_EQ(alignment.sets.size(), 25U + 3U);
  }
}

TEST(Align, BranchesThatAnotherModelChainsAllMeet) {
  // One model computes p and q side by side, the other q after p, or p after q: no order of the first alone
  // fits both.
  const auto build = [](int variant) {
    GraphBuilder b;
    std::vector<NodeId> nodes;
    const auto branch = [&](ValueId x, int seed) {
      for (int i = 0; i < 4; ++i) {
        x = b.linear(x, seed + i, 4, 4);
        nodes.push_back(b.producer(x));
      }
      return x;
    };
    const ValueId x = b.input(floats({-1, 4}));
    if (variant == 0) {
      const ValueId p = branch(x, 100);
      b.output(b.op("Add", {p, branch(x, 200)}));
    } else if (variant == 1) {
      b.output(branch(branch(x, 100), 200));
    } else {
      b.output(branch(branch(x, 200), 100));
      std::rotate(nodes.begin(), nodes.begin() + 4, nodes.end());
    }
    return std::pair{std::move(b), nodes};
  };
  for (const int chained : {1, 2}) {
    auto [a, a_nodes] = build(0);
    auto [b, b_nodes] = build(chained);
    const auto alignment = align_models(models_of(a, b));
    EXPECT_EQ(alignment.sets.size(), 9U);
    for (size_t i = 0; i < 8; ++i)
      EXPECT_TRUE(together(alignment, a_nodes[i], b_nodes[i])) << chained << ' ' << i;
  }
  // All three: what the second chains one way the third chains the other way, so they cannot all meet.
  auto [a, a_nodes] = build(0);
  auto [b, b_nodes] = build(1);
  auto [c, c_nodes] = build(2);
  const auto alignment = align_models(models_of(a, b, c));
  EXPECT_EQ(alignment.sets.size(), 13U);
}

TEST(Align, SharedInputsDecideWhichOfTwoInputsIsMeant) {
  // Two models with two inputs; the models list them in opposite order.
  std::vector<Model> models;
  std::vector<NodeId> nodes;
  SharedInput first{"first", {}}, second{"second", {}};
  for (uint32_t m = 0; m < 2; ++m) {
    GraphBuilder b;
    const ValueId p = b.input(floats({-1, 4})), q = b.input(floats({-1, 4}));
    const ValueId x = m == 0 ? p : q, y = m == 0 ? q : p;
    first.members.push_back({m, x});
    second.members.push_back({m, y});
    const ValueId u = b.op("Relu", {p}), v = b.op("Relu", {q});
    nodes.push_back(b.producer(m == 0 ? u : v));
    b.output(u);
    b.output(v);
    models.push_back(std::move(b.model));
  }
  const auto alignment = align_models(models, {first, second});
  EXPECT_EQ(alignment.sets.size(), 2U);
  EXPECT_TRUE(together(alignment, nodes[0], nodes[1]));
}

TEST(Align, DequantisedWeightsGoWithTheirReaders) {
  // All weights have equal dims, and the files list the dequantising nodes in opposite order.
  const auto build = [](int seed, bool backwards) {
    GraphBuilder b;
    const int layers = 6;
    std::vector<ValueId> weights(layers);
    for (int k = 0; k < layers; ++k) {
      const int i = backwards ? layers - 1 - k : k;
      weights[static_cast<size_t>(i)] =
          b.op("DequantizeLinear", {b.constant(seed + i, {4, 4}), b.constant(3, {})}, floats({4, 4}));
    }
    ValueId x = b.input(floats({-1, 4}));
    std::vector<NodeId> nodes;
    for (const ValueId w : weights) {
      x = b.op("MatMul", {x, w});
      nodes.push_back(b.producer(w));
    }
    b.output(x);
    return std::pair{std::move(b), nodes};
  };
  auto [a, a_nodes] = build(100, false);
  auto [b, b_nodes] = build(200, true);
  const auto alignment = align_models(models_of(a, b));
  EXPECT_EQ(alignment.sets.size(), 12U);
  for (size_t i = 0; i < a_nodes.size(); ++i) EXPECT_TRUE(together(alignment, a_nodes[i], b_nodes[i])) << i;
}

TEST(Align, ConstantBranchesWithOtherReadersAlignByTheWeightTheyShare) {
  // Two projections of a large constant, which differs; their small weights are shared, and listed in
  // opposite order.
  const auto build = [](int table, const char* reader, bool swapped) {
    GraphBuilder b;
    const ValueId x = b.input(floats({-1, 4}));
    const ValueId large = b.constant(table, {64, 4});
    std::vector<NodeId> nodes(4);
    for (const int i : swapped ? std::vector{1, 0} : std::vector{0, 1}) {
      const ValueId product = b.op("MatMul", {large, b.constant(500 + i, {4, 4})});
      const ValueId root = b.op("Sqrt", {product});
      nodes[static_cast<size_t>(2 * i)] = b.producer(product);
      nodes[static_cast<size_t>(2 * i + 1)] = b.producer(root);
      b.output(b.op(reader, {x, root}));
    }
    return std::pair{std::move(b), nodes};
  };
  auto [a, a_nodes] = build(1, "Mul", false);
  auto [b, b_nodes] = build(2, "Sub", true);
  const auto alignment = align_models(models_of(a, b));
  for (size_t i = 0; i < 4; ++i) EXPECT_TRUE(together(alignment, a_nodes[i], b_nodes[i])) << i;
}

TEST(Align, NodesWithBodiesCountCapturesAsOperands) {
  const auto build = [](const char* op, int seed) {
    GraphBuilder b;
    const ValueId x = b.op("Relu", {b.input(floats({-1, 4}))});
    auto body = std::make_shared<Graph>();
    const ValueId inner = body->add_capture(x, "x", floats({-1, 4}));
    Node n;
    n.op_type = op;
    n.inputs = {inner, body->add_constant("c", testing::weight(seed, {4}))};
    n.outputs = {body->add_value("y", floats({-1, 4}))};
    body->add_output(n.outputs.front());
    body->add_node(std::move(n));
    b.output(
        b.op("If", {b.input(Type::tensor(DType::kBool, {}))}, floats({-1, 4}), {{"then_branch", body, {}}}));
    return b;
  };
  auto a = build("Add", 1), b = build("Add", 2), c = build("Mul", 1);
  EXPECT_EQ(align_models(models_of(a, b)).sets.size(), 2U);
  auto d = build("Add", 1);
  EXPECT_EQ(align_models(models_of(d, c)).sets.size(), 3U);
}

TEST(Align, ManyModelsOfTwoArchitecturesMeetInTheirOwn) {
  std::vector<Model> models;
  for (int m = 0; m < 10; ++m) {
    auto one = m % 2 == 0 ? chain({1, 2, 3, 4}, 5 + m) : chain({1, 2, 7, 7, 7}, 5 + m);
    models.push_back(std::move(one.model));
  }
  const auto alignment = align_models(models);
  size_t members = 0;
  for (const AlignedSet& set : alignment.sets)
    for (const NodeId id : set.nodes) members += id != kNoNode ? 1 : 0;
  EXPECT_EQ(members, 5U * 10 + 5 * 12);
  EXPECT_LE(alignment.sets.size(), 14U);
  EXPECT_GE(full_sets(alignment), 6U);
}

}  // namespace
}  // namespace mts
