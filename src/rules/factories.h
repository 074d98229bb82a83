// Factories: most operators are one of these with a line of parameters.
#pragma once

#include "rules/rule.h"

#include <span>
#include <vector>

namespace mts {

// ---- elementwise and broadcasting
// ------------------------------------------------------------------------------- Every operand broadcasts
// against the output, aligned at the last axis.
Proposal propose_broadcast(const Lane& lane);
std::vector<ValueId> emit_broadcast(const Lane& lane, const Option& option, std::span<const ValueId> operands,
                                    Builder& builder);
// Brings a fused (or once) operand of member rank `rank` into line with an output of member rank
// `output_rank` whose model axis is stacked at `axis`: [B, M, C] with a once [C] needs nothing, with a mapped
// [C] it needs [M, C], and so on.
ValueId align_stacked(ValueId value, const Operand& operand, int32_t output_rank, int32_t axis,
                      Builder& builder);

// ---- operators on one data operand, working along known axes
// ------------------------------------------------------
struct AxisUse {
  std::vector<int32_t>
      touched;  // axes that the operator mixes or treats by position; the model axis never merges with them
  std::vector<int32_t> removed;      // axes that the outputs do not have (a subset of touched), ascending
  bool stackable = true;             // the operator takes one more axis
  std::vector<Placement> preferred;  // tried besides those at hand
};
// All operands but `data` must be once or absent. Outputs have the data's placement, shifted past removed
// axes.
Proposal propose_axis_op(const Lane& lane, size_t data, const AxisUse& use);
// Position of an axis of the member's shape in the fused shape.
inline int64_t shifted(int64_t axis, const Placement& placement) {
  return placement.fold == Fold::kStacked && axis >= placement.axis ? axis + 1 : axis;
}
std::vector<int64_t> shifted(std::span<const int32_t> axes, const Placement& placement);

// The original operator on fused operands with no attribute changed.
std::vector<ValueId> emit_same(const Lane& lane, const Option& option, std::span<const ValueId> operands,
                               Builder& builder);
// The same with changed attributes.
std::vector<ValueId> emit_like(Node prototype, const Lane& lane, const Option& option,
                               std::span<const ValueId> operands, Builder& builder);

// Types of the fused outputs that an option promises.
std::vector<Type> fused_outputs(const Lane& lane, const Option& option);
Extents operand_extents(const Lane& lane, size_t position, const Form& form);
Extents output_extents(const Lane& lane, size_t position, const Form& form);

// -1 -> rank-1; false when out of range.
bool normalise_axis(int64_t& axis, int64_t rank);
// Placements at hand for an operand, without duplicates; concat(0) (or stacked(0) for scalars) when there is
// none.
std::vector<Placement> candidates_of(const Operand& operand);
// The placements with the same axis position, the given one first.
std::vector<Placement> with_other_folds(Placement placement);
void add_unique(std::vector<Option>& options, Option option);

}  // namespace mts
