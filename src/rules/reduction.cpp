// Reductions, softmax and other operators along given axes. x [.., M, ..] stacked: the axes behind M shift by
// one.
#include "rules/factories.h"
#include "rules/families.h"

#include <algorithm>
#include <numeric>
#include <optional>

namespace mts::rules {
namespace {

struct Reduction {
  std::vector<int32_t> axes;  // normalised, ascending
  bool axes_are_input = false;
  bool keep = true;
};

std::optional<Reduction> reduction_of(const Lane& lane) {
  const Node& node = lane.node();
  const int64_t rank = lane.operand(0).rank();
  Reduction reduction;
  reduction.keep = node.int_or("keepdims", 1) != 0;
  std::vector<int64_t> axes = node.ints_or("axes", {});
  // ReduceSum takes its axes as an input from opset 13 on, the others from 18 on.
  reduction.axes_are_input = lane.opset >= (node.op_type == "ReduceSum" ? 13 : 18);
  if (!lane.operand(1).absent()) {
    const Weight* weight = lane.operand(1).shared_weight();
    if (weight == nullptr) return std::nullopt;
    axes = weight->as_int64s();
  }
  if (axes.empty()) {
    if (node.int_or("noop_with_empty_axes", 0) != 0) return reduction;
    axes.resize(static_cast<size_t>(rank));
    std::iota(axes.begin(), axes.end(), 0);
  }
  for (int64_t axis : axes) {
    if (!normalise_axis(axis, rank)) return std::nullopt;
    reduction.axes.push_back(static_cast<int32_t>(axis));
  }
  std::ranges::sort(reduction.axes);
  return reduction;
}

int64_t default_axis(const Lane& lane) {
  const Node& node = lane.node();
  if (node.op_type == "Softmax" || node.op_type == "LogSoftmax" || node.op_type == "Hardmax")
    return lane.opset >= 13 ? -1 : 1;
  if (node.op_type == "ArgMax" || node.op_type == "ArgMin" || node.op_type == "Split") return 0;
  return -1;  // TopK, LpNormalization
}

}  // namespace

Proposal propose_reduce(const Lane& lane) {
  const auto reduction = reduction_of(lane);
  if (!reduction) return Proposal::refuse("its axes are not constant");
  AxisUse use{.touched = reduction->axes, .removed = {}, .preferred = {}};
  if (!reduction->keep) use.removed = reduction->axes;
  return propose_axis_op(lane, 0, use);
}

Values emit_reduce(const Lane& lane, const Option& option, Span operands, Builder& builder) {
  const Reduction reduction = *reduction_of(lane);
  Node prototype = Builder::like(lane.node());
  Values inputs{operands[0]};
  if (!reduction.axes.empty()) {  // "all axes" must not come to mean the model axis too
    auto axes = shifted(reduction.axes, option.operands[0].placement);
    if (reduction.axes_are_input) {
      inputs.push_back(builder.ints(std::move(axes)));
    } else {
      prototype.set("axes", std::move(axes));
    }
  }
  return emit_like(std::move(prototype), lane, option, inputs, builder);
}

Proposal propose_softmax(const Lane& lane) {
  int64_t axis = lane.node().int_or("axis", default_axis(lane));
  const int64_t rank = lane.operand(0).rank();
  if (!normalise_axis(axis, rank)) return Proposal::refuse("its axis is out of range");
  AxisUse use;
  use.touched.push_back(static_cast<int32_t>(axis));
  if (lane.opset < 13) {  // the input is taken as [prod before axis, prod from axis on]
    for (int64_t a = axis + 1; a < rank; ++a) use.touched.push_back(static_cast<int32_t>(a));
    Proposal proposal = propose_axis_op(lane, 0, use);
    std::erase_if(proposal.options, [axis](const Option& o) { return o.operands[0].placement.axis > axis; });
    if (proposal.options.empty()) proposal.refusal = "before opset 13 it mixes all axes from its axis on";
    return proposal;
  }
  return propose_axis_op(lane, 0, use);
}

Proposal propose_axis_attribute(const Lane& lane) {
  int64_t axis = lane.node().int_or("axis", default_axis(lane));
  if (!normalise_axis(axis, lane.operand(0).rank())) return Proposal::refuse("its axis is out of range");
  AxisUse use{.touched = {static_cast<int32_t>(axis)}, .removed = {}, .preferred = {}};
  const bool is_arg = lane.node().op_type == "ArgMax" || lane.node().op_type == "ArgMin";
  if (is_arg && lane.node().int_or("keepdims", 1) == 0) use.removed = use.touched;
  return propose_axis_op(lane, 0, use);
}

Values emit_axis_attribute(const Lane& lane, const Option& option, Span operands, Builder& builder) {
  int64_t axis = lane.node().int_or("axis", default_axis(lane));
  normalise_axis(axis, lane.operand(0).rank());
  Node prototype = Builder::like(lane.node());
  prototype.set("axis", shifted(axis, option.operands[0].placement));
  return emit_like(std::move(prototype), lane, option, operands, builder);
}

Proposal propose_cumsum(const Lane& lane) {
  const Weight* weight = lane.operand(1).shared_weight();
  if (weight == nullptr || weight->element_count() != 1) return Proposal::refuse("its axis is not constant");
  int64_t axis = weight->as_int64s().front();
  if (!normalise_axis(axis, lane.operand(0).rank())) return Proposal::refuse("its axis is out of range");
  return propose_axis_op(lane, 0, {.touched = {static_cast<int32_t>(axis)}, .removed = {}, .preferred = {}});
}

Values emit_cumsum(const Lane& lane, const Option& option, Span operands, Builder& builder) {
  int64_t axis = lane.operand(1).shared_weight()->as_int64s().front();
  normalise_axis(axis, lane.operand(0).rank());
  const ValueId fused_axis =
      builder.constant(Weight::int64_scalar(shifted(axis, option.operands[0].placement)));
  return emit_same(lane, option, Values{operands[0], fused_axis}, builder);
}

}  // namespace mts::rules
