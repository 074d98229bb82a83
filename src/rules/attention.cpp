// Attention and RotaryEmbedding of opset 23: batch on axis 0 of every operand; operands that are the same for all models
// must broadcast over the batch.
#include "rules/factories.h"
#include "rules/families.h"

namespace mts::rules {

Proposal propose_attention(const Lane& lane) {
  constexpr Placement kRagged{0, Fold::kConcat};
  const bool attention = lane.node().op_type == "Attention";
  Option option{.strategy = Strategy::kBatch, .operands = {}, .outputs = {}};
  for (size_t i = 0; i < lane.operands.size(); ++i) {
    const Operand& operand = lane.operands[i];
    if (operand.absent()) {
      option.operands.push_back(Form::absent());
    } else if (operand.mapped()) {
      // An attention mask may lack the batch: [S, T].
      if (operand.rank() < 3) return Proposal::refuse("a mask without a batch axis differs between models");
      option.operands.push_back(Form::fused(kRagged));
    } else {
      const bool parameter = attention ? i == 3 : i != 0;  // the mask; the caches
      const bool broadcasts = operand.rank() < 3 || (attention && (*operand.type().shape)[0] == Dim::known(1));
      if (!parameter || !broadcasts) return Proposal::refuse("an operand with a batch axis is the same for all models");
      option.operands.push_back(Form::once());
    }
  }
  if (!lane.operand(0).mapped()) return Proposal::refuse("its first operand is the same for all models");
  for (size_t i = 0; i < lane.outputs.size(); ++i)
    option.outputs.push_back(lane.has_output(i) ? Form::fused(kRagged) : Form::absent());
  Proposal proposal;
  proposal.options.push_back(std::move(option));
  return proposal;
}

}  // namespace mts::rules
