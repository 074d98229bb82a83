// Fused steps against the reference evaluator, and the shape of the plans.
#include "tests/exec/net.h"

#include <functional>

#include <gtest/gtest.h>

namespace mts::exec {
namespace {

TEST(Fusion, ResidualBlockIsTwoSteps) {
  for (int64_t width : {1, 3, 4, 8, 12, 16, 24, 32, 64}) {
    for (int64_t batch : {1, 3}) {
      for (int64_t group : {int64_t{1}, width}) {
        Net net;
        const ValueId x = net.input({batch, width, 9, 10});
        const ValueId first = net.node("Relu", {net.conv(x, width, width, 3, group)});
        const ValueId sum = net.node("Add", {net.conv(first, width, width, 3, group), x});
        net.output(net.node("Relu", {sum}));
        EXPECT_EQ(net.work(), 2u);
        net.check("width " + std::to_string(width) + " batch " + std::to_string(batch) + " group " +
                  std::to_string(group));
      }
    }
  }
}

TEST(Fusion, PointwiseConvolutionTakesEpilogues) {
  for (int64_t width : {4, 8, 16, 20}) {
    Net net;
    const ValueId x = net.input({2, width, 6, 6});
    const ValueId y = net.conv(net.conv(x, width, 4 * width, 1), 4 * width, width, 1);
    net.output(net.node("Relu", {net.node("Add", {x, y})}));
    EXPECT_EQ(net.work(), 2u);
    net.check("width " + std::to_string(width));
  }
}

TEST(Fusion, ConvolutionDownToOnePixel) {
  for (int64_t width : {4, 8, 32}) {
    Net net;
    const ValueId x = net.conv(net.input({2, 3, 2, 2}), 3, width);
    const ValueId y =
        net.node("Conv", {x, net.weight({width, width, 3, 3})},
                 {{"strides", std::vector<int64_t>{2, 2}}, {"pads", std::vector<int64_t>{1, 1, 1, 1}}});
    const ValueId z = net.node("Add", {net.conv(y, width, width), y});
    net.output(net.node("Flatten", {net.node("GlobalAveragePool", {z})}));
    net.check("width " + std::to_string(width));
  }
}

TEST(Fusion, EveryActivationOfAConvolution) {
  for (const char* op : {"Relu", "Sigmoid", "Tanh", "Elu", "LeakyRelu", "HardSigmoid", "HardSwish", "Abs"}) {
    for (int64_t width : {4, 16}) {
      Net net;
      net.output(net.node(op, {net.conv(net.input({1, width, 8, 8}), width, width)}));
      EXPECT_EQ(net.work(), 1u) << op;
      net.check(op);
    }
  }
}

TEST(Fusion, BatchNormalizationJoinsItsConvolution) {
  for (int64_t width : {4, 16}) {
    Net net;
    const ValueId y = net.conv(net.input({2, width, 8, 8}), width, width);
    const std::vector<double> ones(static_cast<size_t>(width), 1.5);
    net.output(
        net.node("Relu", {net.node("BatchNormalization", {y, net.weight({width}), net.weight({width}),
                                                          net.weight({width}), net.weight({width}, ones)})}));
    EXPECT_EQ(net.work(), 1u);
    net.check("width " + std::to_string(width));
  }
}

// QuantizeLinear and DequantizeLinear. Scales are powers of two: quotients and products by them are exact.
ValueId round_trip(Net& net, ValueId x, float scale, uint8_t zero, float scale_back = 0.f) {
  const ValueId z = net.model.graph.add_constant(
      "", Weight::from_bytes(DType::kUint8, {}, own_bytes(std::string(1, static_cast<char>(zero)))));
  const auto constant = [&](float value) { return net.weight({}, {value}); };
  const ValueId q = net.node("QuantizeLinear", {x, constant(scale), z});
  return net.node("DequantizeLinear", {q, constant(scale_back == 0.f ? scale : scale_back), z});
}

// Weights are multiples of 1/8 and inputs of 1/16, so that sums are exact in any order and ties are the same.
TEST(Fusion, QuantisedResidualBlockIsTwoSteps) {
  for (int64_t width : {3, 8, 16, 24}) {
    Net net;
    const auto eighths = [&](Dims dims) {
      std::vector<double> values;
      for (int64_t i = 0; i < element_count(dims); ++i)
        values.push_back(static_cast<double>(i * 7 % 17 - 8) / 8);
      return net.weight(dims, values);
    };
    const auto conv = [&](ValueId from) {
      return net.node("Conv", {from, eighths({width, width, 3, 3}), eighths({width})},
                      {{"pads", std::vector<int64_t>{1, 1, 1, 1}}});
    };
    const ValueId x = round_trip(net, net.input({2, width, 7, 9}), 0.0625f, 128);
    const ValueId first = round_trip(net, net.node("Relu", {conv(x)}), 0.0625f, 0);
    const ValueId second = round_trip(net, conv(first), 0.125f, 131);
    net.output(round_trip(net, net.node("Relu", {net.node("Add", {second, x})}), 0.0625f, 3));
    EXPECT_EQ(net.work(), 3u) << to_string(net.plan());  // the input's own, and the two
    net.check("width " + std::to_string(width));
  }
}

TEST(Fusion, RoundTripsOfQuantisation) {
  for (float scale : {0.015625f, 0.0078125f}) {
    for (uint8_t zero : {uint8_t{0}, uint8_t{100}, uint8_t{255}}) {
      Net net;
      net.output(round_trip(net, net.input({3, 50}), scale, zero));
      EXPECT_EQ(net.work(), 1u);
      net.check("zero point " + std::to_string(zero));
    }
  }
  Net other;  // not a round trip
  other.output(round_trip(other, other.input({3, 50}), 0.0625f, 7, 0.125f));
  EXPECT_EQ(other.work(), 2u);
  other.check("two scales");
  Net read;  // what lies between is read elsewhere
  const ValueId y = round_trip(read, read.input({3, 50}), 0.0625f, 7);
  read.output(y);
  read.output(read.model.graph.node(read.model.graph.value(y).producer).inputs[0]);
  EXPECT_EQ(read.work(), 2u);
  read.check("read elsewhere");
}

TEST(Fusion, DecomposedActivationsAreRecognised) {
  for (const char* form : {"gelu", "silu", "hard_swish"}) {
    Net net;
    const ValueId x = net.node("MatMul", {net.input({5, 8}), net.weight({8, 16})});
    const auto constant = [&](double v) { return net.weight({}, {v}); };
    if (std::string(form) == "gelu") {
      const ValueId e =
          net.node("Add", {net.node("Erf", {net.node("Div", {x, constant(1.41421356)})}), constant(1)});
      net.output(net.node("Mul", {net.node("Mul", {x, e}), constant(0.5)}));
    } else if (std::string(form) == "silu") {
      net.output(net.node("Mul", {x, net.node("Sigmoid", {x})}));
    } else {
      const ValueId c = net.node("Clip", {net.node("Add", {x, constant(3)}), constant(0), constant(6)});
      net.output(net.node("Div", {net.node("Mul", {x, c}), constant(6)}));
    }
    const ExecPlan plan = net.plan();
    ASSERT_EQ(plan.steps.size(), 1u) << to_string(plan);
    EXPECT_EQ(plan.steps[0].program.code.size(), 1u) << to_string(plan);
    net.check(form);
  }
}

TEST(Fusion, NothingIsRecognisedWhenTheClusterIsReadElsewhere) {
  Net net;
  const ValueId x = net.input({5, 8});
  const ValueId s = net.node("Sigmoid", {x});
  net.output(net.node("Mul", {x, s}));
  net.output(s);
  EXPECT_EQ(net.work(), 2u);
  net.check("silu with its sigmoid as an output");
}

TEST(Fusion, AnIntermediateThatIsAnOutputStays) {
  Net net;
  const ValueId y = net.conv(net.input({1, 4, 5, 5}), 4, 4);
  net.output(y);
  net.output(net.node("Relu", {y}));
  EXPECT_EQ(net.work(), 2u);
  net.check("convolution read twice");
}

TEST(Fusion, MatMulTakesBiasResidualAndActivation) {
  Net net;
  const ValueId x = net.input({2, 6, 32});
  const ValueId y = net.node("Add", {net.node("MatMul", {x, net.weight({32, 32})}), net.weight({32})});
  net.output(net.node("Tanh", {net.node("Add", {y, x})}));
  EXPECT_EQ(net.work(), 1u);
  net.check("linear with residual");
}

TEST(Fusion, MatMulAModelWithItsOwnBias) {
  // [M,B,K] x [M,K,N] + [M,1,N]: distinct linears of M models.
  for (int64_t models : {1, 2, 5}) {
    Net net;
    const ValueId y = net.node("MatMul", {net.input({models, 3, 16}), net.weight({models, 16, 24})});
    net.output(net.node("Relu", {net.node("Add", {y, net.weight({models, 1, 24})})}));
    EXPECT_EQ(net.work(), 1u);
    net.check(std::to_string(models) + " models");
  }
}

TEST(Fusion, StackedLinearsWithBatchesAndBiases) {
  Net net;
  const ValueId y = net.node("MatMul", {net.input({4, 2, 3, 16}), net.weight({4, 1, 16, 8})});
  net.output(net.node("Tanh", {net.node("Add", {y, net.weight({4, 1, 1, 8})})}));
  net.output(net.node("Add", {net.node("MatMul", {net.input({4, 2, 3, 16}), net.weight({4, 1, 16, 8})}),
                              net.weight({4, 2, 1, 8})}));
  EXPECT_EQ(net.work(), 3u) << to_string(net.plan());
  net.check("stacked linears");
}

TEST(Fusion, ActivationsPassReshapes) {
  Net net;
  const ValueId y = net.node("Gemm", {net.input({6, 8}), net.weight({8, 16}), net.weight({16})});
  const ValueId z = net.node("Add", {net.node("Reshape", {y, net.shape({2, 3, 16})}), net.weight({16})});
  net.output(net.node("Relu", {z}));
  EXPECT_EQ(net.work(), 1u) << to_string(net.plan());
  net.check("activation behind a reshape");
}

TEST(Fusion, WhatDependsOnTheShapeStaysBehindTheReshape) {
  Net net;
  const ValueId y = net.node("Gemm", {net.input({6, 8}), net.weight({8, 16}), net.weight({16})});
  net.output(net.node("Add", {net.node("Reshape", {y, net.shape({2, 3, 16})}), net.weight({3, 1})}));
  net.output(net.node("Mul", {net.node("Reshape", {net.node("Relu", {net.input({4, 6})}), net.shape({8, 3})}),
                              net.weight({3})}));
  net.check("broadcast behind a reshape");
}

TEST(Fusion, ElementwiseChainIsOnePass) {
  Net net;
  const ValueId x = net.input({4, 8, 20}), y = net.input({8, 1});
  ValueId z = net.node("Sub", {x, y});
  z = net.node("Mul", {z, z});
  z = net.node("Add", {net.node("Sqrt", {z}), net.node("Exp", {y})});
  net.output(net.node("Div", {x, z}));
  EXPECT_LE(net.work(), 2u);
  net.check("chain");
}

TEST(Fusion, SplitAndConcatAtTheBordersAreViews) {
  Net net;
  const ValueId a = net.conv(net.input({1, 4, 8, 8}), 4, 8), b = net.conv(net.input({2, 4, 8, 8}), 4, 8);
  const ValueId trunk = net.conv(net.node("Concat", {a, b}, {{"axis", int64_t{0}}}), 8, 8);
  for (ValueId part : net.nodes("Split", {trunk, net.shape({1, 2})}, 2, {{"axis", int64_t{0}}}))
    net.output(part);
  EXPECT_EQ(net.work(), 3u) << to_string(net.plan());
  net.check("ragged batch");
}

TEST(Fusion, PartsThatNobodyReads) {
  for (int64_t axis : {0, 1}) {
    Net net;
    const ValueId x = net.node("Relu", {net.input({6, 6})});
    Node split;
    split.op_type = "Split";
    split.name = "split";
    split.set("axis", axis);
    const ValueId last = net.model.graph.add_value("last", Type{});
    split.inputs = {x, net.shape({1, 2, 3})};
    split.outputs = {kNoValue, kNoValue, last};
    net.model.graph.add_node(std::move(split));
    net.output(net.node("Concat", {last, last}, {{"axis", axis}}));
    net.check("axis " + std::to_string(axis));
  }
}

TEST(Fusion, ConcatCopiesWhatItCannotPlace) {
  // The same value twice, an input, and a value that is read elsewhere too.
  Net net;
  const ValueId x = net.input({1, 3, 4}), y = net.node("Relu", {x});
  net.output(net.node("Concat", {y, x, y}, {{"axis", int64_t{0}}}));
  net.output(net.node("Neg", {y}));
  net.check("concat");
}

TEST(Fusion, OutputsThatShareMemory) {
  // A value, its reshape, an input passed through and a constant.
  Net net;
  const ValueId x = net.input({2, 6}), y = net.node("Relu", {x});
  net.output(y);
  net.output(net.node("Reshape", {y, net.shape({3, 4})}));
  net.output(net.node("Identity", {x}));
  net.output(net.node("Identity", {net.weight({3})}));
  net.check("outputs");
}

// Batch-major: images of a model lie apart. With one image a model both orders are the same, and nothing
// moves.
TEST(Fusion, ModelsMoveBetweenBatchAndChannelsInOneCopy) {
  for (int64_t batch : {1, 2}) {
    for (int64_t models : {1, 3}) {
      Net net;
      // Grouped convolution (distinct), then shared weights over the batch, then grouped again.
      ValueId x = net.conv(net.input({batch, models * 4, 6, 5}), models * 4, models * 4, 3, models);
      x = net.conv(net.node("Reshape", {x, net.shape({-1, 4, 6, 5})}), 4, 8);
      x = net.conv(net.node("Reshape", {x, net.shape({-1, models * 8, 6, 5})}), models * 8, models * 4, 3,
                   models);
      net.output(x);
      size_t copies = 0;
      const ExecPlan plan = net.plan();
      for (const Step& step : plan.steps) copies += step.kind == StepKind::kReorder ? 1 : 0;
      EXPECT_EQ(copies, models == 1 || batch == 1 ? 2u : 4u) << to_string(plan);  // in, twice between, out
      net.check("batch " + std::to_string(batch) + " models " + std::to_string(models));
    }
  }
}

TEST(Fusion, ChannelsLastMeetsEverything) {
  // A convolution's value read by a reduction, a softmax, a broadcast, a concat over channels and a reshape.
  Net net;
  const ValueId y = net.conv(net.input({2, 3, 6, 5}), 3, 7);
  net.output(net.node("ReduceMean", {y, net.shape({2, 3})}));
  net.output(net.node("Softmax", {y}, {{"axis", int64_t{-1}}}));
  const ValueId gate = net.node("Sigmoid", {net.node("GlobalAveragePool", {y})});
  net.output(net.node("Mul", {y, gate}));
  net.output(net.node("Concat", {y, y}, {{"axis", int64_t{1}}}));
  net.output(net.node("Reshape", {y, net.shape({2, -1})}));
  net.output(net.node("Add", {y, net.weight({2, 7, 6, 5})}));
  net.output(net.node("Add", {y, net.weight({6, 5})}));
  const ValueId larger =
      net.node("Resize", {y, kNoValue, net.weight({4}, {1, 1, 2, 2})}, {{"mode", std::string("linear")}});
  net.output(net.conv(larger, 7, 4));
  net.check("layouts");
}

TEST(Plan, IsPrintedStepByStep) {
  Net net;
  const ValueId y = net.conv(net.input({1, 3, 8, 8}), 3, 4);
  const ValueId z = net.node("Relu", {net.node("Add", {net.conv(y, 4, 4), y})});
  net.output(net.node("Flatten", {net.node("GlobalAveragePool", {z})}));
  EXPECT_EQ(to_string(net.plan()), R"(   0 reorder Reorder
       in:  x0:float32[1,3,8,8] input0
       out: x0:float32[1,3,8,8] channels-last @1024
   1 kernel  Conv
       in:  x0:float32[1,3,8,8] channels-last @1024, w1:float32[4,3,3,3] constant0, w2:float32[4] constant1
       out: v4:float32[1,4,8,8] channels-last @0
   2 kernel  Conv {add(r0,r1) relu(r2)}
       in:  v4:float32[1,4,8,8] channels-last @0, w5:float32[4,4,3,3] constant2, w6:float32[4] constant3, v4:float32[1,4,8,8] channels-last @0
       out: v12:float32[1,4,8,8] channels-last @1024
   3 kernel  GlobalAveragePool
       in:  v12:float32[1,4,8,8] channels-last @1024
       out: v14:float32[1,4,1,1] output0
   4 view    Flatten
       in:  v14:float32[1,4,1,1] output0
       out: v16:float32[1,4] output0
arena 2048 B, outputs 16 B
)");
}

}  // namespace
}  // namespace mts::exec
