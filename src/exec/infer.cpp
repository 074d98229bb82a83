// Shape functions (see bind.h): the table, one line an operator.
#include "exec/bind.h"
#include "exec/infer_families.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace mts::exec {
namespace {

using namespace infer;  // NOLINT: the table below names nothing else

struct Entry {
  std::string_view op;
  Infer infer;
};
constexpr Entry kTable[] = {
    {"Abs", same},
    {"Acos", same},
    {"Acosh", same},
    {"Asin", same},
    {"Asinh", same},
    {"Atan", same},
    {"Atanh", same},
    {"BatchNormalization", same},
    {"BitwiseNot", same},
    {"Ceil", same},
    {"Celu", same},
    {"Clip", same},
    {"Cos", same},
    {"Cosh", same},
    {"CumSum", same},
    {"Dropout", same},
    {"Elu", same},
    {"Erf", same},
    {"Exp", same},
    {"Floor", same},
    {"Gelu", same},
    {"GroupNormalization", same},
    {"HardSigmoid", same},
    {"HardSwish", same},
    {"Hardmax", same},
    {"Identity", same},
    {"InstanceNormalization", same},
    {"LRN", same},
    {"LeakyRelu", same},
    {"Log", same},
    {"LogSoftmax", same},
    {"LpNormalization", same},
    {"MeanVarianceNormalization", same},
    {"Mish", same},
    {"Neg", same},
    {"RMSNormalization", same},
    {"Reciprocal", same},
    {"Relu", same},
    {"Round", same},
    {"Selu", same},
    {"Sigmoid", same},
    {"Sign", same},
    {"Sin", same},
    {"Sinh", same},
    {"Softmax", same},
    {"Softplus", same},
    {"Softsign", same},
    {"Sqrt", same},
    {"Swish", same},
    {"Tan", same},
    {"Tanh", same},
    {"ThresholdedRelu", same},
    {"Trilu", same},
    {"LayerNormalization", layer_norm},
    {"IsInf", same_bool},
    {"IsNaN", same_bool},
    {"Not", same_bool},
    {"Cast", cast},
    {"CastLike", cast},
    {"Add", broadcasting},
    {"BitShift", broadcasting},
    {"BitwiseAnd", broadcasting},
    {"BitwiseOr", broadcasting},
    {"BitwiseXor", broadcasting},
    {"Div", broadcasting},
    {"Max", broadcasting},
    {"Mean", broadcasting},
    {"Min", broadcasting},
    {"Mod", broadcasting},
    {"Mul", broadcasting},
    {"PRelu", broadcasting},
    {"Pow", broadcasting},
    {"Sub", broadcasting},
    {"Sum", broadcasting},
    {"And", comparing},
    {"Equal", comparing},
    {"Greater", comparing},
    {"GreaterOrEqual", comparing},
    {"Less", comparing},
    {"LessOrEqual", comparing},
    {"Or", comparing},
    {"Xor", comparing},
    {"Where", where},
    {"Conv", conv},
    {"ConvTranspose", conv},
    {"AveragePool", pool},
    {"LpPool", pool},
    {"MaxPool", pool},
    {"GlobalAveragePool", global_pool},
    {"GlobalLpPool", global_pool},
    {"GlobalMaxPool", global_pool},
    {"Gemm", gemm},
    {"MatMul", matmul},
    {"ReduceL1", reduce},
    {"ReduceL2", reduce},
    {"ReduceLogSum", reduce},
    {"ReduceLogSumExp", reduce},
    {"ReduceMax", reduce},
    {"ReduceMean", reduce},
    {"ReduceMin", reduce},
    {"ReduceProd", reduce},
    {"ReduceSum", reduce},
    {"ReduceSumSquare", reduce},
    {"ArgMax", arg_reduce},
    {"ArgMin", arg_reduce},
    {"Concat", concat},
    {"ConstantOfShape", constant_of_shape},
    {"Expand", expand},
    {"Flatten", flatten},
    {"Gather", gather},
    {"Reshape", reshape},
    {"Slice", slice},
    {"Split", split},
    {"Squeeze", squeeze},
    {"Transpose", transpose},
    {"Unsqueeze", unsqueeze},
};

// Operators whose output dims follow from the content of these operands; -1: from data, whatever is known.
struct ShapeOperands {
  std::string_view op;
  std::array<int, 4> operands;
};
constexpr int kNone = -2, kData = -1;
constexpr ShapeOperands kShapeOperands[] = {
    {"AffineGrid", {1, kNone, kNone, kNone}},
    {"BlackmanWindow", {0, kNone, kNone, kNone}},
    {"CenterCropPad", {1, kNone, kNone, kNone}},
    {"Col2Im", {1, 2, kNone, kNone}},
    {"Compress", {kData, kNone, kNone, kNone}},
    {"ConcatFromSequence", {kData, kNone, kNone, kNone}},
    {"ConstantOfShape", {0, kNone, kNone, kNone}},
    {"DFT", {1, 2, kNone, kNone}},
    {"Expand", {1, kNone, kNone, kNone}},
    {"HammingWindow", {0, kNone, kNone, kNone}},
    {"HannWindow", {0, kNone, kNone, kNone}},
    {"If", {kData, kNone, kNone, kNone}},
    {"ImageDecoder", {kData, kNone, kNone, kNone}},
    {"Loop", {kData, kNone, kNone, kNone}},
    {"MaxUnpool", {2, kNone, kNone, kNone}},
    {"MelWeightMatrix", {0, 1, kNone, kNone}},
    {"NonMaxSuppression", {kData, kNone, kNone, kNone}},
    {"NonZero", {kData, kNone, kNone, kNone}},
    {"OneHot", {1, kNone, kNone, kNone}},
    {"Optional", {kData, kNone, kNone, kNone}},
    {"OptionalGetElement", {kData, kNone, kNone, kNone}},
    {"OptionalHasElement", {kData, kNone, kNone, kNone}},
    {"Pad", {1, 3, kNone, kNone}},
    {"Range", {0, 1, 2, kNone}},
    {"Reshape", {1, kNone, kNone, kNone}},
    {"Resize", {1, 2, 3, kNone}},
    {"STFT", {1, 3, kNone, kNone}},
    {"Scan", {kData, kNone, kNone, kNone}},
    {"SequenceAt", {kData, kNone, kNone, kNone}},
    {"SequenceConstruct", {kData, kNone, kNone, kNone}},
    {"SequenceEmpty", {kData, kNone, kNone, kNone}},
    {"SequenceErase", {kData, kNone, kNone, kNone}},
    {"SequenceInsert", {kData, kNone, kNone, kNone}},
    {"SequenceLength", {kData, kNone, kNone, kNone}},
    {"SequenceMap", {kData, kNone, kNone, kNone}},
    {"Slice", {1, 2, 3, 4}},
    {"Split", {1, kNone, kNone, kNone}},
    {"SplitToSequence", {kData, kNone, kNone, kNone}},
    {"Squeeze", {1, kNone, kNone, kNone}},
    {"StringNormalizer", {kData, kNone, kNone, kNone}},
    {"StringSplit", {kData, kNone, kNone, kNone}},
    {"Tile", {1, kNone, kNone, kNone}},
    {"TopK", {1, kNone, kNone, kNone}},
    {"Unique", {kData, kNone, kNone, kNone}},
    {"Unsqueeze", {1, kNone, kNone, kNone}},
    {"Upsample", {1, kNone, kNone, kNone}},
    {"ZipMap", {kData, kNone, kNone, kNone}},
    {"DictVectorizer", {kData, kNone, kNone, kNone}},
};

constexpr std::string_view kRandom[] = {"Bernoulli",        "Multinomial",   "RandomNormal",
                                        "RandomNormalLike", "RandomUniform", "RandomUniformLike"};

}  // namespace

Result<bool> infer_dims(const Node& node, Facts inputs, std::vector<Fact>& outputs) {
  if (!node.domain.empty()) return false;
  for (const Entry& entry : kTable) {
    if (entry.op == node.op_type) return entry.infer(node, inputs, outputs);
  }
  return false;
}

bool has_static_dims(const Node& node, Facts inputs) {
  if (!node.domain.empty() && node.domain != "ai.onnx.ml") return false;
  if (!node.subgraphs().empty()) return false;
  for (const Fact* input : inputs) {
    if (input != nullptr && !input->is_shaped()) return false;
  }
  const bool reduces = node.op_type.starts_with("Reduce");
  if (reduces && at(inputs, 1) != nullptr && !inputs[1]->is_content()) return false;
  for (const ShapeOperands& entry : kShapeOperands) {
    if (entry.op != node.op_type) continue;
    for (int operand : entry.operands) {
      if (operand == kData) return false;
      if (operand == kNone) break;
      const Fact* fact = at(inputs, static_cast<size_t>(operand));
      if (fact != nullptr && !fact->is_content()) return false;
    }
  }
  return true;
}

bool is_random(const Node& node) {
  if (node.op_type == "Dropout")
    return node.inputs.size() > 2 && node.inputs[2] != kNoValue;  // may be training
  return node.domain.empty() &&
         std::find(std::begin(kRandom), std::end(kRandom), node.op_type) != std::end(kRandom);
}

}  // namespace mts::exec
