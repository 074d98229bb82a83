// One weight, one layout, over all models.
//
// In: canonicalised models. Out: a 2-D weight that some models store as [N, K] and others as [K, N] is stored
// in one of the two: a Gemm turns its transB, a MatMul whose weight others need in the other layout (a
// Gather) reads a Transpose. Preconditions: equal content after transposition (digests, then bytes). Weights
// that occur in one layout are not touched. Cost: a few elements of every 2-D weight are read; the bytes of
// those whose diagonals agree.
#pragma once

#include <mts/error.h>
#include <mts/graph.h>

#include <vector>

namespace mts::canon {

Result<bool> unify_weight_layouts(std::vector<Model>& models);

}  // namespace mts::canon
