// Layers whose rows are shared in smaller parts than their channels can be moved in (columns inside a head):
// split by rows, and put back in order at once.
//
//   y = MatMul(x, W) (+ b)  ->  y = Gather(Concat(MatMul(x, W[:, g0]) (+ b[g0]), MatMul(x, W[:, g1]) (+
//   b[g1])), order)
#pragma once

#include "partial/neurons.h"

#include <mts/error.h>

namespace mts::partial {

// The alignment afterwards holds the new nodes in place of the old ones.
Result<void> split_fine_rows(std::vector<Model>& models, const std::vector<Channels>& channels,
                             const std::vector<FineSplit>& splits, Alignment& alignment);

}  // namespace mts::partial
