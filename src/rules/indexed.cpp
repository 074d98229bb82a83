// Operators that read or write where an index tensor says: GatherElements, GatherND, ScatterElements,
// ScatterND.
#include "rules/factories.h"
#include "rules/families.h"

#include <algorithm>
#include <optional>

namespace mts::rules {
namespace {

// A once operand may be repeated for every model, but a weight would then take its bytes several times.
bool may_repeat(const Operand& operand) { return !operand.constant || !is_weight(operand.type().dtype); }

// The operand in a placement; one that is the same for all models is repeated, which costs a node.
std::optional<Form> fused_form(const Operand& operand, Placement placement, int32_t& extra_launches) {
  if (operand.once()) {
    if (!may_repeat(operand)) return std::nullopt;
    ++extra_launches;
  }
  return Form::fused(placement);
}

// All operands of a lane in these placements; nothing when one of them may not be repeated.
std::optional<Option> all_fused(const Lane& lane, std::span<const Placement> operands, Placement output) {
  Option option{.strategy = strategy_of(lane), .operands = {}, .outputs = {Form::fused(output)}};
  for (size_t i = 0; i < operands.size(); ++i) {
    const auto form = fused_form(lane.operand(i), operands[i], option.extra_launches);
    if (!form) return std::nullopt;
    option.operands.push_back(*form);
  }
  return option;
}

std::vector<Placement> placements_at_hand(const Operand& operand) {
  std::vector<Placement> wanted;
  for (const Placement& candidate : candidates_of(operand))
    for (const Placement& p : with_other_folds(candidate)) wanted.push_back(p);
  return wanted;
}

const Type& type_of_member(const Operand& operand, size_t member) {
  return operand.once() ? operand.type() : operand.types[member];
}

// Whether an axis has one size in the data and in the indices of each member. The indices may be narrower;
// then those of the next member would not lie beside its data.
bool covers(const Lane& lane, int32_t axis) {
  const auto a = static_cast<size_t>(axis);
  for (size_t m = 0; m < lane.size(); ++m)
    if (!(*type_of_member(lane.operand(0), m).shape)[a].same_as(
            (*type_of_member(lane.operand(1), m).shape)[a]))
      return false;
  return true;
}

// [.., k] of an index tensor: how many axes of the data one entry addresses.
std::optional<int32_t> index_depth(const Operand& indices) {
  if (indices.rank() == 0 || !indices.type().shape->back().is_known()) return std::nullopt;
  return static_cast<int32_t>(indices.type().shape->back().value);
}

// Whether the model axis lies at or behind axis `first` without being part of an axis before it.
bool lies_behind(Placement p, int32_t first) {
  return p.fold == Fold::kStacked ? p.axis >= first : p.merged_axis() >= first;
}

}  // namespace

// data [.., D, ..], indices [.., I, ..] and, to scatter, updates like the indices; all have one rank.
//   anything mapped:           all at one placement that does not touch the axis
//   GatherElements, data once: the models' indices one after another along the axis
Proposal propose_elements(const Lane& lane) {
  const Operand &data = lane.operand(0), &indices = lane.operand(1);
  int64_t axis = lane.node().int_or("axis", 0);
  if (!normalise_axis(axis, data.rank())) return Proposal::refuse("its axis is out of range");
  const auto a = static_cast<int32_t>(axis);
  std::vector<Placement> wanted;
  for (const Operand& operand : lane.operands)
    if (operand.mapped() && !operand.constant)
      for (const Placement& p : placements_at_hand(operand)) wanted.push_back(p);
  wanted.push_back({0, Fold::kStacked});
  Proposal proposal;
  if (lane.node().is("GatherElements") && data.once())
    for (const Fold fold : {Fold::kConcat, Fold::kInterleaved}) {
      const Placement p{fold == Fold::kConcat ? a : a + 1, fold};
      add_unique(proposal.options, {.strategy = strategy_of(lane),
                                    .operands = {Form::once(), Form::fused(p)},
                                    .outputs = {Form::fused(p)}});
    }
  for (const Placement& p : wanted) {
    if (p.merged_axis() == a || (p.fold == Fold::kConcat && p.axis < indices.rank() && !covers(lane, p.axis)))
      continue;
    if (auto option = all_fused(lane, std::vector<Placement>(lane.operands.size(), p), p))
      add_unique(proposal.options, std::move(*option));
  }
  if (proposal.options.empty()) proposal.refusal = "a weight that all models share would have to be repeated";
  return proposal;
}

Values emit_elements(const Lane& lane, const Option& option, Span operands, Builder& builder) {
  int64_t axis = lane.node().int_or("axis", 0);
  normalise_axis(axis, lane.operand(0).rank());
  Node prototype = Builder::like(lane.node());
  prototype.set("axis", shifted(axis, option.operands[1].placement));
  return emit_like(std::move(prototype), lane, option, operands, builder);
}

// data [*B, *D, *R], indices [*B, *I, k] with k the length of D: output [*B, *I, *R].
//   indices mapped, data once: the models are among I
//   data mapped, indices once: the models are among R
//   both:                      the models are among B, or one more axis of it
Proposal propose_gather_nd(const Lane& lane) {
  const Operand &data = lane.operand(0), &indices = lane.operand(1);
  const auto depth = index_depth(indices);
  if (!depth) return Proposal::refuse("the length of its index tuples is not known");
  const auto batch = static_cast<int32_t>(lane.node().int_or("batch_dims", 0));
  const int32_t last = indices.rank() - 1, rest = batch + *depth;
  if (batch < 0 || batch > last || rest > data.rank()) return Proposal::refuse("its batch is out of range");
  Proposal proposal;
  const auto offer = [&](Form data_form, Form indices_form, Placement output) {
    add_unique(proposal.options, {.strategy = strategy_of(lane),
                                  .operands = {data_form, indices_form},
                                  .outputs = {Form::fused(output)}});
  };
  if (data.once()) {
    auto wanted = placements_at_hand(indices);
    wanted.push_back({batch, Fold::kStacked});
    for (const Placement& p : wanted)
      if (lies_behind(p, batch) && p.axis <= last && p.merged_axis() < last)
        offer(Form::once(), Form::fused(p), p);
  }
  if (indices.once()) {
    auto wanted = placements_at_hand(data);
    wanted.push_back({rest, Fold::kStacked});
    for (const Placement& p : wanted)
      if (lies_behind(p, rest)) offer(Form::fused(p), Form::once(), {p.axis - rest + last, p.fold});
  }
  auto wanted = placements_at_hand(data.mapped() ? data : indices);
  wanted.push_back({0, Fold::kStacked});
  for (const Placement& p : wanted) {
    const bool allowed =
        p.fold == Fold::kStacked ? p.axis <= batch && lane.opset >= 12 : p.merged_axis() < batch;
    if (!allowed) continue;
    if (auto option = all_fused(lane, std::vector<Placement>{p, p}, p))
      add_unique(proposal.options, std::move(*option));
  }
  if (proposal.options.empty()) proposal.refusal = "both the data and the indices differ between models";
  return proposal;
}

Values emit_gather_nd(const Lane& lane, const Option& option, Span operands, Builder& builder) {
  Node prototype = Builder::like(lane.node());
  const Form &data = option.operands[0], &indices = option.operands[1];
  if (data.is_fused() && indices.is_fused() && data.placement.fold == Fold::kStacked)
    prototype.set("batch_dims", lane.node().int_or("batch_dims", 0) + 1);
  return emit_like(std::move(prototype), lane, option, operands, builder);
}

namespace {

enum ScatterVariant : int32_t { kScatterRest, kScatterModel };

}  // namespace

// data [*D, *R], indices [*I, k] with k the length of D, updates [*I, *R]: output like the data.
//   indices once: the models are among R
//   else:         data [M, *D, *R], indices [M, *I, 1 + k] that begin with the model, updates [M, *I, *R]
Proposal propose_scatter_nd(const Lane& lane) {
  const Operand &data = lane.operand(0), &indices = lane.operand(1), &updates = lane.operand(2);
  const auto depth = index_depth(indices);
  if (!depth) return Proposal::refuse("the length of its index tuples is not known");
  const int32_t last = indices.rank() - 1;
  Proposal proposal;
  if (indices.once()) {
    const int32_t shift = last - *depth;  // from an axis of R in the data to the same one in the updates
    std::vector<Placement> wanted;
    if (data.mapped())
      for (const Placement& p : placements_at_hand(data)) wanted.push_back(p);
    if (updates.mapped())
      for (const Placement& p : placements_at_hand(updates)) wanted.push_back({p.axis - shift, p.fold});
    wanted.push_back({*depth, Fold::kStacked});
    for (const Placement& p : wanted) {
      if (!lies_behind(p, *depth)) continue;
      Option option{.strategy = strategy_of(lane), .operands = {}, .outputs = {Form::fused(p)}};
      const auto data_form = fused_form(data, p, option.extra_launches);
      const auto updates_form = fused_form(updates, {p.axis + shift, p.fold}, option.extra_launches);
      if (!data_form || !updates_form) continue;
      option.operands = {*data_form, Form::once(), *updates_form};
      option.variant = kScatterRest;
      add_unique(proposal.options, std::move(option));
    }
  }
  const Placement stacked{0, Fold::kStacked};
  Option option{.strategy = strategy_of(lane),
                .operands = {},
                .outputs = {Form::fused(stacked)},
                .variant = kScatterModel,
                .extra_launches = 2};
  const auto data_form = fused_form(data, stacked, option.extra_launches);
  const auto updates_form = fused_form(updates, stacked, option.extra_launches);
  if (data_form && updates_form) {
    option.operands = {*data_form, indices.once() ? Form::once() : Form::fused(stacked), *updates_form};
    add_unique(proposal.options, std::move(option));
  }
  if (proposal.options.empty()) proposal.refusal = "a weight that all models share would have to be repeated";
  return proposal;
}

Values emit_scatter_nd(const Lane& lane, const Option& option, Span operands, Builder& builder) {
  if (option.variant == kScatterRest) return emit_same(lane, option, operands, builder);
  // [M, *I, k] (or [*I, k] once) -> a zero in front of each tuple -> + [M, 1.., 1 + k] of (m, 0..)
  const Operand& indices = lane.operand(1);
  const auto models = static_cast<int64_t>(lane.size());
  const int64_t width = *index_depth(indices) + 1;
  Shape padded = *builder.graph().value(operands[1]).type.shape;
  std::vector<int64_t> pads(2 * padded.size(), 0);
  pads[padded.size() - 1] = 1;
  padded.back() = Dim::known(width);
  const ValueId widened = builder.node("Pad", {operands[1], builder.ints(std::move(pads))}, {},
                                       Type::tensor(DType::kInt64, padded));
  std::vector<int64_t> offsets(static_cast<size_t>(models * width), 0);
  for (int64_t m = 0; m < models; ++m) offsets[static_cast<size_t>(m * width)] = m;
  Dims dims(static_cast<size_t>(indices.rank()) + 1, 1);
  dims.front() = models;
  dims.back() = width;
  const ValueId model = builder.constant(Weight::reshape(Weight::int64s(offsets), std::move(dims)));
  if (option.operands[1].kind == Form::Kind::kOnce) padded.insert(padded.begin(), Dim::known(models));
  const ValueId tuples =
      builder.node("Add", {widened, model}, {}, Type::tensor(DType::kInt64, std::move(padded)));
  return emit_same(lane, option, Values{operands[0], tuples, operands[2]}, builder);
}

}  // namespace mts::rules
