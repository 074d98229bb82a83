// Rewrites a model so that every piece of a weight that is shared is a weight of its own: layers become sums
// of layers over pieces, and what works on channels by itself works on pieces.
//
//   y = Conv(x, W) + b                 rows r0 (shared), r1 of y; columns c0 (shared), c1 of x
//   y_r0 = Conv(x_c0, W[r0, c0]) + Conv(x_c1, W[r0, c1]) + b[r0]
//   y_r1 = Conv(x, W[r1, :]) + b[r1]
//
// The numbers are the same up to the order of summation. Rows or columns are only apart where some model
// shares them in another way. Weights are lazy expressions over the stored bytes: nothing is copied.
#pragma once

#include "partial/sharing.h"

#include <mts/error.h>
#include <mts/graph.h>

namespace mts::partial {

// Whether anything changed.
Result<bool> rewrite(Model& model, uint32_t number, const Channels& channels, const Segments& segments,
                     const ModelSharing& sharing);

}  // namespace mts::partial
