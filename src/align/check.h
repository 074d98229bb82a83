// Whether an alignment keeps what align.h promises: for tests and debug builds.
#pragma once

#include <mts/align.h>

#include <vector>

namespace mts::alignment {

// kInternal, naming the node, when a live node is in no set or in two, the order is not topological for a
// model, or members of a set differ in operator, number of outputs, or dtypes or ranks of outputs.
Result<void> check_alignment(const std::vector<Model>& models, const Alignment& alignment);

}  // namespace mts::alignment
