// Every content is stored once.
#pragma once

#include <mts/graph.h>

namespace mts {

// Drops constants that nothing reads. Of constants with equal content the first is kept; another shape of it
// becomes a Reshape of the kept one at run time (engines fold it).
void store_constants_once(Graph& graph);

}  // namespace mts
