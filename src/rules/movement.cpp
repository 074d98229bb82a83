// Operators that move elements: Concat, Split, Slice, Gather, Pad, Transpose, Trilu, Tile. Parameters are
// constants that are re-derived for the fused rank.
#include "rules/factories.h"
#include "rules/families.h"

#include <algorithm>
#include <optional>

namespace mts::rules {
namespace {

// Integers given by an attribute in old opsets and by a constant input in new ones.
std::optional<std::vector<int64_t>> parameter(const Lane& lane, std::string_view attribute, size_t input) {
  if (const Attribute* a = lane.node().find(attribute))
    if (const auto* ints = std::get_if<std::vector<int64_t>>(&a->value)) return *ints;
  if (lane.operand(input).absent()) return std::vector<int64_t>{};
  const Weight* weight = lane.operand(input).shared_weight();
  if (weight == nullptr) return std::nullopt;
  return weight->as_int64s();
}

}  // namespace

// All operands are concatenated; once ones are repeated for every model first.
Proposal propose_concat(const Lane& lane) {
  const auto rank = static_cast<int32_t>(lane.output_type().rank());
  int64_t axis = lane.node().int_or("axis", 1);
  if (!normalise_axis(axis, rank)) return Proposal::refuse("its axis is out of range");
  std::vector<Placement> wanted;
  for (const Operand& operand : lane.operands)
    if (operand.mapped() && !operand.constant)
      for (const Placement& candidate : candidates_of(operand))
        for (const Placement& p : with_other_folds(candidate)) wanted.push_back(p);
  wanted.push_back({0, Fold::kStacked});
  wanted.push_back({0, Fold::kConcat});
  Proposal proposal;
  for (const Placement& p : wanted) {
    if (p.merged_axis() == axis) continue;
    Option option{.strategy = strategy_of(lane), .operands = {}, .outputs = {Form::fused(p)}};
    for (const Operand& operand : lane.operands) {
      option.operands.push_back(operand.absent() ? Form::absent() : Form::fused(p));
      if (operand.once()) ++option.extra_launches;
    }
    add_unique(proposal.options, std::move(option));
  }
  if (proposal.options.empty())
    proposal.refusal = "it concatenates along the axis that the models would share";
  return proposal;
}

Values emit_concat(const Lane& lane, const Option& option, Span operands, Builder& builder) {
  int64_t axis = lane.node().int_or("axis", 1);
  normalise_axis(axis, static_cast<int64_t>(lane.output_type().rank()));
  Node prototype = Builder::like(lane.node());
  prototype.set("axis", shifted(axis, option.outputs[0].placement));
  return emit_like(std::move(prototype), lane, option, operands, builder);
}

namespace {

struct SliceParameters {
  std::vector<int64_t> starts, ends, axes, steps;
};

std::optional<SliceParameters> slice_of(const Lane& lane) {
  const auto starts = parameter(lane, "starts", 1), ends = parameter(lane, "ends", 2),
             axes = parameter(lane, "axes", 3), steps = parameter(lane, "steps", 4);
  if (!starts || !ends || !axes || !steps || starts->size() != ends->size()) return std::nullopt;
  SliceParameters slice{*starts, *ends, *axes, *steps};
  if (slice.axes.empty())
    for (size_t i = 0; i < slice.starts.size(); ++i) slice.axes.push_back(static_cast<int64_t>(i));
  slice.steps.resize(slice.starts.size(), 1);
  for (int64_t& axis : slice.axes)
    if (!normalise_axis(axis, lane.operand(0).rank())) return std::nullopt;
  return slice;
}

}  // namespace

Proposal propose_slice(const Lane& lane) {
  const auto slice = slice_of(lane);
  if (!slice) return Proposal::refuse("its bounds are computed at run time");
  AxisUse use;
  for (const int64_t axis : slice->axes) use.touched.push_back(static_cast<int32_t>(axis));
  return propose_axis_op(lane, 0, use);
}

Values emit_slice(const Lane& lane, const Option& option, Span operands, Builder& builder) {
  SliceParameters slice = *slice_of(lane);
  for (int64_t& axis : slice.axes) axis = shifted(axis, option.operands[0].placement);
  Node prototype = Builder::like(lane.node());
  if (lane.opset < 10) {
    prototype.set("axes", slice.axes);
    return emit_like(std::move(prototype), lane, option, Values{operands[0]}, builder);
  }
  // Index inputs keep one dtype.
  const Values inputs{operands[0], builder.ints(slice.starts), builder.ints(slice.ends),
                      builder.ints(slice.axes), builder.ints(slice.steps)};
  return emit_like(std::move(prototype), lane, option, inputs, builder);
}

namespace {

enum GatherVariant : int32_t { kGatherData, kGatherIndices, kGatherTables };

}  // namespace

// data [.., V, ..], indices [*I]: output [.., *I, ..].
//   data mapped, indices once: along the data's other axes
//   data once, indices mapped: the models are among the indices
//   tables mapped (constants), indices mapped: one table [M*V, ..] and indices + m*V
Proposal propose_gather(const Lane& lane) {
  const Operand &data = lane.operand(0), &indices = lane.operand(1);
  int64_t axis = lane.node().int_or("axis", 0);
  if (!normalise_axis(axis, data.rank())) return Proposal::refuse("its axis is out of range");
  const auto a = static_cast<int32_t>(axis);
  const int32_t added = indices.rank() - 1;
  Proposal proposal;
  const auto offer = [&](Form data_form, Form indices_form, Placement output, int32_t variant,
                         int32_t extra = 0) {
    add_unique(proposal.options, {.strategy = strategy_of(lane),
                                  .operands = {data_form, indices_form},
                                  .outputs = {Form::fused(output)},
                                  .variant = variant,
                                  .extra_launches = extra});
  };
  if (data.mapped() && indices.once()) {
    std::vector<Placement> wanted;
    for (const Placement& candidate : candidates_of(data))
      for (const Placement& p : with_other_folds(candidate)) wanted.push_back(p);
    wanted.push_back({0, Fold::kStacked});
    for (const Placement& p : wanted) {
      if (p.merged_axis() == a) continue;
      const int32_t axis_out = p.axis > a ? p.axis + added : p.axis;
      offer(Form::fused(p), Form::once(), {axis_out, p.fold}, kGatherData);
    }
    return proposal;
  }
  if (data.once() && indices.mapped()) {
    for (const Placement& candidate : candidates_of(indices))
      for (const Placement& p : with_other_folds(candidate)) {
        if (p.fold == Fold::kInterleaved && p.axis == 0) continue;
        offer(Form::once(), Form::fused(p), {a + p.axis, p.fold}, kGatherIndices);
      }
    return proposal;
  }
  if (!data.constant || a != 0)
    return Proposal::refuse("both the data and the indices differ between models");
  for (const Type& type : data.types)
    if (type != data.type()) return Proposal::refuse("the tables have different sizes");
  if (indices.type().dtype != DType::kInt64 && indices.type().dtype != DType::kInt32)
    return Proposal::refuse("its indices are no integers");
  const Form tables = Form::fused({0, Fold::kConcat});
  for (const Placement& candidate : candidates_of(indices))
    offer(tables, Form::fused({candidate.axis, Fold::kStacked}), {candidate.axis, Fold::kStacked},
          kGatherTables, 2);
  return proposal;
}

Values emit_gather(const Lane& lane, const Option& option, Span operands, Builder& builder) {
  int64_t axis = lane.node().int_or("axis", 0);
  normalise_axis(axis, lane.operand(0).rank());
  Node prototype = Builder::like(lane.node());
  if (option.variant == kGatherData) {
    prototype.set("axis", shifted(axis, option.operands[0].placement));
    return emit_like(std::move(prototype), lane, option, operands, builder);
  }
  if (option.variant == kGatherIndices)
    return emit_like(std::move(prototype), lane, option, operands, builder);
  // indices mod V (negative ones count from the end) + m*V, with m along the stacked model axis
  const Operand& indices = lane.operand(1);
  const int64_t rows = lane.operand(0).type().shape->front().value;
  const auto models = static_cast<int64_t>(lane.size());
  const int32_t position = option.outputs[0].placement.axis;
  const DType dtype = indices.type().dtype;
  const auto number = [&](std::vector<int64_t> values, Dims dims) {
    if (dtype == DType::kInt64)
      return builder.constant(Weight::reshape(Weight::int64s(values), std::move(dims)));
    std::vector<int32_t> narrow(values.begin(), values.end());
    return builder.constant(
        Weight::from_bytes(dtype, std::move(dims),
                           own_bytes(std::string(reinterpret_cast<const char*>(narrow.data()),
                                                 narrow.size() * sizeof(int32_t)))));
  };
  std::vector<int64_t> offsets;
  Dims offset_dims{models};
  for (int64_t m = 0; m < models; ++m) offsets.push_back(m * rows);
  for (int32_t i = position; i < indices.rank(); ++i) offset_dims.push_back(1);
  const Extents extents = operand_extents(lane, 1, option.operands[1]);
  const ValueId wrapped =
      builder.node("Mod", {operands[1], number({rows}, {})}, {}, builder.graph().value(operands[1]).type);
  const ValueId shifted_indices = builder.node(
      "Add", {wrapped, number(std::move(offsets), std::move(offset_dims))}, {}, type_of(dtype, extents));
  return emit_like(std::move(prototype), lane, option, Values{operands[0], shifted_indices}, builder);
}

Proposal propose_pad(const Lane& lane) {
  const auto pads = parameter(lane, "pads", 1);
  const auto axes = parameter(lane, "axes", 3);
  if (!pads || !axes || pads->empty()) return Proposal::refuse("its pads are computed at run time");
  const auto rank = static_cast<size_t>(lane.operand(0).rank());
  AxisUse use;
  if (axes->empty()) {
    if (pads->size() != 2 * rank) return Proposal::refuse("its pads do not cover all axes");
    for (size_t axis = 0; axis < rank; ++axis)
      if ((*pads)[axis] != 0 || (*pads)[axis + rank] != 0) use.touched.push_back(static_cast<int32_t>(axis));
  } else {
    for (int64_t axis : *axes) {
      if (!normalise_axis(axis, lane.operand(0).rank())) return Proposal::refuse("an axis is out of range");
      use.touched.push_back(static_cast<int32_t>(axis));
    }
  }
  // Engines pad other modes than constant for few ranks only.
  use.stackable = lane.node().string_or("mode", "constant") == "constant";
  return propose_axis_op(lane, 0, use);
}

Values emit_pad(const Lane& lane, const Option& option, Span operands, Builder& builder) {
  const Placement placement = option.operands[0].placement;
  if (placement.fold != Fold::kStacked) return emit_same(lane, option, operands, builder);
  std::vector<int64_t> pads = *parameter(lane, "pads", 1), axes = *parameter(lane, "axes", 3);
  Node prototype = Builder::like(lane.node());
  Values inputs(operands.begin(), operands.end());
  if (axes.empty()) {
    const auto rank = static_cast<std::ptrdiff_t>(lane.operand(0).rank());
    pads.insert(pads.begin() + rank + placement.axis, 0);
    pads.insert(pads.begin() + placement.axis, 0);
  } else {
    for (int64_t& axis : axes) {
      normalise_axis(axis, lane.operand(0).rank());
      axis = shifted(axis, placement);
    }
    inputs[3] = builder.ints(std::move(axes));
  }
  if (lane.opset < 11) {
    prototype.set("pads", std::move(pads));
  } else {
    inputs[1] = builder.ints(std::move(pads));
  }
  return emit_like(std::move(prototype), lane, option, inputs, builder);
}

namespace {

std::vector<int64_t> permutation_of(const Lane& lane) {
  std::vector<int64_t> reversed;
  for (int64_t axis = lane.operand(0).rank(); axis-- > 0;) reversed.push_back(axis);
  return lane.node().ints_or("perm", std::move(reversed));
}

}  // namespace

Proposal propose_transpose(const Lane& lane) {
  const auto permutation = permutation_of(lane);
  Proposal proposal;
  std::vector<Placement> wanted;
  for (const Placement& candidate : candidates_of(lane.operand(0)))
    for (const Placement& p : with_other_folds(candidate)) wanted.push_back(p);
  const auto position = [&](int32_t axis) {
    return static_cast<int32_t>(std::ranges::find(permutation, axis) - permutation.begin());
  };
  const auto offer = [&](Placement from, Placement to) {
    add_unique(proposal.options,
               {.strategy = Strategy::kBatch, .operands = {Form::fused(from)}, .outputs = {Form::fused(to)}});
  };
  for (const Placement& p : wanted) {
    switch (p.fold) {
      case Fold::kConcat:
        offer(p, {position(p.axis), Fold::kConcat});
        break;
      case Fold::kInterleaved:
        offer(p, {position(p.axis - 1) + 1, Fold::kInterleaved});
        break;
      case Fold::kStacked:  // since it moves everything anyway, the model axis may go anywhere
        for (int32_t to = 0; to <= lane.operand(0).rank(); ++to) offer(p, {to, Fold::kStacked});
        break;
    }
  }
  return proposal;
}

Values emit_transpose(const Lane& lane, const Option& option, Span operands, Builder& builder) {
  std::vector<int64_t> permutation = permutation_of(lane);
  const Placement from = option.operands[0].placement, to = option.outputs[0].placement;
  if (from.fold == Fold::kStacked) {
    for (int64_t& axis : permutation) axis = shifted(axis, from);
    permutation.insert(permutation.begin() + to.axis, from.axis);
  }
  Node prototype = Builder::like(lane.node());
  prototype.set("perm", std::move(permutation));
  return emit_like(std::move(prototype), lane, option, operands, builder);
}

Proposal propose_trailing_axes(const Lane& lane) {
  const int32_t rank = lane.operand(0).rank();
  Proposal proposal =
      propose_axis_op(lane, 0, {.touched = {rank - 2, rank - 1}, .removed = {}, .preferred = {}});
  // The model axis must come before the matrix.
  std::erase_if(proposal.options,
                [rank](const Option& o) { return o.operands[0].placement.axis > rank - 2; });
  if (proposal.options.empty()) proposal.refusal = "it works on the last two axes";
  return proposal;
}

Proposal propose_tile(const Lane& lane) {
  const auto repeats = parameter(lane, "repeats", 1);
  if (!repeats || repeats->size() != static_cast<size_t>(lane.operand(0).rank()))
    return Proposal::refuse("its repeats are computed at run time");
  AxisUse use;
  for (size_t axis = 0; axis < repeats->size(); ++axis)
    if ((*repeats)[axis] != 1) use.touched.push_back(static_cast<int32_t>(axis));
  return propose_axis_op(lane, 0, use);
}

Values emit_tile(const Lane& lane, const Option& option, Span operands, Builder& builder) {
  auto repeats = *parameter(lane, "repeats", 1);
  const Placement placement = option.operands[0].placement;
  if (placement.fold == Fold::kStacked) repeats.insert(repeats.begin() + placement.axis, 1);
  return emit_same(lane, option, Values{operands[0], builder.ints(std::move(repeats))}, builder);
}

}  // namespace mts::rules
