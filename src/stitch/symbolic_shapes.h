// Shape arithmetic whose result is known in terms of the inputs' dimensions: every model computes such a
// tensor from its own values, though it is the same for all of them. Models get a stand-in input instead, one
// for each content, and the fused graph computes it once from the dimensions of a real input.
#pragma once

#include "rules/builder.h"

#include <mts/graph.h>
#include <mts/model_io.h>
#include <mts/share.h>

#include <string>
#include <vector>

namespace mts {

struct SymbolicShape {
  std::vector<Dim> content;  // numbers and dimensions of inputs
  Type type;                 // int64, rank 0 or 1
  std::string origin;        // "model:node" of one that it replaces
};

struct SymbolicShapes {
  std::vector<SymbolicShape> shapes;
  std::vector<SharedInput> inputs;  // of the same index: the stand-ins
};

// Replaces what `facts[m]` knows in models[m]. Takes equal symbols of different models to be equal sizes.
SymbolicShapes replace_symbolic_shapes(std::vector<Model>& models, const std::vector<ShapeFacts>& facts);

// The tensor, computed from the dimensions of the graph inputs that `builder`'s graph has.
ValueId emit_symbolic_shape(const SymbolicShape& shape, Builder& builder);

}  // namespace mts
