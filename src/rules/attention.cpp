// Attention and RotaryEmbedding of opset 23, GridSample and DeformConv: batch on axis 0. What has a batch
// axis and is the same for all models is repeated for each of them; what broadcasts over the batch stays
// once.
#include "rules/factories.h"
#include "rules/families.h"

namespace mts::rules {
namespace {

constexpr Placement kRagged{0, Fold::kConcat};
constexpr size_t kNone = static_cast<size_t>(-1);

const Type& type_of_member(const Operand& operand, size_t member) {
  return operand.once() ? operand.type() : operand.types[member];
}

// Whether every member's first axis is the batch of its data.
bool has_batch(const Lane& lane, const Operand& operand) {
  for (size_t m = 0; m < lane.size(); ++m)
    if (!type_of_member(operand, m).shape->front().same_as(type_of_member(lane.operand(0), m).shape->front()))
      return false;
  return true;
}

// The mask broadcasts to [B, H, S, T] from the right.
bool broadcasts_over_batch(const Operand& mask) {
  return mask.rank() < 4 || mask.type().shape->front() == Dim::known(1);
}

Proposal propose_on_batch(const Lane& lane, size_t broadcasting) {
  Option option{.strategy = Strategy::kBatch, .operands = {}, .outputs = {}};
  if (!lane.operand(0).mapped()) return Proposal::refuse("its first operand is the same for all models");
  for (size_t i = 0; i < lane.operands.size(); ++i) {
    const Operand& operand = lane.operands[i];
    if (operand.absent()) {
      option.operands.push_back(Form::absent());
    } else if (i == broadcasting && operand.once() && broadcasts_over_batch(operand)) {
      option.operands.push_back(Form::once());
    } else {
      if (i == broadcasting && operand.rank() < 4)
        return Proposal::refuse("a mask without a batch axis differs between models");
      if (operand.rank() == 0 || !has_batch(lane, operand))
        return Proposal::refuse("an operand has another batch size than the data");
      option.operands.push_back(Form::fused(kRagged));
    }
  }
  for (size_t i = 0; i < lane.outputs.size(); ++i)
    option.outputs.push_back(lane.has_output(i) ? Form::fused(kRagged) : Form::absent());
  Proposal proposal;
  proposal.options.push_back(std::move(option));
  return proposal;
}

}  // namespace

Proposal propose_attention(const Lane& lane) { return propose_on_batch(lane, 3); }

// X and the grid of the places to sample.
Proposal propose_grid_sample(const Lane& lane) { return propose_on_batch(lane, kNone); }

// X, W, offsets, bias, mask: offsets and mask come from the data, the weights are the layer's.
Proposal propose_deform_conv(const Lane& lane) {
  if (lane.operand(1).mapped() || lane.operand(3).mapped())
    return Proposal::refuse("its weights differ between models");
  Lane without_weights = lane;
  without_weights.operands[1] = Operand{};
  if (lane.operands.size() > 3) without_weights.operands[3] = Operand{};
  Proposal proposal = propose_on_batch(without_weights, kNone);
  for (Option& option : proposal.options) {
    option.operands[1] = Form::once();
    if (!lane.operand(3).absent()) option.operands[3] = Form::once();
  }
  return proposal;
}

// X, cos and sin, position ids. With ids the caches are tables [P, D/2], else they have the batch axis.
Proposal propose_rotary_embedding(const Lane& lane) {
  if (lane.operand(3).absent()) return propose_on_batch(lane, kNone);
  if (lane.operand(1).mapped() || lane.operand(2).mapped())
    return Proposal::refuse("its tables differ between models");
  Lane without_tables = lane;
  without_tables.operands[1] = without_tables.operands[2] = Operand{};
  Proposal proposal = propose_on_batch(without_tables, kNone);
  for (Option& option : proposal.options) option.operands[1] = option.operands[2] = Form::once();
  return proposal;
}

}  // namespace mts::rules
