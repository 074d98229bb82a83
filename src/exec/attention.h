// Attention as one step:
//
//   s = MatMul(q, k)  ->  scaled, masked (elementwise)  ->  Softmax over the last axis  ->  MatMul(p, v)
//
// becomes mts.Attention(q, k, v, operands of the elementwise work...), whose program (register 0: s) is that
// work, so that a backend can run it tile by tile and never write s out. Transposes, Reshapes and scalar
// factors that only lead to q, k and v, and the Transpose that alone reads the result, go into the step, too:
//
//   strides[0..3]  of q [batch..., S, D], k [batch..., D, T], v [batch..., T, E] and the result [batch..., S,
//                  E], in elements of inputs 0 to 2 and the output; 0 along broadcast axes
//   strides[4]     the extents: batch..., S, T, D, E
//
// Preconditions: all in float32 (where the backend mixes small floats, any of those) with static dims; what
// lies between is read once; casts between float types may lie between, too. Refused: other work between
// (the plan stays as it is), and what the backend does not accept.
#pragma once

#include "exec/backend.h"
#include "exec/plan.h"

#include <string_view>

namespace mts::exec {

inline constexpr std::string_view kAttention = "mts.Attention";

void fuse_attention(ExecPlan& plan, const Backend& backend);

}  // namespace mts::exec
