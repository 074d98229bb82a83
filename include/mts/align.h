// Which nodes of different models correspond.
#pragma once

#include <mts/graph.h>
#include <mts/share.h>

#include <vector>

namespace mts {

// One node of each of some models: nodes that could run as one. `nodes[m] == kNoNode`: model m has none here.
struct AlignedSet {
  std::vector<NodeId> nodes;
};

// Every live node of every model's top graph is in exactly one set. The order of the sets is topological for
// every model at once, so that running them in order never makes a cycle. Members of a set have equal domain,
// operator type, number of outputs, and ranks and dtypes of outputs; whether they can really be stitched is
// decided by the operator's rule.
struct Alignment {
  std::vector<AlignedSet> sets;
};

// Same architecture: structural hash from the inputs. Different heads, depths or architectures: multiple
// sequence alignment over canonical topological orders, scored by shared bytes, equal weight dims and
// agreeing operands. Deterministic. Requires types (infer_types) for the best result.
Alignment align(const std::vector<Model>& models, const WeightClasses& classes, const Numbering& numbering);

}  // namespace mts
