// Elementwise operators whose further operands are parameters (Clip's bounds, ...): data mapped, the rest
// once scalars.
#include "rules/factories.h"
#include "rules/families.h"

namespace mts::rules {

Proposal propose_unary(const Lane& lane) {
  for (size_t i = 1; i < lane.operands.size(); ++i)
    if (!lane.operands[i].absent() && lane.operands[i].rank() > 0 && lane.operands[i].once() &&
        lane.operands[i].type().shape->size() > 1)
      return Proposal::refuse("a parameter is no scalar");
  return propose_axis_op(lane, 0, {});
}

Proposal propose_prelu(const Lane& lane) {
  if (!lane.operand(0).mapped()) return Proposal::refuse("the data is the same but the slope differs");
  return propose_broadcast(lane);
}

}  // namespace mts::rules
