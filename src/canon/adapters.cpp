#include "canon/adapters.h"

#include <algorithm>
#include <array>
#include <string>

namespace mts::canon {
namespace {

struct Compatible {
  int version;
  std::string_view operators;  // separated by single spaces
};

// Schemas that changed only by accepting more: element types, negative axes, optional inputs and outputs,
// attributes whose default is the old behaviour.
constexpr std::array kCompatible = {
    Compatible{8, "Max MaxPool Mean Min Sum"},
    Compatible{9, "Cast Constant Flatten Gemm Greater Less MatMul PRelu"},
    Compatible{10, "AveragePool Dropout MaxPool"},
    Compatible{
        11,
        "ArgMax ArgMin AveragePool Compress Concat Constant Conv ConvTranspose DepthToSpace Equal Flatten "
        "Gather "
        "Gemm Hardmax If LogSoftmax Loop LpPool MaxPool MaxUnpool NonMaxSuppression OneHot ReduceL1 ReduceL2 "
        "ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare "
        "Scan "
        "Slice Softmax Split Squeeze TopK Unsqueeze"},
    Compatible{12, "ArgMax ArgMin Clip Constant GatherND Max MaxPool Min Pow ReduceMax ReduceMin"},
    Compatible{
        13,
        "Abs Add ArgMax ArgMin Cast Ceil Clip Concat Constant DepthToSpace DequantizeLinear Div Dropout "
        "Equal Erf "
        "Exp Expand Flatten Floor Gather GatherElements GatherND Gemm Greater Identity If IsNaN LRN Less Log "
        "Loop "
        "MatMul Max Mean MeanVarianceNormalization Min Mod Mul Neg NegativeLogLikelihoodLoss NonZero Pad Pow "
        "QuantizeLinear Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean "
        "ReduceMin "
        "ReduceProd ReduceSumSquare Relu Reshape Resize ScatterElements ScatterND Shape Sigmoid Sign Size "
        "Slice "
        "SoftmaxCrossEntropyLoss SpaceToDepth Sqrt Sub Sum Tanh Tile Transpose"},
    Compatible{14, "Add CumSum Div GRU Identity LSTM Mul RNN Relu Reshape Sub"},
    Compatible{15, "BatchNormalization Pow Shape"},
    Compatible{
        16,
        "GreaterOrEqual Identity If LeakyRelu LessOrEqual Loop PRelu Scan ScatterElements ScatterND Where"},
    Compatible{18, "LpPool OptionalGetElement OptionalHasElement Pad Resize ScatterElements ScatterND"},
    Compatible{19,
               "AveragePool Cast CastLike Constant DequantizeLinear Equal Identity If Loop Pad "
               "QuantizeLinear Reshape "
               "Resize Scan Shape Size"},
    Compatible{20, "ConstantOfShape IsInf IsNaN ReduceMax ReduceMin"},
    Compatible{
        21,
        "Cast CastLike Constant ConstantOfShape DequantizeLinear Flatten Identity If Loop Pad QLinearMatMul "
        "QuantizeLinear Reshape Scan Shape Size Squeeze Transpose Unsqueeze"},
    Compatible{
        22,
        "Acos Acosh Asin Asinh Atan Atanh AveragePool Bernoulli Conv ConvTranspose Cos Cosh DeformConv Det "
        "Dropout "
        "Elu EyeLike GRU GlobalAveragePool GlobalLpPool GlobalMaxPool GridSample HardSigmoid HardSwish "
        "InstanceNormalization LSTM LpNormalization LpPool MaxPool MaxRoiPool MaxUnpool Mish Multinomial "
        "NegativeLogLikelihoodLoss RNN RandomNormal RandomNormalLike RandomUniform RandomUniformLike "
        "RoiAlign "
        "Round Selu Sin Sinh Softplus Softsign Tan ThresholdedRelu"},
    Compatible{
        23,
        "Cast CastLike Constant ConstantOfShape DequantizeLinear Flatten Identity If Loop Pad QuantizeLinear "
        "Reshape Scan Shape Size Squeeze Transpose Unsqueeze"},
    Compatible{
        24,
        "Cast CastLike Constant ConstantOfShape DequantizeLinear Flatten Identity If Loop Pad QuantizeLinear "
        "Reshape Scan Shape Size SplitToSequence Squeeze TopK Transpose Unsqueeze"},
    Compatible{
        25,
        "Attention Cast CastLike Constant ConstantOfShape DequantizeLinear Flatten Identity If Loop Pad "
        "QuantizeLinear Reshape Scan Shape Size Squeeze Transpose Unsqueeze"},
    Compatible{27, "Range"},
    Compatible{28,
               "BitShift Cast Celu Compress DepthToSpace DequantizeLinear Einsum Mod OneHot Optional "
               "OptionalGetElement "
               "OptionalHasElement QuantizeLinear ReverseSequence SpaceToDepth Unique"},
};
constexpr std::array kCompatibleMl = {Compatible{3, "TreeEnsembleClassifier TreeEnsembleRegressor"},
                                      Compatible{4, "LabelEncoder"}};

struct Adapted {
  std::string_view op_type;
  int version;
  Adapter adapter;
};
constexpr std::array kAdapted = {
    Adapted{"BatchNormalization", 9, adapt::accept_plain_batch_normalization_9},
    Adapted{"Upsample", 9, adapt::upsample_9},
    Adapted{"Slice", 10, adapt::slice_10},
    Adapted{"TopK", 10, adapt::top_k_10},
    Adapted{"Upsample", 10, adapt::upsample_10},
    Adapted{"Clip", 11, adapt::clip_11},
    Adapted{"Pad", 11, adapt::pad_11},
    Adapted{"Resize", 11, adapt::resize_11},
    Adapted{"Scatter", 11, adapt::scatter_11},
    Adapted{"Dropout", 12, adapt::dropout_12},
    Adapted{"Squeeze", 13, adapt::axes_to_input},
    Adapted{"Unsqueeze", 13, adapt::axes_to_input},
    Adapted{"ReduceSum", 13, adapt::axes_to_input},
    Adapted{"Split", 13, adapt::split_13},
    Adapted{"Softmax", 13, adapt::softmax_13},
    Adapted{"LogSoftmax", 13, adapt::softmax_13},
    Adapted{"Hardmax", 13, adapt::softmax_13},
    Adapted{"BatchNormalization", 14, adapt::batch_normalization_14},
    Adapted{"RoiAlign", 16, adapt::roi_align_16},
    Adapted{"ReduceL1", 18, adapt::axes_to_input},
    Adapted{"ReduceL2", 18, adapt::axes_to_input},
    Adapted{"ReduceLogSum", 18, adapt::axes_to_input},
    Adapted{"ReduceLogSumExp", 18, adapt::axes_to_input},
    Adapted{"ReduceMax", 18, adapt::axes_to_input},
    Adapted{"ReduceMean", 18, adapt::axes_to_input},
    Adapted{"ReduceMin", 18, adapt::axes_to_input},
    Adapted{"ReduceProd", 18, adapt::axes_to_input},
    Adapted{"ReduceSumSquare", 18, adapt::axes_to_input},
    Adapted{"Split", 18, adapt::split_18},
    Adapted{"DFT", 20, adapt::dft_20},
    Adapted{"GridSample", 20, adapt::grid_sample_20},
    Adapted{"GroupNormalization", 21, adapt::group_normalization_21},
    Adapted{"Attention", 24, adapt::attention_24},
    Adapted{"ReduceLogSum", 28, adapt::float_reduction_28},
    Adapted{"ReduceLogSumExp", 28, adapt::float_reduction_28},
};
constexpr std::array kAdaptedMl = {Adapted{"LabelEncoder", 2, adapt::label_encoder_2}};

bool lists(std::string_view operators, std::string_view op_type) {
  for (size_t at = operators.find(op_type); at != std::string_view::npos;
       at = operators.find(op_type, at + 1)) {
    const size_t end = at + op_type.size();
    if ((at == 0 || operators[at - 1] == ' ') && (end == operators.size() || operators[end] == ' '))
      return true;
  }
  return false;
}

template <class CompatibleTable, class AdaptedTable>
Change look_up(const CompatibleTable& compatible, const AdaptedTable& adapted, std::string_view op_type,
               int version) {
  for (const Adapted& row : adapted)
    if (row.version == version && row.op_type == op_type) return {true, row.adapter};
  for (const Compatible& row : compatible)
    if (row.version == version && lists(row.operators, op_type)) return {true, nullptr};
  return {};
}

}  // namespace

Change change_of(std::string_view op_type, std::string_view domain, int version) {
  if (domain.empty()) return look_up(kCompatible, kAdapted, op_type, version);
  if (domain == "ai.onnx.ml") return look_up(kCompatibleMl, kAdaptedMl, op_type, version);
  return {};
}

}  // namespace mts::canon
