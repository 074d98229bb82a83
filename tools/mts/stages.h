// Stages of a network: runs of layers whose names begin alike ("layer1", "encoder.layer.3"), for headings.
//
// in:  layers in order, and how many stages there may be
// out: runs that cover all layers; as fine as the names tell and `most` allows; one without a label when the
// names
//      tell nothing
#pragma once

#include "share/layer_sharing.h"

#include <span>
#include <string>
#include <vector>

namespace mts::tool {

struct Stage {
  std::string label;  // what the names of its layers begin with, less what all names begin with
  size_t first = 0, count = 0;
};
std::vector<Stage> stages_of(std::span<const share::LayerSharing> layers, size_t most);

}  // namespace mts::tool
