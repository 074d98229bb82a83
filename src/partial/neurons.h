// Which channels of different models are one neuron: found from the rows of weights that are equal in the
// columns that are known to be one neuron already, layer by layer from the inputs. So a shared neuron is
// found wherever it stands in each model, in time linear in the weights.
//
// in:  models, their channels, which nodes correspond
// out: neurons: for each, its channel in some of the models; channels that no other model has are in none
#pragma once

#include "partial/channels.h"

#include <mts/align.h>
#include <mts/share.h>

#include <cstdint>
#include <map>
#include <vector>

namespace mts::partial {

using NeuronId = uint32_t;
inline constexpr NeuronId kNoNeuron = 0xffffffffu;

struct Neuron {
  std::vector<Channel> channels;  // by model: a root; kNoChannel where the model does not have it
  // Equal for neurons that are shared in the same way: by the same models, in the same layers.
  uint64_t signature = 0;
};

// Corresponding layers whose output channels have to stay together in larger parts (heads) than their rows
// are shared in.
struct FineSplit {
  struct Group {  // rows that are shared by the same models, or by nobody: all rows are in one
    std::map<uint32_t, std::vector<int64_t>> rows;  // by model
  };
  uint32_t set = 0;  // of the alignment
  std::vector<Group> groups;
};

struct Neurons {
  std::vector<Neuron> all;                     // in order of discovery
  std::vector<std::vector<NeuronId>> of_root;  // [model][root channel]
  std::vector<FineSplit> fine;                 // worth more than what the channels share as they are
};

Neurons find_neurons(const std::vector<Model>& models, const std::vector<Channels>& channels,
                     const Alignment& alignment, const WeightClasses& classes);

}  // namespace mts::partial
