// Scales and shifts of normalisations over the channels that are shared element by element, in other ways
// than the channels themselves: no order of the channels brings shared elements together. The last resort:
// one vector for all models, and for each model a map; the parameters are put together at run time.
//
//   y = LayerNormalization(x, s_m, b_m)  ->  y = LayerNormalization(x, Gather(S, i_m), Gather(B, i_m))
//                                            i_m = Cast(map_m); the first model's are Slices, without a map
//
// in: models as `rewrite` leaves them. Nothing is done where the maps would take most of what is saved.
#pragma once

#include <mts/graph.h>

#include <cstdint>
#include <vector>

namespace mts::partial {

// Returns how many normalisations were changed.
int64_t merge_parameters(std::vector<Model>& models);

}  // namespace mts::partial
