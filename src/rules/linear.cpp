// MatMul, Gemm and Einsum. Distinct weights want the models stacked: [M, B, K] x [M, K, N].
// (Rank-2 [B, M, C] x [M, C, K] would be wrong for B > 1, and silently so for B = M.)
#include "rules/factories.h"
#include "rules/families.h"

#include <algorithm>

namespace mts::rules {
namespace {

enum MatMulVariant : int32_t { kDirect, kFlattenRows };
enum GemmVariant : int32_t { kGemm, kSplitBias, kBatched };

Form form_of(const Operand& operand, Placement placement) {
  return operand.absent() ? Form::absent() : operand.once() ? Form::once() : Form::fused(placement);
}

void offer(Proposal& proposal, const Lane& lane, std::vector<Form> operands, Placement output,
           int32_t variant = 0, int32_t extra = 0) {
  add_unique(proposal.options, {.strategy = strategy_of(lane),
                                .operands = std::move(operands),
                                .outputs = {Form::fused(output)},
                                .variant = variant,
                                .extra_launches = extra});
}

const Dim& dim_of(const Type& type, int32_t axis) { return (*type.shape)[static_cast<size_t>(axis)]; }

// Whether batch axis `axis` of the output can carry the model axis merged.
bool may_merge_batch_axis(const Lane& lane, int32_t axis, int32_t output_rank) {
  for (size_t i = 0; i < 2; ++i) {
    const Operand& operand = lane.operand(i);
    const int32_t own = axis - (output_rank - operand.rank());
    if (operand.once()) {
      if (own >= 0 && dim_of(operand.type(), own) != Dim::known(1)) return false;
      continue;
    }
    if (own < 0) return false;
    for (size_t m = 0; m < lane.size(); ++m)
      if (!dim_of(operand.types[m], own).same_as(dim_of(lane.outputs[0][m], axis))) return false;
  }
  return true;
}

bool may_merge(const Lane& lane, Placement placement, int32_t output_rank) {
  const Operand &a = lane.operand(0), &b = lane.operand(1);
  const int32_t merged = placement.merged_axis();
  if (merged < 0 || merged >= output_rank) return false;
  if (merged == output_rank - 1)
    return a.once() && b.mapped() && placement.fold == Fold::kConcat;  // columns: fan-out
  if (merged == output_rank - 2) return a.mapped() && b.once();        // rows
  return may_merge_batch_axis(lane, merged, output_rank);
}

}  // namespace

Proposal propose_matmul(const Lane& lane) {
  const Operand &a = lane.operand(0), &b = lane.operand(1);
  if (a.rank() < 2 || b.rank() < 2) return Proposal::refuse("an operand is a vector");
  const auto rank = static_cast<int32_t>(lane.output_type().rank());
  std::vector<Placement> wanted;
  for (const Operand* operand : {&a, &b}) {
    if (!operand->mapped() || operand->constant) continue;
    for (Placement candidate : candidates_of(*operand)) {
      candidate.axis += rank - operand->rank();
      for (const Placement& p : with_other_folds(candidate)) wanted.push_back(p);
    }
  }
  if (a.once()) wanted.push_back({rank - 1, Fold::kConcat});
  wanted.push_back({0, Fold::kStacked});
  wanted.push_back({0, Fold::kConcat});
  Proposal proposal;
  for (const Placement& p : wanted) {
    const int32_t a_axis = p.axis - (rank - a.rank()), b_axis = p.axis - (rank - b.rank());
    if (p.fold != Fold::kStacked) {
      if (may_merge(lane, p, rank))
        offer(proposal, lane, {form_of(a, {a_axis, p.fold}), form_of(b, {b_axis, p.fold})}, p);
      continue;
    }
    // Stacked before the rows; between rows and columns only with one shared matrix: [.., S, M, K] x [K, N].
    const bool among_rows = p.axis == rank - 1 && a.mapped() && b.once() && b.rank() == 2;
    if (p.axis > rank - 2 && !among_rows) continue;
    // One distinct matrix a model and several batch axes: [M, B*S, K] x [M, K, N] is one GEMM a model.
    const bool flatten = p.axis == 0 && rank > 2 && a.mapped() && a.rank() == rank && b.mapped() &&
                         b.rank() == 2 && placeable(lane.outputs[0], p) &&
                         can_reshape({{1, "rows"}}, fused_extents(lane.outputs[0], p));
    offer(proposal, lane,
          {form_of(a, {std::max(a_axis, 0), p.fold}), form_of(b, {std::max(b_axis, 0), p.fold})}, p,
          flatten ? kFlattenRows : kDirect);
  }
  if (proposal.options.empty()) proposal.refusal = "the batch axes of the operands differ";
  return proposal;
}

Values emit_matmul(const Lane& lane, const Option& option, Span operands, Builder& builder) {
  const Placement placement = option.outputs[0].placement;
  if (placement.fold != Fold::kStacked) return emit_same(lane, option, operands, builder);
  const auto rank = static_cast<int32_t>(lane.output_type().rank());
  const DType dtype = lane.output_type().dtype;
  if (option.variant == kFlattenRows) {
    const auto models = static_cast<int64_t>(lane.size());
    const Extents x = operand_extents(lane, 0, option.operands[0]);
    const Extents y = output_extents(lane, 0, option.outputs[0]);
    const Extent rows{1, "rows"};  // B*S: the one size that Reshape finds by itself
    const ValueId flat = builder.reshape(operands[0], x, {{models, {}}, rows, x.back()});
    const Extents flat_y{{models, {}}, rows, y.back()};
    const ValueId product =
        builder.node(lane.node().op_type, {flat, operands[1]}, {}, type_of(dtype, flat_y));
    return {builder.reshape(product, flat_y, y)};
  }
  const bool among_rows = placement.axis == rank - 1;
  Values inputs;
  for (size_t i = 0; i < 2; ++i)
    inputs.push_back(among_rows
                         ? operands[i]
                         : align_stacked(operands[i], lane.operands[i], rank, placement.axis, builder));
  return emit_same(lane, option, inputs, builder);
}

namespace {

// Every member's bias [N] is as long as its output's rows.
bool covers_columns(const Lane& lane) {
  const Operand& c = lane.operand(2);
  for (size_t m = 0; m < lane.size(); ++m)
    if (!dim_of(c.once() ? c.type() : c.types[m], 0).same_as(dim_of(lane.outputs[0][m], 1))) return false;
  return true;
}

}  // namespace

Proposal propose_gemm(const Lane& lane) {
  const Node& node = lane.node();
  const Operand &a = lane.operand(0), &b = lane.operand(1), &c = lane.operand(2);
  if (node.int_or("transA", 0) != 0) return Proposal::refuse("its first operand is transposed");
  const bool transposed = node.int_or("transB", 0) != 0;
  const bool unscaled = node.float_or("alpha", 1) == 1 && node.float_or("beta", 1) == 1;
  // A bias [N], [1, N] or a scalar does not see the rows.
  for (const Type& type : c.types)
    if (type.rank() == 2 && dim_of(type, 0) != Dim::known(1)) return Proposal::refuse("its bias has rows");
  const bool bias_in_full = !c.absent() && c.rank() == 1 && covers_columns(lane);
  // Broadcasts over the output [M, B, N] or [B, M, N].
  const auto bias_at = [&](int32_t axis) {
    return form_of(c, {std::max(axis - (2 - (c.absent() ? 0 : c.rank())), 0), Fold::kStacked});
  };
  const auto with_bias = [&](std::vector<Form> forms, Form bias) {
    if (lane.operands.size() > 2) forms.push_back(bias);
    return forms;
  };
  constexpr Placement kRows{0, Fold::kConcat}, kBatchFolded{1, Fold::kInterleaved},
      kColumns{1, Fold::kConcat};
  constexpr Placement kStackedFirst{0, Fold::kStacked}, kStackedSecond{1, Fold::kStacked};
  const bool bias_apart = c.mapped();
  Proposal proposal;
  if (a.once()) {
    const Form w = form_of(b, {transposed ? 0 : 1, Fold::kConcat});
    if (b.mapped() && (c.absent() || (c.mapped() && bias_in_full))) {
      offer(proposal, lane, with_bias({Form::once(), w}, form_of(c, {0, Fold::kConcat})), kColumns, kGemm);
    } else if (!unscaled) {
      return Proposal::refuse("it scales its product or bias");
    } else if (b.mapped()) {  // one bias: [B, M, N] + [N]
      offer(proposal, lane, with_bias({Form::once(), w}, bias_at(1)), kStackedSecond, kSplitBias, 1);
    } else {  // only the bias differs: [B, N] + [M, 1, N]
      offer(proposal, lane, with_bias({Form::once(), Form::once()}, Form::fused(kStackedFirst)),
            kStackedFirst, kSplitBias, 1);
    }
    return proposal;
  }
  if (b.once()) {
    if (bias_apart && !unscaled) return Proposal::refuse("it scales its product or bias");
    if (bias_apart) {
      offer(proposal, lane, with_bias({Form::fused(kRows), Form::once()}, Form::fused(kStackedFirst)),
            kStackedFirst, kSplitBias, 1);
      offer(proposal, lane, with_bias({Form::fused(kBatchFolded), Form::once()}, bias_at(1)), kStackedSecond,
            kSplitBias, 1);
    } else {
      for (const Placement& p : {kRows, kBatchFolded})
        offer(proposal, lane, with_bias({Form::fused(p), Form::once()}, form_of(c, p)), p, kGemm);
    }
    return proposal;
  }
  if (!unscaled) return Proposal::refuse("it scales its product or bias");
  offer(proposal, lane,
        with_bias({Form::fused(kStackedFirst), Form::fused(kStackedFirst)}, form_of(c, kStackedFirst)),
        kStackedFirst, kBatched, c.absent() ? 0 : 1);
  return proposal;
}

namespace {

// The bias for an output with the models stacked at `axis`: [.., M, N] over [M, B, N] or [B, M, N].
ValueId stacked_bias(const Lane& lane, ValueId bias, int32_t axis, Builder& builder) {
  return align_stacked(bias, lane.operand(2), 2, axis, builder);
}

}  // namespace

Values emit_gemm(const Lane& lane, const Option& option, Span operands, Builder& builder) {
  if (option.variant == kGemm) return emit_same(lane, option, operands, builder);
  const DType dtype = lane.output_type().dtype;
  const Form& output = option.outputs[0];
  const Extents extents = output_extents(lane, 0, output);
  const bool transposed = lane.node().int_or("transB", 0) != 0;
  const bool has_bias = !lane.operand(2).absent();
  ValueId y;
  if (option.variant == kBatched) {
    ValueId w = operands[1];
    if (transposed) {  // [M, N, K] -> [M, K, N]
      Extents w_extents = operand_extents(lane, 1, option.operands[1]);
      std::swap(w_extents[1], w_extents[2]);
      w = builder.transpose(w, {0, 2, 1}, type_of(dtype, w_extents));
    }
    y = builder.node("MatMul", {operands[0], w}, {}, type_of(dtype, extents));
  } else {
    Node prototype = Builder::like(lane.node());
    Extents product;  // of the Gemm without bias
    if (lane.operand(0).once()) {
      product = lane.operand(1).mapped() ? output_extents(lane, 0, Form::fused({1, Fold::kConcat}))
                                         : extents_of(lane.output_type());
    } else {
      product = output_extents(lane, 0, option.operands[0]);
    }
    y = builder.nodes(std::move(prototype), {operands[0], operands[1]}, {type_of(dtype, product)}).front();
    const bool broadcast_models = lane.operand(0).once() && lane.operand(1).once();
    if (!broadcast_models) y = builder.reshape(y, product, extents);
  }
  if (!has_bias) return {y};
  return {builder.node("Add", {y, stacked_bias(lane, operands[2], output.placement.axis, builder)}, {},
                       type_of(dtype, extents))};
}

namespace {

struct Equation {
  std::vector<std::string> inputs;
  std::string output;
  bool operator==(const Equation&) const = default;
};

// Explicit equations without ellipsis; empty inputs otherwise.
Equation parse(std::string text) {
  std::erase(text, ' ');
  Equation equation;
  const size_t arrow = text.find("->");
  if (arrow == std::string::npos || text.find('.') != std::string::npos) return equation;
  equation.output = text.substr(arrow + 2);
  std::string inputs = text.substr(0, arrow);
  for (size_t comma; (comma = inputs.find(',')) != std::string::npos; inputs.erase(0, comma + 1))
    equation.inputs.push_back(inputs.substr(0, comma));
  equation.inputs.push_back(inputs);
  return equation;
}

}  // namespace

// One more letter in front of every mapped operand and the output.
Proposal propose_einsum(const Lane& lane) {
  const Equation equation = parse(lane.node().string_or("equation", ""));
  if (equation.inputs.size() != lane.operands.size())
    return Proposal::refuse("its equation is implicit or has an ellipsis");
  Proposal proposal;
  std::vector<Form> forms;
  for (const Operand& operand : lane.operands) forms.push_back(form_of(operand, {0, Fold::kStacked}));
  offer(proposal, lane, std::move(forms), {0, Fold::kStacked});
  return proposal;
}

Values emit_einsum(const Lane& lane, const Option& option, Span operands, Builder& builder) {
  const Equation equation = parse(lane.node().string_or("equation", ""));
  const std::string text = lane.node().string_or("equation", "");
  char letter = 'a';
  while (text.find(letter) != std::string::npos) ++letter;
  std::string stacked;
  for (size_t i = 0; i < equation.inputs.size(); ++i) {
    if (i > 0) stacked += ',';
    if (lane.operands[i].mapped()) stacked += letter;
    stacked += equation.inputs[i];
  }
  Node prototype = Builder::like(lane.node());
  prototype.set("equation", stacked + "->" + letter + equation.output);
  return emit_like(std::move(prototype), lane, option, operands, builder);
}

}  // namespace mts::rules
