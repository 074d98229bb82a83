// The order in which a rewritten model holds the channels of a value: in pieces, each of which is shared in
// one way. It depends only on the channels, so that all values of a region agree and nothing has to be
// reordered inside it.
#pragma once

#include "partial/neurons.h"

#include <map>
#include <vector>

namespace mts::partial {

using SegmentId = uint32_t;

struct Piece {
  SegmentId segment = 0;            // comparable across models
  std::vector<uint32_t> positions;  // in Tracked::channels of the value
};

struct Arrangement {
  std::vector<Piece> pieces;
  bool identity = true;  // all pieces one after another are the original order
  bool trivial() const { return pieces.size() <= 1 && identity; }
  std::vector<uint32_t> positions(const std::vector<uint32_t>& which) const;  // of these pieces, in order
  std::vector<uint32_t> all() const;                                          // 0, 1, ..., pieces.size() - 1
};

class Segments {
 public:
  Segments(const std::vector<Channels>& channels, const Neurons& neurons);
  Arrangement arrange(uint32_t model, const Tracked& tracked) const;

 private:
  struct Place {
    SegmentId segment = 0;
    NeuronId neuron = kNoNeuron;
  };
  const std::vector<Channels>& channels_;
  std::vector<std::vector<Place>> places_;  // [model][root]
};

// The entries of an axis that the channels at `positions` occupy.
std::vector<int64_t> entries_of(const std::vector<uint32_t>& positions, int64_t unit);

}  // namespace mts::partial
