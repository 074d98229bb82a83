// Conv and ConvTranspose, 1-D to 3-D, with groups. x [B, C, *], W [K, C/g, *] (transposed: [C, K/g, *]), b
// [K].
//
//   input   weight    emitted                                              output
//   once    distinct  fan-out: filters concatenated on the output axis     concat(1)   [B, sum K_m, *]
//   mapped  once      batch: the same convolution on a folded batch        concat(0), interleaved(1)
//   mapped  distinct  group: groups times M                                concat(1)   [B, M*K, *]
//   any     once, bias distinct: without bias, then Add of the biases      concat(1) or stacked(0)
#include "rules/factories.h"
#include "rules/families.h"

#include <algorithm>

namespace mts::rules {
namespace {

enum Variant : int32_t { kPlain, kSplitBias };

constexpr Placement kFeatures{1, Fold::kConcat};
constexpr Placement kRagged{0, Fold::kConcat};
constexpr Placement kBatchFolded{1, Fold::kInterleaved};
constexpr Placement kStackedFirst{0, Fold::kStacked};

Form weight_form(const Operand& operand, Placement placement) {
  return operand.absent() ? Form::absent() : operand.once() ? Form::once() : Form::fused(placement);
}

// A bias that is the same for all models cannot be concatenated without storing it M times.
bool repeats_bias(const Lane& lane) { return lane.operand(2).once() && !lane.operand(2).absent(); }

Option make_option(const Lane& lane, Form x, Form w, Form bias, Form output, int32_t variant) {
  Option option{.strategy = strategy_of(lane),
                .operands = {x, w},
                .outputs = {output},
                .variant = variant,
                .extra_launches = variant == kSplitBias ? 1 : 0};
  if (lane.operands.size() > 2) option.operands.push_back(bias);
  return option;
}

Proposal propose_convolution(const Lane& lane, Placement fan_out_weight) {
  const Operand &x = lane.operand(0), &w = lane.operand(1), &bias = lane.operand(2);
  const int64_t groups = lane.node().int_or("group", 1);
  const bool bias_apart = bias.mapped() != w.mapped() && !bias.absent();
  const Form w_group = weight_form(w, {0, Fold::kConcat});
  Proposal proposal;
  if (w.mapped()) {
    const int32_t variant = repeats_bias(lane) ? kSplitBias : kPlain;
    if (x.once() && groups == 1) {
      const Form output = Form::fused(variant == kSplitBias ? Placement{1, Fold::kStacked} : kFeatures);
      proposal.options.push_back(make_option(lane, Form::once(), Form::fused(fan_out_weight),
                                             weight_form(bias, kRagged), output, variant));
    } else {
      // The members' widths must be equal: a grouped convolution has groups of one size.
      for (const Type& type : w.types)
        if (type != w.type()) return Proposal::refuse("grouped convolution needs weights of equal shape");
      const Form output = Form::fused(variant == kSplitBias ? kBatchFolded : kFeatures);
      proposal.options.push_back(
          make_option(lane, Form::fused(kFeatures), w_group, weight_form(bias, kRagged), output, variant));
    }
    return proposal;
  }
  if (x.once()) {  // only the bias differs
    proposal.options.push_back(make_option(lane, Form::once(), Form::once(), Form::fused(kStackedFirst),
                                           Form::fused({1, Fold::kStacked}), kSplitBias));
    return proposal;
  }
  for (const Placement placement : {kRagged, kBatchFolded}) {
    Form output = Form::fused(placement);
    Form bias_form = weight_form(bias, kRagged);
    if (bias_apart) {  // [B*M, K, *] is [B, M*K, *] in memory: add [M*K, 1..]; model-major: [M, B, K, *] +
                       // [M, 1, K, 1..]
      output = Form::fused(placement == kBatchFolded ? kFeatures : kStackedFirst);
      bias_form = Form::fused(placement == kBatchFolded ? kRagged : kStackedFirst);
    }
    proposal.options.push_back(make_option(lane, Form::fused(placement), Form::once(), bias_form, output,
                                           bias_apart ? kSplitBias : kPlain));
  }
  return proposal;
}

std::vector<int64_t> leading_axes_then_ones(int64_t first, int64_t count) {
  std::vector<int64_t> axes;
  for (int64_t i = 0; i < count; ++i) axes.push_back(first + i);
  return axes;
}

// Convolution without bias, then the biases in the shape that the output's placement broadcasts.
Values emit_split_bias(const Lane& lane, const Option& option, Span operands, Node prototype,
                       Builder& builder) {
  const auto rank = static_cast<int64_t>(lane.output_type().rank());
  const DType dtype = lane.output_type().dtype;
  const Form& output = option.outputs[0];
  const Operand &x = lane.operand(0), &bias = lane.operand(2);
  const Extents final_extents = output_extents(lane, 0, output);
  ValueId b = operands[2];
  if (bias.once()) {
    // Distinct weights, one bias [K]. fan-out: [B, M*K, *] -> [B, M, K, *]; group: [B, M*K, *] -> [B*M, K,
    // *].
    const Extents conv_extents = output_extents(lane, 0, Form::fused(kFeatures));
    const ValueId y =
        builder.nodes(std::move(prototype), {operands[0], operands[1]}, {type_of(dtype, conv_extents)})
            .front();
    const ValueId view = builder.reshape(y, conv_extents, final_extents);
    b = builder.unsqueeze(b, leading_axes_then_ones(1, rank - 2));  // [K, 1..]
    return {builder.node("Add", {view, b}, {}, type_of(dtype, final_extents))};
  }
  if (x.once()) {  // one convolution, biases [M, K]: [B, 1, K, *] + [M, K, 1..]
    const ValueId y =
        builder.nodes(std::move(prototype), {operands[0], operands[1]}, {lane.output_type()}).front();
    const ValueId view = builder.unsqueeze(y, {1});
    b = builder.unsqueeze(b, leading_axes_then_ones(2, rank - 2));
    return {builder.node("Add", {view, b}, {}, type_of(dtype, final_extents))};
  }
  const bool folded = output.placement == kFeatures;
  const Extents conv_extents = output_extents(lane, 0, Form::fused(folded ? kBatchFolded : kRagged));
  const ValueId y =
      builder.nodes(std::move(prototype), {operands[0], operands[1]}, {type_of(dtype, conv_extents)}).front();
  const ValueId view = builder.reshape(y, conv_extents, final_extents);
  if (folded) {
    b = builder.unsqueeze(b, leading_axes_then_ones(1, rank - 2));  // [M*K, 1..]
  } else {
    std::vector<int64_t> axes{1};  // [M, K] -> [M, 1, K, 1..]
    for (int64_t i = 0; i < rank - 2; ++i) axes.push_back(3 + i);
    b = builder.unsqueeze(b, std::move(axes));
  }
  return {builder.node("Add", {view, b}, {}, type_of(dtype, final_extents))};
}

}  // namespace

Proposal propose_conv(const Lane& lane) { return propose_convolution(lane, {0, Fold::kConcat}); }
Proposal propose_conv_transpose(const Lane& lane) { return propose_convolution(lane, {1, Fold::kConcat}); }

Values emit_conv(const Lane& lane, const Option& option, Span operands, Builder& builder) {
  Node prototype = Builder::like(lane.node());
  const bool grouped = lane.operand(1).mapped() && option.operands[0].is_fused();
  if (grouped) prototype.set("group", lane.node().int_or("group", 1) * static_cast<int64_t>(lane.size()));
  if (option.variant == kSplitBias)
    return emit_split_bias(lane, option, operands, std::move(prototype), builder);
  return emit_like(std::move(prototype), lane, option, operands, builder);
}

}  // namespace mts::rules
