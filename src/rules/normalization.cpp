// Normalisations. Statistics stay inside one model; parameters that differ are applied after the
// normalisation (or concatenated where the operator keeps channels apart).
#include "rules/factories.h"
#include "rules/families.h"

#include <algorithm>

namespace mts::rules {
namespace {

constexpr Placement kRagged{0, Fold::kConcat}, kFeatures{1, Fold::kConcat},
    kBatchFolded{1, Fold::kInterleaved};
constexpr Placement kStackedSecond{1, Fold::kStacked};

enum Variant : int32_t { kPlain, kDecomposed };

bool parameters_once(const Lane& lane) {
  return std::ranges::all_of(lane.operands.begin() + 1, lane.operands.end(),
                             [](const Operand& o) { return !o.mapped(); });
}
bool parameters_mapped(const Lane& lane) {
  return std::ranges::all_of(lane.operands.begin() + 1, lane.operands.end(),
                             [](const Operand& o) { return !o.once(); });
}

void offer(Proposal& proposal, const Lane& lane, Placement data, Placement parameters, Placement output,
           int32_t variant, int32_t extra = 0) {
  Option option{.strategy = strategy_of(lane),
                .operands = {lane.operand(0).once() ? Form::once() : Form::fused(data)},
                .outputs = {Form::fused(output)},
                .variant = variant,
                .extra_launches = extra};
  for (size_t i = 1; i < lane.operands.size(); ++i) {
    const Operand& operand = lane.operands[i];
    option.operands.push_back(operand.absent() ? Form::absent()
                              : operand.once() ? Form::once()
                                               : Form::fused(parameters));
  }
  add_unique(proposal.options, std::move(option));
}

// Parameters [C] for data [B, C, *]: all shared -> folded batch; all distinct -> concatenated channels.
void offer_per_channel(Proposal& proposal, const Lane& lane) {
  if (parameters_once(lane)) {
    offer(proposal, lane, kRagged, {}, kRagged, kPlain);
    offer(proposal, lane, kBatchFolded, {}, kBatchFolded, kPlain);
  } else if (parameters_mapped(lane) && lane.operand(0).mapped()) {
    offer(proposal, lane, kFeatures, kRagged, kFeatures, kPlain);
  }
}

// [C] or [M, C] -> [C, 1..] or [M, C, 1..], to broadcast over [B, M, C, *].
ValueId per_channel(ValueId value, const Operand& operand, int32_t data_rank, Builder& builder) {
  std::vector<int64_t> ones;
  const int64_t first = operand.once() ? 1 : 2;
  for (int64_t i = 0; i < data_rank - 2; ++i) ones.push_back(first + i);
  return builder.unsqueeze(value, std::move(ones));
}

}  // namespace

// scale, B, mean, var of [C]. Partly shared parameters: (x - mean) / sqrt(var + epsilon) * scale + B on [B,
// M, C, *].
Proposal propose_batch_norm(const Lane& lane) {
  // Before version 14 more than one output means training, whether they are read or not.
  if (lane.node().int_or("training_mode", 0) != 0 || lane.node().outputs.size() > 1)
    return Proposal::refuse("it is in training mode");
  if (lane.operand(0).rank() < 2) return Proposal::refuse("its data has no channels");
  Proposal proposal;
  offer_per_channel(proposal, lane);
  const bool one_type = std::ranges::all_of(
      lane.operands, [&](const Operand& o) { return o.type().dtype == lane.operand(0).type().dtype; });
  if ((proposal.options.empty() || lane.operand(0).once()) && one_type)
    offer(proposal, lane, kStackedSecond, {0, Fold::kStacked}, kStackedSecond, kDecomposed, 5);
  if (proposal.options.empty())
    proposal.refusal = "its parameters are partly shared and of another element type";
  return proposal;
}

Values emit_batch_norm(const Lane& lane, const Option& option, Span operands, Builder& builder) {
  if (option.variant == kPlain) return emit_same(lane, option, operands, builder);
  const DType dtype = lane.output_type().dtype;
  const int32_t rank = lane.operand(0).rank();
  const Type output = type_of(dtype, output_extents(lane, 0, option.outputs[0]));
  const auto parameter = [&](size_t i) { return per_channel(operands[i], lane.operand(i), rank, builder); };
  const auto type = [&](ValueId v) { return builder.graph().value(v).type; };
  const ValueId variance = parameter(4);
  const float epsilon = lane.node().float_or("epsilon", 1e-5f);
  const DType parameter_type = type(variance).dtype;
  ValueId eps = builder.constant(Weight::floats(std::vector{epsilon}, {}));
  if (parameter_type != DType::kFloat32)
    eps = builder.node("Cast", {eps}, {{"to", static_cast<int64_t>(parameter_type), {}}},
                       Type::tensor(parameter_type, {}));
  const ValueId deviation =
      builder.node("Sqrt", {builder.node("Add", {variance, eps}, {}, type(variance))}, {}, type(variance));
  ValueId x = operands[0];
  if (lane.operand(0).once()) x = builder.unsqueeze(x, {1});
  const ValueId centred = builder.node("Sub", {x, parameter(3)}, {},
                                       lane.operand(3).once() && lane.operand(0).once() ? type(x) : output);
  const ValueId normal = builder.node("Div", {centred, deviation}, {}, output);
  const ValueId scaled = builder.node("Mul", {normal, parameter(1)}, {}, output);
  return {builder.node("Add", {scaled, parameter(2)}, {}, output)};
}

// LayerNormalization, RMSNormalization: over all axes from `axis` on; scale and bias broadcast to those.
Proposal propose_layer_norm(const Lane& lane) {
  if (lane.has_output(1) || lane.has_output(2)) return Proposal::refuse("its statistics are used");
  const int32_t rank = lane.operand(0).rank();
  int64_t axis = lane.node().int_or("axis", -1);
  if (!normalise_axis(axis, rank)) return Proposal::refuse("its axis is out of range");
  const auto a = static_cast<int32_t>(axis);
  for (size_t i = 1; i < lane.operands.size(); ++i)
    if (!lane.operands[i].absent() && lane.operands[i].rank() > rank - a)
      return Proposal::refuse("its scale has more axes than it normalises");
  std::vector<Placement> wanted;
  for (const Placement& candidate : candidates_of(lane.operand(0)))
    for (const Placement& p : with_other_folds(candidate)) wanted.push_back(p);
  wanted.push_back({0, Fold::kConcat});
  wanted.push_back({0, Fold::kStacked});
  Proposal proposal;
  const bool plain = parameters_once(lane);
  if (!plain && !static_dims(lane.operand(1).type()))
    return Proposal::refuse("its scale has no static shape");
  if (lane.operand(0).once()) {
    offer(proposal, lane, {}, {0, Fold::kStacked}, {0, Fold::kStacked}, kDecomposed, 2);
    return proposal;
  }
  for (const Placement& p : wanted) {
    if (p.axis > a || p.merged_axis() >= a) continue;
    if (plain) {
      offer(proposal, lane, p, {}, p, kPlain);
    } else if (p.fold == Fold::kStacked) {
      offer(proposal, lane, p, {0, Fold::kStacked}, p, kDecomposed, 2);
    }
  }
  if (proposal.options.empty()) proposal.refusal = "it normalises the axis that the models would share";
  return proposal;
}

Values emit_layer_norm(const Lane& lane, const Option& option, Span operands, Builder& builder) {
  const int32_t rank = lane.operand(0).rank();
  int64_t axis = lane.node().int_or("axis", -1);
  normalise_axis(axis, rank);
  Node prototype = Builder::like(lane.node());
  prototype.set("axis", axis - rank);  // from the end: the same with and without a model axis before it
  if (option.variant == kPlain) return emit_like(std::move(prototype), lane, option, operands, builder);
  // Normalise with a scale of one, then the parameters that differ. The ones take no room in the file.
  const DType dtype = lane.output_type().dtype;
  const Type output = type_of(dtype, output_extents(lane, 0, option.outputs[0]));
  const bool data_once = lane.operand(0).once();
  const Type normal_type = data_once ? lane.output_type() : output;
  const int32_t model_axis = option.outputs[0].placement.axis;
  const bool scale_once = lane.operand(1).once(), bias_once = lane.operand(2).once();
  ValueId scale = operands[1];
  if (!scale_once) {
    Dims dims;
    for (const Dim& dim : *lane.operand(1).type().shape) dims.push_back(dim.value);
    const ValueId one = builder.constant(Weight::floats(std::vector{1.0f}, {}));
    const ValueId typed =
        dtype == DType::kFloat32
            ? one
            : builder.node("Cast", {one}, {{"to", static_cast<int64_t>(dtype), {}}}, Type::tensor(dtype, {}));
    scale = builder.node("Expand", {typed, builder.ints(dims)}, {}, lane.operand(1).type());
  }
  Values inputs{operands[0], scale};
  // A shared bias can stay inside only when the scale does.
  if (scale_once && bias_once) inputs.push_back(operands[2]);
  ValueId y = builder.nodes(std::move(prototype), std::move(inputs), {normal_type}).front();
  if (data_once) y = builder.unsqueeze(y, {model_axis});
  if (!scale_once)
    y = builder.node("Mul", {y, align_stacked(operands[1], lane.operand(1), rank, model_axis, builder)}, {},
                     output);
  if (!lane.operand(2).absent() && !(scale_once && bias_once))
    y = builder.node("Add", {y, align_stacked(operands[2], lane.operand(2), rank, model_axis, builder)}, {},
                     output);
  return {y};
}

Proposal propose_instance_norm(const Lane& lane) {
  Proposal proposal;
  offer_per_channel(proposal, lane);
  if (proposal.options.empty()) proposal.refusal = "its scale and bias are partly shared";
  return proposal;
}

Values emit_instance_norm(const Lane& lane, const Option& option, Span operands, Builder& builder) {
  return emit_same(lane, option, operands, builder);
}

Proposal propose_group_norm(const Lane& lane) { return propose_instance_norm(lane); }

Values emit_group_norm(const Lane& lane, const Option& option, Span operands, Builder& builder) {
  Node prototype = Builder::like(lane.node());
  if (!parameters_once(lane))
    prototype.set("num_groups", lane.node().int_or("num_groups", 1) * static_cast<int64_t>(lane.size()));
  return emit_like(std::move(prototype), lane, option, operands, builder);
}

// Local response normalisation looks at neighbouring channels.
Proposal propose_lrn(const Lane& lane) {
  std::vector<int32_t> touched;
  for (int32_t axis = 1; axis < lane.operand(0).rank(); ++axis) touched.push_back(axis);
  return propose_axis_op(lane, 0, {.touched = touched, .removed = {}, .stackable = false, .preferred = {}});
}

}  // namespace mts::rules
