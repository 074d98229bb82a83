// How exact an output can be: the precision in which an original computes it.
#pragma once

#include "check/compare.h"

#include <mts/graph.h>

#include <vector>

namespace mts::check {

// One entry an output of `original`. The loosest row of the tolerance table among the output's type and what
// it is computed from: half precision inside, quantised activations (2 quanta of the output's scale where
// that is known). Weights that are merely stored in few bits do not count.
std::vector<Tolerance> tolerances_of(const Graph& original);

}  // namespace mts::check
