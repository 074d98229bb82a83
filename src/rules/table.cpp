// Every operator that has a batching rule. Operators that are missing stay apart; so do, on purpose, those
// that mix the batch: DynamicQuantizeLinear, MeanVarianceNormalization, Size, NonZero, Unique, Compress,
// random operators.
#include "ir/attribute.h"
#include "rules/factories.h"
#include "rules/families.h"

#include <algorithm>
#include <array>

namespace mts {
namespace {

using namespace rules;

constexpr Rule unary(std::string_view op) { return {op, "", propose_unary, emit_same}; }
constexpr Rule broadcast(std::string_view op) { return {op, "", propose_broadcast, emit_broadcast}; }
constexpr Rule reduce(std::string_view op) { return {op, "", propose_reduce, emit_reduce}; }
constexpr Rule pool(std::string_view op) { return {op, "", propose_pool, emit_same}; }
constexpr Rule reshape(std::string_view op) { return {op, "", propose_reshape, emit_reshape}; }
constexpr Rule one_axis(std::string_view op) { return {op, "", propose_axis_attribute, emit_axis_attribute}; }

constexpr auto kRules = std::to_array<Rule>({
    // elementwise
    unary("Abs"),
    unary("Acos"),
    unary("Acosh"),
    unary("Asin"),
    unary("Asinh"),
    unary("Atan"),
    unary("Atanh"),
    unary("BitwiseNot"),
    unary("Cast"),
    unary("Ceil"),
    unary("Celu"),
    unary("Clip"),
    unary("Cos"),
    unary("Cosh"),
    unary("Elu"),
    unary("Erf"),
    unary("Exp"),
    unary("Floor"),
    unary("Gelu"),
    unary("HardSigmoid"),
    unary("HardSwish"),
    unary("Identity"),
    unary("IsInf"),
    unary("IsNaN"),
    unary("LeakyRelu"),
    unary("Log"),
    unary("Mish"),
    unary("Neg"),
    unary("Not"),
    unary("Reciprocal"),
    unary("Relu"),
    unary("Round"),
    unary("Selu"),
    unary("Shrink"),
    unary("Sigmoid"),
    unary("Sign"),
    unary("Sin"),
    unary("Sinh"),
    unary("Softplus"),
    unary("Softsign"),
    unary("Sqrt"),
    unary("Swish"),
    unary("Tan"),
    unary("Tanh"),
    unary("ThresholdedRelu"),
    // broadcasting
    broadcast("Add"),
    broadcast("And"),
    broadcast("BitShift"),
    broadcast("BitwiseAnd"),
    broadcast("BitwiseOr"),
    broadcast("BitwiseXor"),
    broadcast("Div"),
    broadcast("Equal"),
    broadcast("Greater"),
    broadcast("GreaterOrEqual"),
    broadcast("Less"),
    broadcast("LessOrEqual"),
    broadcast("Max"),
    broadcast("Mean"),
    broadcast("Min"),
    broadcast("Mod"),
    broadcast("Mul"),
    broadcast("Or"),
    broadcast("Pow"),
    broadcast("Sub"),
    broadcast("Sum"),
    broadcast("Where"),
    broadcast("Xor"),
    {"PRelu", "", propose_prelu, emit_broadcast},
    // linear
    {"MatMul", "", propose_matmul, emit_matmul},
    {"Gemm", "", propose_gemm, emit_gemm},
    {"Einsum", "", propose_einsum, emit_einsum},
    // convolution
    {"Conv", "", propose_conv, emit_conv},
    {"ConvTranspose", "", propose_conv_transpose, emit_conv},
    // normalisation
    {"BatchNormalization", "", propose_batch_norm, emit_batch_norm},
    {"LayerNormalization", "", propose_layer_norm, emit_layer_norm},
    {"RMSNormalization", "", propose_layer_norm, emit_layer_norm},
    {"InstanceNormalization", "", propose_instance_norm, emit_instance_norm},
    {"GroupNormalization", "", propose_group_norm, emit_group_norm},
    {"LRN", "", propose_lrn, emit_same},
    one_axis("LpNormalization"),
    // pooling and resampling
    pool("AveragePool"),
    pool("GlobalAveragePool"),
    pool("GlobalLpPool"),
    pool("GlobalMaxPool"),
    pool("LpPool"),
    pool("MaxPool"),
    {"DepthToSpace", "", propose_depth_space, emit_same},
    {"SpaceToDepth", "", propose_depth_space, emit_same},
    {"Resize", "", propose_resize, emit_resize},
    {"Upsample", "", propose_resize, emit_resize},
    {"STFT", "", propose_stft, emit_same},
    // reductions and operators along an axis
    reduce("ReduceL1"),
    reduce("ReduceL2"),
    reduce("ReduceLogSum"),
    reduce("ReduceLogSumExp"),
    reduce("ReduceMax"),
    reduce("ReduceMean"),
    reduce("ReduceMin"),
    reduce("ReduceProd"),
    reduce("ReduceSum"),
    reduce("ReduceSumSquare"),
    {"Softmax", "", propose_softmax, emit_axis_attribute},
    {"LogSoftmax", "", propose_softmax, emit_axis_attribute},
    {"Hardmax", "", propose_softmax, emit_axis_attribute},
    one_axis("ArgMax"),
    one_axis("ArgMin"),
    one_axis("TopK"),
    {"CumSum", "", propose_cumsum, emit_cumsum},
    // movement
    {"Concat", "", propose_concat, emit_concat},
    {"Split", "", propose_axis_attribute, emit_axis_attribute},
    {"Slice", "", propose_slice, emit_slice},
    {"Gather", "", propose_gather, emit_gather},
    {"Pad", "", propose_pad, emit_pad},
    {"Transpose", "", propose_transpose, emit_transpose},
    {"Trilu", "", propose_trailing_axes, emit_same},
    {"Tile", "", propose_tile, emit_tile},
    // indexed movement
    {"GatherElements", "", propose_elements, emit_elements},
    {"GatherND", "", propose_gather_nd, emit_gather_nd},
    {"ScatterElements", "", propose_elements, emit_elements},
    {"ScatterND", "", propose_scatter_nd, emit_scatter_nd},
    // shape
    reshape("Reshape"),
    reshape("Flatten"),
    reshape("Squeeze"),
    reshape("Unsqueeze"),
    {"Expand", "", propose_expand, emit_expand},
    // recurrent
    {"LSTM", "", propose_recurrent, emit_same},
    {"GRU", "", propose_recurrent, emit_same},
    {"RNN", "", propose_recurrent, emit_same},
    // quantisation
    {"QuantizeLinear", "", propose_quantize_linear, emit_quantize_linear},
    {"DequantizeLinear", "", propose_quantize_linear, emit_quantize_linear},
    {"QLinearConv", "", propose_quantized_shared, emit_same},
    {"QLinearMatMul", "", propose_quantized_shared, emit_same},
    {"ConvInteger", "", propose_quantized_shared, emit_same},
    {"MatMulInteger", "", propose_quantized_shared, emit_same},
    // attention
    {"Attention", "", propose_attention, emit_same},
    {"RotaryEmbedding", "", propose_rotary_embedding, emit_same},
    {"GridSample", "", propose_grid_sample, emit_same},
    {"DeformConv", "", propose_deform_conv, emit_same},
});

bool placeable_as(std::span<const Type> types, const Form& form) {
  return !form.is_fused() || placeable(types, form.placement);
}

bool legal(const Lane& lane, const Option& option) {
  for (size_t i = 0; i < option.operands.size(); ++i)
    if (lane.operands[i].mapped() && !placeable_as(lane.operands[i].types, option.operands[i])) return false;
  for (size_t i = 0; i < option.outputs.size(); ++i)
    if (!placeable_as(lane.outputs[i], option.outputs[i])) return false;
  return true;
}

}  // namespace

std::span<const Rule> all_rules() { return kRules; }

bool is_elementwise(const Node& node) {
  const Rule* const rule = find_rule(node);
  return rule != nullptr && (rule->propose == propose_unary || rule->propose == propose_broadcast ||
                             rule->propose == propose_batch_norm);
}

const Rule* find_rule(const Node& node) {
  const auto it = std::ranges::find_if(
      kRules, [&](const Rule& r) { return r.op_type == node.op_type && r.domain == node.domain; });
  return it == kRules.end() ? nullptr : &*it;
}

std::string differing_attribute(std::span<const Node* const> nodes) {
  const Node& first = *nodes.front();
  for (const Node* node : nodes.subspan(1)) {
    for (const Attribute& attribute : node->attributes)
      if (first.find(attribute.name) == nullptr) return attribute.name;
    for (const Attribute& attribute : first.attributes) {
      const Attribute* other = node->find(attribute.name);
      if (other == nullptr || !same_value(attribute.value, other->value)) return attribute.name;
    }
  }
  return {};
}

Proposal propose(const Lane& lane) {
  const Rule* rule = find_rule(lane.node());
  if (rule == nullptr) return Proposal::refuse("the operator has no batching rule");
  if (const std::string name = differing_attribute(lane.nodes); !name.empty())
    return Proposal::refuse("attribute " + name + " differs between models");
  for (const Operand& operand : lane.operands)
    for (const Type& type : operand.types)
      if (!type.has_rank()) return Proposal::refuse("the rank of an operand is not known");
  if (std::ranges::none_of(lane.operands, &Operand::mapped))
    return Proposal::refuse("nothing that it reads differs between models");
  bool any_output = false;
  for (const auto& types : lane.outputs)
    for (const Type& type : types) {
      any_output = true;
      if (!type.has_rank()) return Proposal::refuse("the rank of an output is not known");
      if (type.rank() != types.front().rank() || type.dtype != types.front().dtype)
        return Proposal::refuse("ranks or element types differ between models");
    }
  if (!any_output) return Proposal::refuse("it has no output that is used");
  for (const Operand& operand : lane.operands)
    for (const Type& type : operand.types)
      if (type.rank() != operand.type().rank() || type.dtype != operand.type().dtype)
        return Proposal::refuse("ranks or element types differ between models");
  // Without common subexpression elimination (netfuse) members may be one and the same: there is no model
  // axis then.
  if (std::ranges::none_of(lane.operands, &Operand::mapped))
    return Proposal::refuse("its operands are the same for all models");
  Proposal proposal = rule->propose(lane);
  std::erase_if(proposal.options, [&](const Option& option) { return !legal(lane, option); });
  if (proposal.options.empty() && proposal.refusal.empty()) proposal.refusal = "shapes differ between models";
  return proposal;
}

}  // namespace mts
