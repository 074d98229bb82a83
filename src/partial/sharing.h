// Which blocks of a layer's weight (rows of one piece of the output, columns of one piece of the input) hold
// the same content in which models.
#pragma once

#include "partial/arrangement.h"

#include <map>
#include <set>
#include <vector>

namespace mts::partial {

// Interned set of models that have equal content; kAlone: no other model.
using SharerId = uint32_t;
inline constexpr SharerId kAlone = 0;

struct LayerSharing {
  Arrangement rows, columns;
  std::vector<std::vector<SharerId>> blocks;  // [row piece][column piece]
  std::vector<SharerId> bias;                 // [row piece]; empty without a bias
  // Row pieces that read all columns in the same way, in all models that share them: they stay one weight.
  std::vector<std::vector<uint32_t>> groups;
};

// Of one model.
struct ModelSharing {
  std::map<NodeId, LayerSharing> layers;  // every layer whose input or output is in pieces
  std::set<NodeId> mixed;  // nodes with parameters of which some pieces are shared in another way than others
};
std::vector<ModelSharing> find_shared_blocks(const std::vector<Model>& models,
                                             const std::vector<Channels>& channels, const Segments& segments,
                                             const Alignment& alignment);

}  // namespace mts::partial
