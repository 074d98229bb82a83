// Embedding tables whose rows (entries of a vocabulary) are partly shared: one table for all models, which
// holds every distinct row once, and for each model where in it its rows are.
//
//   y = Gather(W_m, ids)    ->    y = Gather(U, Gather(map_m, ids))
//   y = Gather(W_0, ids)    ->    y = Gather(U, Mod(ids, V_0))             the first model's rows come first
//   in U
//
// (Mod keeps negative indices right.) in: models as `rewrite` leaves them, and which nodes correspond.
#pragma once

#include <mts/align.h>
#include <mts/graph.h>

#include <vector>

namespace mts::partial {

// Whether some models have a table that could be merged with others: a reason to align again.
bool has_different_tables(const std::vector<Model>& models);
// Returns how many tables were merged.
int64_t merge_tables(std::vector<Model>& models, const Alignment& alignment);

}  // namespace mts::partial
