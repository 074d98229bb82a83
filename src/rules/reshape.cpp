// Reshape, Flatten, Squeeze, Unsqueeze; Expand; Shape. What counts is the memory order: the model axis stays
// where it is when the product of the sizes before it is the same on both sides.
#include "rules/factories.h"
#include "rules/families.h"

#include <algorithm>

namespace mts::rules {
namespace {

// A shape that every model computes for itself: the declared type of the output is then only a claim.
bool shape_is_unknown(const Lane& lane) { return lane.operand(1).mapped() && !lane.operand(1).constant; }

}  // namespace

Proposal propose_reshape(const Lane& lane) {
  const Operand& x = lane.operand(0);
  if (!x.mapped()) return Proposal::refuse("the data is the same but the shape differs");
  if (shape_is_unknown(lane)) return Proposal::refuse("its target shape is computed at run time");
  const Type& y = lane.output_type();
  const Extents in = extents_of(x.type()), out = extents_of(y);
  const auto rank = static_cast<int32_t>(out.size());
  std::vector<Placement> wanted = candidates_of(x);
  wanted.push_back({0, x.rank() == 0 ? Fold::kStacked : Fold::kConcat});
  Proposal proposal;
  for (const Placement& from : wanted) {
    if (!placeable(x.types, from)) continue;
    const Extents fused_in = fused_extents(x.types, from);
    for (int32_t axis = 0; axis <= rank; ++axis) {
      if (!same_prefix(in, static_cast<size_t>(from.axis), out, static_cast<size_t>(axis))) continue;
      for (const Placement& to : with_other_folds({axis, Fold::kConcat})) {
        if (!placeable(lane.outputs[0], to) || !can_reshape(fused_in, fused_extents(lane.outputs[0], to)))
          continue;
        // Members of different sizes have no other form than one after the other, from the first axis on.
        const bool ragged = std::ranges::any_of(x.types, [&](const Type& t) { return t != x.type(); });
        if (ragged && (from.axis != 0 || axis != 0)) continue;
        Option option{
            .strategy = Strategy::kBatch, .operands = {Form::fused(from)}, .outputs = {Form::fused(to)}};
        for (size_t i = 1; i < lane.operands.size(); ++i) option.operands.push_back(Form::absent());
        add_unique(proposal.options, std::move(option));
      }
    }
  }
  if (proposal.options.empty()) proposal.refusal = "its target shape is computed at run time";
  return proposal;
}

Values emit_reshape(const Lane& lane, const Option& option, Span operands, Builder& builder) {
  const Extents from = operand_extents(lane, 0, option.operands[0]),
                to = output_extents(lane, 0, option.outputs[0]);
  return {builder.reshape(operands[0], from, to)};
}

// Expand [.., 1, ..] -> [.., N, ..]: the target needs numbers only where a size changes (1 keeps the data's
// size).
Proposal propose_expand(const Lane& lane) {
  const Operand& x = lane.operand(0);
  if (!x.mapped()) return Proposal::refuse("the data is the same but the shape differs");
  if (shape_is_unknown(lane)) return Proposal::refuse("its target shape is computed at run time");
  const auto rank = static_cast<int32_t>(lane.output_type().rank());
  const int32_t shift = rank - x.rank();
  std::vector<int32_t> changed;  // axes of the output that the data does not have in full
  for (int32_t axis = 0; axis < rank; ++axis) {
    const Dim& size = (*lane.output_type().shape)[static_cast<size_t>(axis)];
    const bool kept = axis >= shift && (*x.type().shape)[static_cast<size_t>(axis - shift)].same_as(size);
    if (kept) continue;
    if (!size.is_known()) return Proposal::refuse("its target shape is computed at run time");
    changed.push_back(axis);
  }
  Proposal proposal;
  std::vector<Placement> wanted;
  for (Placement candidate : candidates_of(x)) {
    candidate.axis += shift;
    for (const Placement& p : with_other_folds(candidate)) wanted.push_back(p);
  }
  for (const Placement& p : wanted) {
    const int32_t merged = p.merged_axis();
    if (merged >= 0 && (merged < shift || std::ranges::find(changed, merged) != changed.end())) continue;
    Option option{.strategy = Strategy::kBatch,
                  .operands = {Form::fused({std::max(p.axis - shift, 0), p.fold}), Form::absent()},
                  .outputs = {Form::fused(p)}};
    add_unique(proposal.options, std::move(option));
  }
  if (proposal.options.empty()) proposal.refusal = "it expands the axis that the models would share";
  return proposal;
}

Values emit_expand(const Lane& lane, const Option& option, Span operands, Builder& builder) {
  const Placement placement = option.outputs[0].placement;
  const auto rank = static_cast<int32_t>(lane.output_type().rank());
  ValueId x = operands[0];
  if (placement.fold == Fold::kStacked) x = align_stacked(x, lane.operand(0), rank, placement.axis, builder);
  const Extents out = output_extents(lane, 0, option.outputs[0]);
  const Shape member = *lane.output_type().shape;
  const int32_t shift = rank - lane.operand(0).rank();
  std::vector<int64_t> target(out.size(), 1);
  for (int32_t axis = 0; axis < rank; ++axis) {
    const auto a = static_cast<size_t>(axis);
    const bool kept = axis >= shift &&
                      (*lane.operand(0).type().shape)[static_cast<size_t>(axis - shift)].same_as(member[a]);
    if (!kept) target[static_cast<size_t>(shifted(axis, placement))] = member[a].value;
  }
  return {builder.node("Expand", {x, builder.ints(std::move(target))}, {},
                       type_of(lane.output_type().dtype, out))};
}

}  // namespace mts::rules
