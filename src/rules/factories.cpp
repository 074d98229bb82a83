#include "rules/factories.h"

#include <algorithm>

namespace mts {
namespace {

Form form_at(const Operand& operand, Placement placement) {
  return operand.absent() ? Form::absent() : operand.once() ? Form::once() : Form::fused(placement);
}

// Whether the model axis may merge with axis `merged` of the output: every mapped operand has that axis in
// full, and no once operand has it.
bool may_merge(const Lane& lane, int32_t merged) {
  const auto output_rank = static_cast<int32_t>(lane.output_type().rank());
  if (merged < 0 || merged >= output_rank) return false;
  for (const Operand& operand : lane.operands) {
    if (operand.absent()) continue;
    const int32_t axis = merged - (output_rank - operand.rank());
    if (operand.once()) {
      if (axis >= 0 && (*operand.type().shape)[static_cast<size_t>(axis)] != Dim::known(1)) return false;
      continue;
    }
    if (axis < 0) return false;
    for (size_t m = 0; m < operand.types.size(); ++m) {
      const Dim& dim = (*operand.types[m].shape)[static_cast<size_t>(axis)];
      if (!dim.same_as((*lane.outputs[0][m].shape)[static_cast<size_t>(merged)])) return false;
    }
  }
  return true;
}

}  // namespace

std::vector<Placement> candidates_of(const Operand& operand) {
  std::vector<Placement> candidates;
  for (const Placement& candidate : operand.candidates)
    if (std::ranges::find(candidates, candidate) == candidates.end()) candidates.push_back(candidate);
  if (candidates.empty())
    candidates.push_back(operand.rank() == 0 ? Placement{0, Fold::kStacked} : Placement{0, Fold::kConcat});
  return candidates;
}

std::vector<Placement> with_other_folds(Placement placement) {
  std::vector<Placement> all{placement};
  for (const Fold fold : {Fold::kConcat, Fold::kInterleaved, Fold::kStacked})
    if (fold != placement.fold) all.push_back({placement.axis, fold});
  return all;
}

void add_unique(std::vector<Option>& options, Option option) {
  if (std::ranges::find(options, option) == options.end()) options.push_back(std::move(option));
}

bool normalise_axis(int64_t& axis, int64_t rank) {
  if (axis < 0) axis += rank;
  return axis >= 0 && axis < rank;
}

std::vector<int64_t> shifted(std::span<const int32_t> axes, const Placement& placement) {
  std::vector<int64_t> result;
  for (const int32_t axis : axes) result.push_back(shifted(axis, placement));
  return result;
}

Proposal propose_broadcast(const Lane& lane) {
  const auto output_rank = static_cast<int32_t>(lane.output_type().rank());
  std::vector<Placement> wanted;
  const auto want = [&wanted](Placement p) {
    if (std::ranges::find(wanted, p) == wanted.end()) wanted.push_back(p);
  };
  for (const Operand& operand : lane.operands) {
    if (!operand.mapped() || operand.constant) continue;
    const int32_t shift = output_rank - operand.rank();
    for (Placement candidate : candidates_of(operand)) {
      candidate.axis += shift;
      for (const Placement& p : with_other_folds(candidate)) want(p);
      if (shift > 0 && candidate.axis == shift) want({0, Fold::kStacked});
    }
  }
  if (wanted.empty()) {  // a once activation with mapped constants
    for (int32_t axis = 0; axis <= std::min(output_rank, 1); ++axis)
      for (const Placement& p : with_other_folds({axis, Fold::kConcat})) want(p);
    want({output_rank > 0 ? output_rank - 1 : 0, Fold::kConcat});
  }
  Proposal proposal;
  for (const Placement& placement : wanted) {
    if (placement.fold != Fold::kStacked && !may_merge(lane, placement.merged_axis())) continue;
    Option option{.strategy = strategy_of(lane), .operands = {}, .outputs = {Form::fused(placement)}};
    for (const Operand& operand : lane.operands) {
      const int32_t shift = operand.absent() ? 0 : output_rank - operand.rank();
      option.operands.push_back(form_at(operand, {std::max(placement.axis - shift, 0), placement.fold}));
    }
    add_unique(proposal.options, std::move(option));
  }
  if (proposal.options.empty()) proposal.refusal = "the operands' shapes differ";
  return proposal;
}

ValueId align_stacked(ValueId value, const Operand& operand, int32_t output_rank, int32_t axis,
                      Builder& builder) {
  const int32_t position = axis - (output_rank - operand.rank());
  if (operand.once()) return position > 0 ? builder.unsqueeze(value, {position}) : value;
  std::vector<int64_t> ones;
  for (int32_t i = 1; i <= -position; ++i) ones.push_back(i);  // [M, dims] -> [M, 1.., dims]
  return builder.unsqueeze(value, std::move(ones));
}

std::vector<ValueId> emit_broadcast(const Lane& lane, const Option& option, std::span<const ValueId> operands,
                                    Builder& builder) {
  std::vector<ValueId> inputs(operands.begin(), operands.end());
  const Placement placement = option.outputs[0].placement;
  if (placement.fold == Fold::kStacked) {
    const auto output_rank = static_cast<int32_t>(lane.output_type().rank());
    for (size_t i = 0; i < inputs.size(); ++i)
      if (inputs[i] != kNoValue)
        inputs[i] = align_stacked(inputs[i], lane.operands[i], output_rank, placement.axis, builder);
  }
  return emit_same(lane, option, inputs, builder);
}

Proposal propose_axis_op(const Lane& lane, size_t data, const AxisUse& use) {
  for (size_t i = 0; i < lane.operands.size(); ++i)
    if (i != data && lane.operands[i].mapped())
      return Proposal::refuse("an operand besides the data differs between models");
  const Operand& operand = lane.operand(data);
  if (!operand.mapped()) return Proposal::refuse("the data is the same but another operand differs");
  std::vector<Placement> wanted;
  for (const Placement& candidate : candidates_of(operand))
    for (const Placement& p : with_other_folds(candidate)) wanted.push_back(p);
  wanted.insert(wanted.end(), use.preferred.begin(), use.preferred.end());
  if (use.stackable) wanted.push_back({0, Fold::kStacked});
  wanted.push_back({0, Fold::kConcat});
  Proposal proposal;
  for (const Placement& placement : wanted) {
    if (placement.fold == Fold::kStacked && !use.stackable) continue;
    if (std::ranges::find(use.touched, placement.merged_axis()) != use.touched.end()) continue;
    const auto before = static_cast<int32_t>(
        std::ranges::count_if(use.removed, [&](int32_t axis) { return axis < placement.axis; }));
    Option option{.strategy = Strategy::kBatch, .operands = {}, .outputs = {}};
    for (size_t i = 0; i < lane.operands.size(); ++i)
      option.operands.push_back(form_at(lane.operands[i], placement));
    for (size_t i = 0; i < lane.outputs.size(); ++i)
      option.outputs.push_back(lane.has_output(i) ? Form::fused({placement.axis - before, placement.fold})
                                                  : Form::absent());
    add_unique(proposal.options, std::move(option));
  }
  if (proposal.options.empty()) proposal.refusal = "the operator mixes the axis that the models would share";
  return proposal;
}

Extents operand_extents(const Lane& lane, size_t position, const Form& form) {
  const Operand& operand = lane.operands[position];
  if (!form.is_fused()) return extents_of(operand.type());
  if (operand.mapped()) return fused_extents(operand.types, form.placement);
  const std::vector<Type> repeated(lane.size(), operand.type());  // a once operand asked for fused
  return fused_extents(repeated, form.placement);
}

Extents output_extents(const Lane& lane, size_t position, const Form& form) {
  if (!form.is_fused()) return extents_of(lane.output_type(position));
  return fused_extents(lane.outputs[position], form.placement);
}

std::vector<Type> fused_outputs(const Lane& lane, const Option& option) {
  std::vector<Type> types;
  for (size_t i = 0; i < option.outputs.size(); ++i) {
    if (option.outputs[i].kind == Form::Kind::kAbsent) {
      types.emplace_back();
    } else {
      types.push_back(type_of(lane.output_type(i).dtype, output_extents(lane, i, option.outputs[i])));
    }
  }
  return types;
}

std::vector<ValueId> emit_like(Node prototype, const Lane& lane, const Option& option,
                               std::span<const ValueId> operands, Builder& builder) {
  return builder.nodes(std::move(prototype), {operands.begin(), operands.end()}, fused_outputs(lane, option));
}

std::vector<ValueId> emit_same(const Lane& lane, const Option& option, std::span<const ValueId> operands,
                               Builder& builder) {
  return emit_like(Builder::like(lane.node()), lane, option, operands, builder);
}

}  // namespace mts
