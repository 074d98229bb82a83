// Models that move between the channels and the batch, before layouts are chosen.
//
// In: a plan whose steps are fused, all values row-major. A stitched graph brings M models from the channels
// into the batch, and back, by
//     [N, M*C, ...] -- Reshape -- Transpose -- Reshape --> [M*N, C, ...]       (for N = 1 also without
//     Transpose)
// which costs nothing where the left side lies models-first and the right side channels-last (exec/layout.h).
// Out: such steps, where convolutions of M models are around, are one view "MoveModels"; what made nothing
// else is gone. The result says for each value the models-first layout that convolutions should give it; 0
// for those that have no part in it, or would have to be in two such layouts. Grouped convolutions whose
// kernels are slow side by side ask for that layout by themselves. Refused (left as it was): other dtypes
// than float32, no convolution around, another order of models and batch.
#pragma once

#include "exec/plan.h"

#include <cstdint>
#include <vector>

namespace mts::exec {

std::vector<int32_t> find_model_moves(ExecPlan& plan);

}  // namespace mts::exec
