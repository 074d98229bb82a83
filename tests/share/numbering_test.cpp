#include "tests/share/graph_builder.h"

#include <mts/share.h>

#include <functional>
#include <limits>
#include <memory>

#include <gtest/gtest.h>

namespace mts {
namespace {

using testing::floats;
using testing::GraphBuilder;
using testing::weight;

using Build = std::function<ValueId(GraphBuilder&, ValueId x)>;

// Two models of one input each, which is shared; tells whether the values that `a` and `b` return are equal.
bool equal(const Build& a, const Build& b, const NumberingOptions& options = {}) {
  std::vector<Model> models;
  SharedInput shared{"x", {}};
  std::vector<ValueId> results;
  for (const Build* build : {&a, &b}) {
    GraphBuilder builder;
    const ValueId x = builder.input(floats({-1, 4}));
    results.push_back((*build)(builder, x));
    builder.output(results.back());
    shared.members.push_back({static_cast<uint32_t>(models.size()), x});
    models.push_back(std::move(builder.model));
  }
  const Numbering numbering = number_values(models, classify_weights(models), {shared}, options);
  for (const auto& of : numbering.of)
    for (const uint32_t number : of)
      EXPECT_TRUE(number == Numbering::kNone || number < numbering.first.size());
  for (uint32_t number = 0; number < numbering.first.size(); ++number) {
    const ValueRef first = numbering.first[number];
    EXPECT_EQ(numbering.of[first.model][index(first.value)], number);
  }
  return numbering.of[0][index(results[0])] == numbering.of[1][index(results[1])];
}

Build node(std::string op, std::vector<Attribute> attributes = {}, std::string domain = "",
           size_t outputs = 1) {
  return [=](GraphBuilder& b, ValueId x) {
    return b.op(op, {x}, floats({-1, 4}), attributes, outputs, domain);
  };
}

TEST(Numbering, SameOperatorsOnASharedInputAreEqual) {
  EXPECT_TRUE(equal(node("Relu"), node("Relu")));
  EXPECT_FALSE(equal(node("Relu"), node("Sigmoid")));
  EXPECT_FALSE(equal(node("Split", {}, "", 2), node("Split", {}, "", 3)));
  EXPECT_FALSE(equal(node("Relu"), node("Relu", {}, "ai.onnx.ml")));
}

TEST(Numbering, InputsThatAreNotSharedDiffer) {
  std::vector<Model> models;
  for (int m = 0; m < 2; ++m) {
    GraphBuilder b;
    b.output(b.op("Relu", {b.input(floats({2}))}));
    models.push_back(std::move(b.model));
  }
  const Numbering numbering = number_values(models, classify_weights(models), {});
  EXPECT_EQ(numbering.first.size(), 4U);
}

TEST(Numbering, OrderOfAttributesIsIrrelevantTheirValuesAreNot) {
  const Attribute axis{"axis", int64_t{1}, {}}, alpha{"alpha", 0.5F, {}};
  EXPECT_TRUE(equal(node("Op", {axis, alpha}), node("Op", {alpha, axis})));
  EXPECT_FALSE(equal(node("Op", {axis}), node("Op", {axis, alpha})));
  EXPECT_FALSE(equal(node("Op", {{"a", int64_t{1}, {}}}), node("Op", {{"a", int64_t{2}, {}}})));
  EXPECT_FALSE(equal(node("Op", {{"a", int64_t{1}, {}}}), node("Op", {{"a", 1.0F, {}}})));
  EXPECT_FALSE(equal(node("Op", {{"a", std::string("1"), {}}}), node("Op", {{"b", std::string("1"), {}}})));
}

TEST(Numbering, ListsAreNotConfusedWithEachOther) {
  const auto ints = [](std::vector<int64_t> v) { return Attribute{"a", std::move(v), {}}; };
  const auto strings = [](std::vector<std::string> v) { return Attribute{"a", std::move(v), {}}; };
  EXPECT_TRUE(equal(node("Op", {ints({1, -1})}), node("Op", {ints({1, -1})})));
  EXPECT_FALSE(equal(node("Op", {ints({1, 2})}), node("Op", {ints({12})})));
  EXPECT_FALSE(equal(node("Op", {ints({300})}), node("Op", {ints({44, 2})})));
  EXPECT_FALSE(equal(node("Op", {strings({"ab", "c"})}), node("Op", {strings({"a", "bc"})})));
  EXPECT_FALSE(equal(node("Op", {ints({})}), node("Op", {strings({})})));
  EXPECT_FALSE(equal(node("Op", {ints({})}), node("Op")));
}

TEST(Numbering, FloatsAreComparedBitwise) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(equal(node("Op", {{"a", nan, {}}}), node("Op", {{"a", nan, {}}})));
  EXPECT_FALSE(equal(node("Op", {{"a", 0.0F, {}}}), node("Op", {{"a", -0.0F, {}}})));
  EXPECT_FALSE(equal(node("Op", {{"a", std::vector<float>{0.0F}, {}}}),
                     node("Op", {{"a", std::vector<float>{-0.0F}, {}}})));
}

TEST(Numbering, TensorAttributesAreComparedByContentAndDims) {
  const auto value = [](int seed, Dims dims) {
    return Attribute{"value", weight(seed, std::move(dims)), {}};
  };
  EXPECT_TRUE(equal(node("Op", {value(1, {4})}), node("Op", {value(1, {4})})));
  EXPECT_FALSE(equal(node("Op", {value(1, {4})}), node("Op", {value(2, {4})})));
  EXPECT_FALSE(equal(node("Op", {value(1, {4})}), node("Op", {value(1, {2, 2})})));
}

TEST(Numbering, ConstantsAreComparedByContentAndDims) {
  const auto add = [](int seed, Dims dims) {
    return [=](GraphBuilder& b, ValueId x) { return b.op("Add", {x, b.constant(seed, dims)}); };
  };
  EXPECT_TRUE(equal(add(1, {4}), add(1, {4})));
  EXPECT_FALSE(equal(add(1, {4}), add(2, {4})));
  EXPECT_FALSE(equal(add(1, {4}), add(1, {1, 4})));
}

TEST(Numbering, OperandsCountByPositionAndPresence) {
  const auto clip = [](bool low) {
    return [=](GraphBuilder& b, ValueId x) {
      const ValueId bound = b.constant(1, {});
      return b.op("Clip", low ? std::vector<ValueId>{x, bound} : std::vector<ValueId>{x, kNoValue, bound});
    };
  };
  EXPECT_TRUE(equal(clip(true), clip(true)));
  EXPECT_FALSE(equal(clip(true), clip(false)));
  const auto sub = [](bool swapped) {
    return [=](GraphBuilder& b, ValueId x) {
      const ValueId y = b.op("Relu", {x});
      return swapped ? b.op("Sub", {y, x}) : b.op("Sub", {x, y});
    };
  };
  EXPECT_TRUE(equal(sub(true), sub(true)));
  EXPECT_FALSE(equal(sub(true), sub(false)));
  // Trailing absent operands are the same as none.
  EXPECT_TRUE(equal(
      [](GraphBuilder& b, ValueId x) {
        return b.op("Clip", {x, kNoValue, kNoValue});
      },
      node("Clip")));
}

TEST(Numbering, OutputsOfOneNodeDiffer) {
  GraphBuilder b;
  const ValueId x = b.input(floats({4}));
  b.output(b.op("Split", {x}, floats({2}), {}, 2));
  std::vector<Model> models;
  models.push_back(std::move(b.model));
  const Numbering numbering = number_values(models, classify_weights(models), {});
  EXPECT_NE(numbering.of[0][index(x) + 1], numbering.of[0][index(x) + 2]);
}

TEST(Numbering, RandomTrainingAndUnknownOperatorsNeverMerge) {
  for (const char* op : {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike",
                         "Multinomial", "Bernoulli"}) {
    EXPECT_FALSE(equal(node(op), node(op))) << op;
    EXPECT_FALSE(equal(node(op, {{"seed", 1.0F, {}}}), node(op, {{"seed", 1.0F, {}}}))) << op;
  }
  EXPECT_FALSE(equal(node("Relu", {}, "my.domain"), node("Relu", {}, "my.domain")));
  EXPECT_TRUE(equal(node("Scaler", {}, "ai.onnx.ml"), node("Scaler", {}, "ai.onnx.ml")));
  EXPECT_TRUE(equal(node("FastGelu", {}, "com.microsoft"), node("FastGelu", {}, "com.microsoft")));
  EXPECT_FALSE(equal(node("BiasDropout", {}, "com.microsoft"), node("BiasDropout", {}, "com.microsoft")));
  const Attribute training{"training_mode", int64_t{1}, {}}, inference{"training_mode", int64_t{0}, {}};
  EXPECT_FALSE(equal(node("BatchNormalization", {training}), node("BatchNormalization", {training})));
  EXPECT_TRUE(equal(node("BatchNormalization", {inference}), node("BatchNormalization", {inference})));
  EXPECT_FALSE(equal(node("BatchNormalization", {}, "", 5), node("BatchNormalization", {}, "", 5)));
}

TEST(Numbering, DropoutMergesOnlyWhenItIsInference) {
  const auto dropout = [](int mode) {  // 2: at run time
    return [=](GraphBuilder& b, ValueId x) {
      const std::string byte(1, static_cast<char>(mode));
      const ValueId training = mode == 2 ? b.op("Cast", {x}, Type::tensor(DType::kBool, {}))
                                         : b.constant(Weight::from_bytes(DType::kBool, {}, own_bytes(byte)));
      return b.op("Dropout", {x, kNoValue, training});
    };
  };
  EXPECT_TRUE(equal(dropout(0), dropout(0)));
  EXPECT_FALSE(equal(dropout(1), dropout(1)));
  EXPECT_FALSE(equal(dropout(2), dropout(2)));
  EXPECT_TRUE(equal(node("Dropout"), node("Dropout")));
  EXPECT_FALSE(
      equal(node("Dropout", {{"is_test", int64_t{0}, {}}}), node("Dropout", {{"is_test", int64_t{0}, {}}})));
}

// If(x) with a then-branch that captures x: op(capture) + constant.
struct BranchOptions {
  const char* op = "Relu";
  int constant = 1;
  bool renamed = false;
  bool reordered = false;
  bool dead_code = false;
};
Build branch(const BranchOptions& options) {
  return [=](GraphBuilder& b, ValueId x) {
    auto body = std::make_shared<Graph>();
    const std::string prefix = options.renamed ? "other" : "name";
    const ValueId capture = body->add_capture(x, prefix + "x", floats({-1, 4}));
    const ValueId constant = body->add_constant(prefix + "c", weight(options.constant, {4}));
    const auto add = [&](std::string op, std::vector<ValueId> inputs) {
      const ValueId out = body->add_value(prefix + std::to_string(body->value_count()), floats({-1, 4}));
      Node n;
      n.op_type = std::move(op);
      n.inputs = std::move(inputs);
      n.outputs = {out};
      body->add_node(std::move(n));
      return out;
    };
    if (options.dead_code) add("Sqrt", {capture});
    ValueId left{}, right{};
    if (options.reordered) right = add("Neg", {constant});
    left = add(options.op, {capture});
    if (!options.reordered) right = add("Neg", {constant});
    body->add_output(add("Add", {left, right}));
    return b.op("If", {x}, floats({-1, 4}), {{"then_branch", body, {}}});
  };
}

TEST(Numbering, BodiesAreComparedStructurally) {
  EXPECT_TRUE(equal(branch({}), branch({})));
  EXPECT_TRUE(equal(branch({}), branch({.renamed = true})));
  EXPECT_TRUE(equal(branch({}), branch({.reordered = true})));
  EXPECT_TRUE(equal(branch({}), branch({.dead_code = true})));
  EXPECT_FALSE(equal(branch({}), branch({.op = "Sigmoid"})));
  EXPECT_FALSE(equal(branch({}), branch({.constant = 2})));
  EXPECT_FALSE(equal(branch({.op = "RandomNormalLike"}), branch({.op = "RandomNormalLike"})));
}

TEST(Numbering, CapturesCountByTheirNumber) {
  const auto outer = [](const char* op) {
    return [=](GraphBuilder& b, ValueId x) { return branch({})(b, b.op(op, {x})); };
  };
  EXPECT_TRUE(equal(outer("Exp"), outer("Exp")));
  EXPECT_FALSE(equal(outer("Exp"), outer("Log")));
}

TEST(Numbering, ABodyConstantEqualsACapturedOne) {
  const auto capturing = [](GraphBuilder& b, ValueId x) {
    auto body = std::make_shared<Graph>();
    body->add_output(body->add_capture(b.constant(7, {4}), "c", floats({4})));
    return b.op("If", {x}, floats({4}), {{"then_branch", body, {}}});
  };
  const auto holding = [](GraphBuilder& b, ValueId x) {
    auto body = std::make_shared<Graph>();
    body->add_output(body->add_constant("c", weight(7, {4})));
    return b.op("If", {x}, floats({4}), {{"then_branch", body, {}}});
  };
  EXPECT_TRUE(equal(capturing, holding));
}

TEST(Numbering, BodyInputsCountByPositionAndLevel) {
  // Loop-like: body(i, y) = op(y) or op(i); nested: an inner body that reads the outer body's or its own
  // input.
  const auto loop = [](size_t read) {
    return [=](GraphBuilder& b, ValueId x) {
      auto body = std::make_shared<Graph>();
      body->add_input("i", floats({4}));
      body->add_input("y", floats({4}));
      body->add_output(body->inputs()[read]);
      return b.op("Scan", {x}, floats({4}), {{"body", body, {}}});
    };
  };
  EXPECT_TRUE(equal(loop(0), loop(0)));
  EXPECT_FALSE(equal(loop(0), loop(1)));
  const auto nested = [](bool own) {
    return [=](GraphBuilder& b, ValueId x) {
      auto body = std::make_shared<Graph>();
      const ValueId y = body->add_input("y", floats({4}));
      auto inner = std::make_shared<Graph>();
      const ValueId z = inner->add_input("z", floats({4}));
      inner->add_output(own ? z : inner->add_capture(y, "c", floats({4})));
      Node n;
      n.op_type = "Scan";
      n.inputs = {y};
      n.outputs = {body->add_value("o", floats({4}))};
      n.attributes = {{"body", inner, {}}};
      body->add_output(n.outputs.front());
      body->add_node(std::move(n));
      return b.op("Scan", {x}, floats({4}), {{"body", body, {}}});
    };
  };
  EXPECT_TRUE(equal(nested(true), nested(true)));
  EXPECT_FALSE(equal(nested(true), nested(false)));
}

TEST(Numbering, OptionsKeepNodesOrConstantsApart) {
  EXPECT_FALSE(equal(node("Relu"), node("Relu"), {.merge_nodes = false, .merge_constants = true}));
  const auto echo = [](GraphBuilder& b, ValueId) { return b.constant(1, {4}); };
  EXPECT_TRUE(equal(echo, echo, {.merge_nodes = false, .merge_constants = true}));
  EXPECT_FALSE(equal(echo, echo, {.merge_nodes = false, .merge_constants = false}));
  const auto input = [](GraphBuilder&, ValueId x) { return x; };
  EXPECT_TRUE(equal(input, input, {.merge_nodes = false, .merge_constants = false}));
}

TEST(Numbering, DifferentOpsetsAreDifferentOperators) {
  std::vector<Model> models;
  SharedInput shared{"x", {}};
  for (int m = 0; m < 2; ++m) {
    GraphBuilder b;
    b.model.opsets[""] = m == 0 ? 11 : 13;
    const ValueId x = b.input(floats({2, 3}));
    shared.members.push_back({static_cast<uint32_t>(m), x});
    b.output(b.op("Softmax", {x}));
    models.push_back(std::move(b.model));
  }
  const Numbering numbering = number_values(models, classify_weights(models), {shared});
  EXPECT_EQ(numbering.first.size(), 3U);
}

}  // namespace
}  // namespace mts
