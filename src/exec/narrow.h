// Plans of float32 on a device that holds its values in 16 bits.
//
//   x:f32 -> Conv (W:f32) -> Relu -> y:f32   becomes   x:f32 -> cast -> Conv (W:f16) -> Relu -> cast -> y:f32
//
// In: a plan of one step a node (activations recognised), and float16 or bfloat16. Out: weights and
// activations of that type where the tables of narrow.cpp say so, casts between the two (elementwise steps,
// which fuse); inputs and outputs of the graph keep their types. Kernels compute in float32 whatever they
// read, so normalisations, softmax and reductions accumulate in float32.
//
// What stays float32: integer data and what is computed from shapes or integers alone (positions, scales);
// operators whose results leave the range or precision of 16 bits; constants beyond the type's largest number
// (masks of -3e38) and elementwise work with them; what the backend does not take in 16 bits; host steps. An
// elementwise step with a float32 operand gives float32, until the next product. In bfloat16 also the
// products that read an input of the model, and small last ones. Models with quantisation (their float parts
// decide between two quanta) and models that have 16-bit floats of their own stay as they are. Never fails.
#pragma once

#include "exec/backend.h"
#include "exec/plan.h"

namespace mts::exec {

void narrow_floats(ExecPlan& plan, DType dtype, const Backend& backend);

}  // namespace mts::exec
