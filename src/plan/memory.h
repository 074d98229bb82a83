// Predicted memory of a plan.
//
// In: a program, its lanes and the order in which they run. Out: bytes of the constants, and the most
// activations that are held at one time. What the lanes of a fused value make is one block, held until its
// last reader; elementwise operators and reshapes write where they read when nothing else reads that; parts
// from several places are copied together for their reader. Sizes with a symbol count as CostModel says.
#pragma once

#include "plan/plan.h"

#include <span>
#include <vector>

namespace mts {

PredictedMemory predicted_memory(const Program& program, const std::vector<ColumnPlan>& columns,
                                 std::span<const LaneRef> order);

}  // namespace mts
