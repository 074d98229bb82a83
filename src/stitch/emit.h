// Writes the fused graph that a plan describes: the mutation, apart from the decision.
#pragma once

#include "plan/plan.h"
#include "stitch/symbolic_shapes.h"

#include <mts/graph.h>
#include <mts/share.h>

#include <vector>

namespace mts {

struct EmitOptions {
  bool allow_duplicates = false;
  bool keep_metadata = false;
  bool independent_dims = false;
};

// The graph of the fused model: inputs `model/input` (or the shared name), outputs `model/output`, every node
// with its `mts.origin`. Constants of equal content are stored once.
Graph emit(const Program& program, const Plan& plan, const Numbering& numbering,
           const std::vector<SharedInput>& shared_inputs, const SymbolicShapes& shapes,
           const EmitOptions& options);

}  // namespace mts
