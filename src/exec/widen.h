// Models of float16 or bfloat16 on a processor that computes in float32.
//
//   x:f16 -> Conv (W:f16) -> Relu -> y:f16    becomes    x -> Cast -> Conv (W:f32) -> Relu -> Cast -> y:f16
//
// Inputs and outputs keep their types; weights are held as float32, twice their bytes. Results are at least
// as exact: nothing is rounded between nodes. Preconditions: every node does the same with float32 as with
// its small floats. One node that is not known to (quantisation, control flow, other domains) leaves the
// model as it is.
#pragma once

#include <mts/error.h>
#include <mts/graph.h>

namespace mts::exec {

// Whether the model was changed; it is then to be sorted.
Result<bool> widen_small_floats(Model& model);

}  // namespace mts::exec
