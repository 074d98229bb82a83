// What models share of each layer, below the tensor too: the numbers behind the picture of `mts inspect`.
//
// in:  canonicalised models, their weight classes, and sets of nodes that correspond (one a model, or
// kNoNode), in order out: the sets that hold weights (float or quantised constants of more than one element),
// and for each model how many
//      bytes it stores there and how many of them another model has in the same layer: whole tensors, rows at
//      any place, blocks (see common_rows.h)
#pragma once

#include <mts/graph.h>
#include <mts/share.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace mts::share {

struct LayerSharing {
  struct Cell {
    uint64_t bytes = 0;   // of the weights that the model's node reads; 0: the model has no such layer
    uint64_t shared = 0;  // of these, what another model has too
  };
  std::string name;    // of the first model's node; the operator when it has none
  std::string weight;  // name of that node's first weight
  std::string op_type;
  std::vector<Cell> cells;  // [model]
};

std::vector<LayerSharing> layer_sharing(const std::vector<Model>& models, const WeightClasses& classes,
                                        std::span<const std::vector<NodeId>> sets);

}  // namespace mts::share
