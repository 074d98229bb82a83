// Layer by layer, what the sharing of blocks takes apart: told to the planner, and undone where it does not
// pay.
#pragma once

#include "partial/partial.h"
#include "partial/sharing.h"

#include <vector>

namespace mts::partial {

std::vector<LayerSplit> describe_splits(const std::vector<Model>& models,
                                        const std::vector<Channels>& channels,
                                        const std::vector<ModelSharing>& sharing, const Alignment& alignment);

// Their weights, biases and inputs are read as wholes again. `layers`: sets of the alignment, ascending.
void keep_other_layers_whole(std::vector<ModelSharing>& sharing, const Alignment& alignment,
                             const std::vector<uint32_t>& layers);

}  // namespace mts::partial
