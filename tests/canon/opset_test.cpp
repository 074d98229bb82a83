// Models of old opsets, raised, give the same outputs; what cannot be raised says so.
#include "canon/opset.h"

#include "canon/adapters.h"
#include "onnx/schema.h"
#include "tests/canon/run_both.h"

#include <mts/canonicalise.h>

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mts::canon {
namespace {

struct Old {
  const char* name;
  int opset;
  const char* graph;
};

// One case an adapter, and a few operators whose schema changed without a change of meaning.
const Old kOld[] = {
    {"squeeze", 11, "g (float[N,1,3] x) => (float[N,3] y) { y = Squeeze <axes = [1]> (x) }"},
    {"squeeze_all", 11, "g (float[1,3,1] x) => (float[3] y) { y = Squeeze (x) }"},
    {"unsqueeze", 11, "g (float[N,3] x) => (float[N,1,3,1] y) { y = Unsqueeze <axes = [1, 3]> (x) }"},
    {"reduce_sum", 11,
     "g (float[N,3,2] x) => (float[N,2] y) { y = ReduceSum <axes = [1], keepdims = 0> (x) }"},
    {"reduce_mean", 13, "g (float[N,3,2] x) => (float[N,1,1] y) { y = ReduceMean <axes = [1, 2]> (x) }"},
    {"reduce_all", 13, "g (float[N,3,2] x) => (float[1,1,1] y) { y = ReduceMax (x) }"},
    {"reduce_l2", 11, "g (float[N,3] x) => (float[N,1] y) { y = ReduceL2 <axes = [-1]> (x) }"},
    {"softmax_middle", 11, "g (float[N,3,4] x) => (float[N,3,4] y) { y = Softmax <axis = 1> (x) }"},
    {"softmax_default", 9, "g (float[N,3,2] x) => (float[N,3,2] y) { y = Softmax (x) }"},
    {"softmax_last", 11, "g (float[N,3,4] x) => (float[N,3,4] y) { y = Softmax <axis = 2> (x) }"},
    {"softmax_ones", 11, "g (float[N,3,1,1] x) => (float[N,3,1,1] y) { y = Softmax <axis = 1> (x) }"},
    {"log_softmax", 11, "g (float[N,3,4] x) => (float[N,3,4] y) { y = LogSoftmax <axis = 0> (x) }"},
    {"hardmax", 11, "g (float[N,3,4] x) => (float[N,3,4] y) { y = Hardmax <axis = 1> (x) }"},
    {"dropout", 7, "g (float[N,3] x) => (float[N,3] y) { y = Dropout <ratio = 0.3> (x) }"},
    {"clip", 6 + 1, "g (float[N,3] x) => (float[N,3] y) { y = Clip <min = -0.5, max = 0.5> (x) }"},
    {"clip_one_bound", 10, "g (float[N,3] x) => (float[N,3] y) { y = Clip <min = 0.0> (x) }"},
    {"clip_no_bound", 10, "g (float[N,3] x) => (float[N,3] y) { y = Clip (x) }"},
    {"pad", 10, "g (float[N,3] x) => (float[N,6] y) { y = Pad <pads = [0, 1, 0, 2], value = 1.5> (x) }"},
    {"pad_reflect", 10,
     "g (float[N,3] x) => (float[N,5] y) { y = Pad <mode = \"reflect\", pads = [0, 1, 0, 1]> (x) }"},
    {"slice", 9,
     "g (float[N,5] x) => (float[N,2] y) { y = Slice <axes = [1], starts = [1], ends = [-2]> (x) }"},
    {"slice_no_axes", 9,
     "g (float[4,5] x) => (float[2,3] y) { y = Slice <starts = [1, 0], ends = [3, 3]> (x) }"},
    {"top_k", 9, "g (float[N,5] x) => (float[N,2] y, int64[N,2] i) { y, i = TopK <k = 2, axis = 1> (x) }"},
    {"split", 11,
     "g (float[N,5] x) => (float[N,2] y, float[N,3] z) { y, z = Split <axis = 1, split = [2, 3]> (x) }"},
    {"split_even", 13, "g (float[N,6] x) => (float[N,3] y, float[N,3] z) { y, z = Split <axis = 1> (x) }"},
    {"upsample", 7,
     "g (float[N,2,2,3] x) => (float[N,2,4,6] y) { y = Upsample <mode = \"nearest\", scales = [1.0, 1.0, "
     "2.0, 2.0]> (x) }"},
    {"upsample_linear", 9,
     "g (float[N,2,2,3] x) => (float[N,2,4,6] y) <float[4] s = {1, 1, 2, 2}> { y = Upsample <mode = "
     "\"linear\"> (x, s) }"},
    {"resize", 10,
     "g (float[N,2,2,3] x) => (float[N,2,5,6] y) <float[4] s = {1, 1, 2.5, 2}> { y = Resize <mode = "
     "\"nearest\"> (x, s) }"},
    {"resize_linear", 10,
     "g (float[N,2,4,4] x) => (float[N,2,2,2] y) <float[4] s = {1, 1, 0.5, 0.5}> { y = Resize <mode = "
     "\"linear\"> (x, s) }"},
    {"batch_normalization", 7,
     "g (float[N,2,3] x) => (float[N,2,3] y) <float[2] s = {1, 2}, float[2] b = {3, 4}, float[2] m = {5, 6}, "
     "float[2] v = {7, 8}>"
     " { y = BatchNormalization <spatial = 1> (x, s, b, m, v) }"},
    {"batch_normalization_13", 13,
     "g (float[N,2,3] x) => (float[N,2,3] y) <float[2] s = {1, 2}, float[2] b = {3, 4}, float[2] m = {5, 6}, "
     "float[2] v = {7, 8}>"
     " { y = BatchNormalization (x, s, b, m, v) }"},
    // More than one output meant training before version 14, whether the others are read or not.
    {"batch_normalization_training", 9,
     "g (float[N,2,3] x) => (float[N,2,3] y) <float[2] s = {1, 2}, float[2] b = {3, 4}, float[2] m = {5, 6}, "
     "float[2] v = {7, 8}>"
     " { y, mean, variance, saved_mean, saved_variance = BatchNormalization (x, s, b, m, v) }"},
    {"batch_normalization_running", 13,
     "g (float[N,2,3] x) => (float[N,2,3] y, float[2] mean, float[2] variance) <float[2] s = {1, 2}, "
     "float[2] b = {3, 4}, float[2] m = {5, 6}, float[2] v = {7, 8}>"
     " { y, mean, variance = BatchNormalization <momentum = 0.8> (x, s, b, m, v) }"},
    {"group_normalization", 18,
     "g (float[N,6,3] x) => (float[N,6,3] y) <float[2] s = {1, 2}, float[2] b = {3, 4}>"
     " { y = GroupNormalization <num_groups = 2> (x, s, b) }"},
    {"group_normalization_computed", 18,
     "g (float[N,6,3] x, float[2] s) => (float[N,6,3] y) <float[2] b = {3, 4}>"
     " { y = GroupNormalization <num_groups = 2> (x, s, b) }"},
    {"scatter", 10,
     "g (float[3,3] x, float[1,2] u) => (float[3,3] y) <int64[1,2] i = {1, 0}> { y = Scatter <axis = 1> (x, "
     "i, u) }"},
    {"average_pool", 7,
     "g (float[N,1,5,5] x) => (float[N,1,2,2] y) { y = AveragePool <kernel_shape = [2, 2], strides = [2, 2]> "
     "(x) }"},
    {"gemm_sum_max", 7,
     "g (float[N,3] x) => (float[N,2] y) <float[3,2] w = {1,2,3,4,5,6}, float[2] b = {0.5, 1}>"
     " { a = Gemm (x, w, b) c = Relu (a) y = Sum (a, c) }"},
    {"in_a_branch", 11,
     "g (float[N,1,3] x, bool c) => (float[N,3] y) { y = If (c) <then_branch = t () => (float[N,3] u) { u = "
     "Squeeze <axes = [1]> (x) },"
     " else_branch = e () => (float[N,3] v) { s = Softmax <axis = 1> (x) v = Squeeze <axes = [1]> (s) }> }"},
};

Model parse(const Old& old, int opset) {
  auto model = parse_text(
      "<ir_version: 4, opset_import: [\"\" : " + std::to_string(opset) + "]> " + old.graph, old.name);
  EXPECT_TRUE(model) << old.name << ": " << (model ? "" : model.error().to_string());
  return std::move(*model);
}

TEST(Opset, RaisedModelsComputeTheSame) {
  for (const Old& old : kOld) {
    for (const int64_t target : {13, 17, 18, 21, 25}) {
      if (target <= old.opset) continue;
      const std::string what = std::string(old.name) + " to " + std::to_string(target);
      const Model before = parse(old, old.opset);
      Model after = parse(old, old.opset);
      const auto raised = raise_opset(after, "", target);
      ASSERT_TRUE(raised) << what << ": " << raised.error().to_string();
      EXPECT_EQ(after.opset(), target);
      const auto verified = verify_ir(after);
      EXPECT_TRUE(verified) << what << ": " << verified.error().to_string();
      testing_canon::expect_same_results(before, after, what);
    }
  }
}

TEST(Opset, RaisedModelsCanBeCanonicalised) {
  for (const Old& old : kOld) {
    const Model before = parse(old, old.opset);
    std::vector<Model> models;
    models.push_back(parse(old, old.opset));
    const auto done = canonicalise(models);
    ASSERT_TRUE(done) << old.name << ": " << done.error().to_string();
    testing_canon::expect_same_results(before, models[0], old.name);
  }
}

TEST(Opset, RefusalsNameModelNodeAndVersions) {
  struct Refused {
    Old old;
    const char* reason;
  };
  const Refused refused[] = {
      {{"unspatial", 7,
        "g (float[N,2] x) => (float[N,2] y) <float[2] s = {1, 2}> { n1 = BatchNormalization <spatial = 0> "
        "(x, s, s, s, s) y = Relu (n1) }"},
       "spatial"},
      {{"mask", 10, "g (float[N,2] x) => (float[N,2] y, bool[N,2] m) { y, m = Dropout (x) }"}, "mask"},
      {{"scales", 10,
        "g (float[N,2] x, float[2] s) => (float[A,B] y) { y = Resize <mode = \"nearest\"> (x, s) }"},
       "scales"},
      {{"groups", 18,
        "g (float[N,C,3] x) => (float[N,C,3] y) <float[2] s = {1, 2}> { y = GroupNormalization <num_groups = "
        "2> (x, s, s) }"},
       "channels"},
  };
  for (const Refused& r : refused) {
    Model model = parse(r.old, r.old.opset);
    const auto result = raise_opset(model, "", 21);
    ASSERT_FALSE(result) << r.old.name;
    EXPECT_EQ(result.error().code, ErrorCode::kModel);
    const std::string text = result.error().to_string();
    EXPECT_THAT(text, testing::HasSubstr(r.old.name));
    EXPECT_THAT(text, testing::HasSubstr(r.reason));
    EXPECT_THAT(text, testing::HasSubstr(std::to_string(r.old.opset)));
    EXPECT_THAT(text, testing::HasSubstr("21"));
  }
}

TEST(Opset, AllModelsEndWithTheHighestAndAtLeastTheLowest) {
  const Old relu{"relu", 0, "g (float[N,2] x) => (float[N,2] y) { y = Relu (x) }"};
  std::vector<Model> models;
  models.push_back(parse(relu, 11));
  models.push_back(parse(relu, 17));
  ASSERT_TRUE(unify_opsets(models));
  EXPECT_EQ(models[0].opset(), 17);
  EXPECT_EQ(models[1].opset(), 17);
  EXPECT_EQ(models[0].ir_version, 8);
  std::vector<Model> old;
  old.push_back(parse(relu, 9));
  ASSERT_TRUE(unify_opsets(old));
  EXPECT_EQ(old[0].opset(), kLowestOpset);
}

TEST(Opset, ForeignDomainsMustAgree) {
  const auto model = [](int version) {
    return std::move(
        *parse_text("<ir_version: 8, opset_import: [\"\" : 17, \"my.domain\" : " + std::to_string(version) +
                        "]> g (float[N] x) => (float[N] y) { y = my.domain.Op (x) }",
                    "foreign" + std::to_string(version)));
  };
  std::vector<Model> same;
  same.push_back(model(1));
  same.push_back(model(1));
  EXPECT_TRUE(unify_opsets(same));
  std::vector<Model> different;
  different.push_back(model(1));
  different.push_back(model(2));
  const auto result = unify_opsets(different);
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().to_string(), testing::HasSubstr("my.domain"));
}

// Every change of a schema since opset 7 is either listed or refused on purpose.
TEST(Opset, EveryChangeOfASchemaIsDecided) {
  const std::map<std::string, int> refused_on_purpose = {{"Scan", 9}};
  for (const char* op : {"Abs",
                         "Add",
                         "ArgMax",
                         "ArgMin",
                         "Attention",
                         "AveragePool",
                         "BatchNormalization",
                         "BitShift",
                         "Cast",
                         "CastLike",
                         "Ceil",
                         "Celu",
                         "Clip",
                         "Compress",
                         "Concat",
                         "Constant",
                         "ConstantOfShape",
                         "Conv",
                         "ConvTranspose",
                         "CumSum",
                         "DepthToSpace",
                         "DequantizeLinear",
                         "DFT",
                         "Div",
                         "Dropout",
                         "Einsum",
                         "Elu",
                         "Equal",
                         "Erf",
                         "Exp",
                         "Expand",
                         "EyeLike",
                         "Flatten",
                         "Floor",
                         "GRU",
                         "Gather",
                         "GatherElements",
                         "GatherND",
                         "Gelu",
                         "Gemm",
                         "GlobalAveragePool",
                         "GlobalMaxPool",
                         "Greater",
                         "GreaterOrEqual",
                         "GridSample",
                         "GroupNormalization",
                         "HardSigmoid",
                         "HardSwish",
                         "Hardmax",
                         "Identity",
                         "If",
                         "InstanceNormalization",
                         "IsInf",
                         "IsNaN",
                         "LRN",
                         "LSTM",
                         "LayerNormalization",
                         "LeakyRelu",
                         "Less",
                         "LessOrEqual",
                         "Log",
                         "LogSoftmax",
                         "Loop",
                         "LpNormalization",
                         "LpPool",
                         "MatMul",
                         "MatMulInteger",
                         "Max",
                         "MaxPool",
                         "Mean",
                         "MeanVarianceNormalization",
                         "Min",
                         "Mish",
                         "Mod",
                         "Mul",
                         "Neg",
                         "NonMaxSuppression",
                         "NonZero",
                         "Not",
                         "OneHot",
                         "PRelu",
                         "Pad",
                         "Pow",
                         "QLinearConv",
                         "QLinearMatMul",
                         "QuantizeLinear",
                         "RNN",
                         "Range",
                         "Reciprocal",
                         "ReduceL1",
                         "ReduceL2",
                         "ReduceLogSum",
                         "ReduceLogSumExp",
                         "ReduceMax",
                         "ReduceMean",
                         "ReduceMin",
                         "ReduceProd",
                         "ReduceSum",
                         "ReduceSumSquare",
                         "Relu",
                         "Reshape",
                         "Resize",
                         "ReverseSequence",
                         "RoiAlign",
                         "Round",
                         "Scan",
                         "Scatter",
                         "ScatterElements",
                         "ScatterND",
                         "Selu",
                         "Shape",
                         "Sigmoid",
                         "Sign",
                         "Size",
                         "Slice",
                         "Softmax",
                         "Softplus",
                         "Softsign",
                         "SpaceToDepth",
                         "Split",
                         "Sqrt",
                         "Squeeze",
                         "Sub",
                         "Sum",
                         "Tanh",
                         "ThresholdedRelu",
                         "Tile",
                         "TopK",
                         "Transpose",
                         "Trilu",
                         "Unique",
                         "Unsqueeze",
                         "Upsample",
                         "Where"}) {
    for (int version = 8; version <= 28; ++version) {
      if (onnxio::since_version(op, "", version) != version ||
          onnxio::since_version(op, "", version - 1) == 0)
        continue;
      const auto refused = refused_on_purpose.find(op);
      const bool expected = refused == refused_on_purpose.end() || refused->second != version;
      EXPECT_EQ(change_of(op, "", version).known, expected) << op << " changed in version " << version;
    }
  }
}

}  // namespace
}  // namespace mts::canon
