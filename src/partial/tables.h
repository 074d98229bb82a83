// Embedding tables whose rows (entries of a vocabulary) are partly shared: one table for all models, which
// holds every distinct row once, and for each model where in it its rows are.
//
//   y = Gather(W_m, ids)    ->    y = Gather(U, Cast(Gather(map_m, ids)))
//   y = Gather(W_0, ids)    ->    y = Gather(U, Mod(ids, V_0))    the first model's rows come first in U
//
// Mod keeps negative indices right; no Cast where the map needs 4 bytes an entry (merged_rows.h). in: models
// as `rewrite` leaves them.
#pragma once

#include <mts/graph.h>

#include <vector>

namespace mts::partial {

// Returns how many reads of tables were changed.
int64_t merge_tables(std::vector<Model>& models);

}  // namespace mts::partial
