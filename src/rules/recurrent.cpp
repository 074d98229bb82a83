// LSTM, GRU, RNN with shared weights: X [S, B, I] (layout 1: [B, S, I]); Y [S, D, B, H], Y_h and Y_c [D, B,
// H] (layout 1: [B, S, D, H], [B, D, H]). Sequences of one batch do not see each other: batches are
// concatenated.
#include "rules/factories.h"
#include "rules/families.h"

namespace mts::rules {

Proposal propose_recurrent(const Lane& lane) {
  const bool batch_first = lane.node().int_or("layout", 0) != 0;
  const auto at = [](int32_t axis) { return Placement{axis, Fold::kConcat}; };
  for (const size_t weight : {1u, 2u, 3u, 7u})  // W, R, B and the peepholes
    if (lane.operand(weight).mapped()) return Proposal::refuse("its weights differ between models");
  if (!lane.operand(0).mapped()) return Proposal::refuse("its input is the same but a state differs");
  Option option{.strategy = Strategy::kBatch, .operands = {}, .outputs = {}};
  for (size_t i = 0; i < lane.operands.size(); ++i) {
    const Operand& operand = lane.operands[i];
    const bool weight = i == 1 || i == 2 || i == 3 || i == 7;
    if (operand.absent()) {
      option.operands.push_back(Form::absent());
    } else if (weight) {
      option.operands.push_back(Form::once());
    } else {
      const int32_t batch_axis = i == 4 ? 0 : batch_first ? 0 : 1;  // sequence_lens is [B]
      option.operands.push_back(Form::fused(at(batch_axis)));
    }
  }
  for (size_t i = 0; i < lane.outputs.size(); ++i) {
    const int32_t batch_axis = batch_first ? 0 : i == 0 ? 2 : 1;
    option.outputs.push_back(lane.has_output(i) ? Form::fused(at(batch_axis)) : Form::absent());
  }
  Proposal proposal;
  proposal.options.push_back(std::move(option));
  return proposal;
}

}  // namespace mts::rules
