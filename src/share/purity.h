// Which nodes may stand for an equal one.
#pragma once

#include <mts/graph.h>

namespace mts::share {

// Whether two nodes like this one, with equal attributes and equal operands, always give equal results: not
// for random and training-mode operators, operators of domains that mts does not know, and nodes that hold
// such a node in a body.
bool is_deterministic(const Graph& graph, const Node& node);

}  // namespace mts::share
