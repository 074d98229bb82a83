#include "share/purity.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace mts::share {
namespace {

constexpr auto kRandom = std::to_array<std::string_view>(
    {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"});

// Operators of ONNX Runtime whose outputs depend on nothing but their inputs and attributes, and which do not
// write into their inputs (GroupQueryAttention may: past and present share a buffer). Sorted.
constexpr auto kPureContrib = std::to_array<std::string_view>({
    "Attention",
    "BiasAdd",
    "BiasGelu",
    "BiasSplitGelu",
    "DequantizeBFP",
    "DequantizeLinear",
    "DynamicQuantizeLSTM",
    "DynamicQuantizeMatMul",
    "EmbedLayerNormalization",
    "ExpandDims",
    "FastGelu",
    "FusedConv",
    "FusedGemm",
    "FusedMatMul",
    "FusedMatMulActivation",
    "Gelu",
    "GemmFastGelu",
    "GroupNorm",
    "Inverse",
    "MatMulBnb4",
    "MatMulFpQ4",
    "MatMulInteger16",
    "MatMulIntegerToFloat",
    "MatMulNBits",
    "MultiHeadAttention",
    "MurmurHash3",
    "NhwcConv",
    "NhwcFusedConv",
    "NhwcMaxPool",
    "Pad",
    "QAttention",
    "QGemm",
    "QLinearAdd",
    "QLinearAveragePool",
    "QLinearConcat",
    "QLinearConv",
    "QLinearGlobalAveragePool",
    "QLinearLeakyRelu",
    "QLinearMul",
    "QLinearReduceMean",
    "QLinearSigmoid",
    "QLinearSoftmax",
    "QLinearWhere",
    "QuantizeBFP",
    "QuantizeLinear",
    "QuickGelu",
    "Range",
    "ReduceSumInteger",
    "RelativePositionBias",
    "RotaryEmbedding",
    "SkipGroupNorm",
    "SkipLayerNormalization",
    "SkipSimplifiedLayerNormalization",
    "SparseToDenseMatMul",
    "Tokenizer",
    "TransposeMatMul",
    "Trilu",
    "Unique",
});
static_assert(std::ranges::is_sorted(kRandom) && std::ranges::is_sorted(kPureContrib));

// Before opset 12, Dropout trains only when `is_test` says so (opset 6 and below); since then its third input
// decides.
bool dropout_trains(const Graph& graph, const Node& node) {
  if (node.inputs.size() > 2 && node.inputs[2] != kNoValue) {
    const WeightPtr& mode = graph.value(node.inputs[2]).weight;
    if (mode == nullptr) return true;  // decided at run time
    const auto values = mode->as_int64s();
    return values.empty() || values.front() != 0;
  }
  return node.find("is_test") != nullptr && node.int_or("is_test", 0) == 0;
}

// Training updates running statistics. Before opset 14 there is no attribute: the optional outputs tell.
bool batch_norm_trains(const Node& node) {
  if (node.int_or("training_mode", 0) != 0) return true;
  return std::ranges::any_of(node.outputs.begin() + std::min<std::ptrdiff_t>(1, std::ssize(node.outputs)),
                             node.outputs.end(), [](ValueId id) { return id != kNoValue; });
}

}  // namespace

bool is_deterministic(const Graph& graph, const Node& node) {
  if (node.domain == "com.microsoft") {
    if (!std::ranges::binary_search(kPureContrib, std::string_view(node.op_type))) return false;
  } else if (node.domain.empty()) {
    if (std::ranges::binary_search(kRandom, std::string_view(node.op_type))) return false;
    if (node.op_type == "Dropout" && dropout_trains(graph, node)) return false;
    if (node.op_type == "BatchNormalization" && batch_norm_trains(node)) return false;
  } else if (node.domain != "ai.onnx.ml") {
    return false;
  }
  for (const Graph* child : node.subgraphs())
    for (const NodeId id : child->order())
      if (!is_deterministic(*child, child->node(id))) return false;
  return true;
}

}  // namespace mts::share
