// Which blocks of a layer's weight (rows of one piece of the output, columns of one piece of the input) hold
// the same content in which models.
#pragma once

#include "partial/arrangement.h"

#include <map>
#include <vector>

namespace mts::partial {

// Interned set of models that have equal content; kAlone: no other model.
using SharerId = uint32_t;
inline constexpr SharerId kAlone = 0;

struct LayerSharing {
  Arrangement rows, columns;
  std::vector<std::vector<SharerId>> blocks;  // [row piece][column piece]
  std::vector<SharerId> bias;                 // [row piece]; empty without a bias
  bool is_split() const;                      // some rows read some columns apart from others
};

// By model and node: every layer whose input or output is in pieces.
using SharingTable = std::vector<std::map<NodeId, LayerSharing>>;
SharingTable find_shared_blocks(const std::vector<Model>& models, const std::vector<Channels>& channels,
                                const Segments& segments, const Alignment& alignment);

}  // namespace mts::partial
