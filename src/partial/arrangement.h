// The order in which a rewritten model holds the channels of a value: in pieces, each of which is shared in
// one way. It depends only on the channels, so that all values of a region agree and nothing has to be
// reordered inside it.
#pragma once

#include "partial/neurons.h"

#include <map>
#include <vector>

namespace mts::partial {

using SegmentId = uint32_t;
inline constexpr SegmentId kNoSegment = 0xfffffff0u;

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

// How far channels are taken apart.
struct Detail {
  // Neurons that the same models have are apart where some layer shares their rows in another way.
  bool by_pattern = true;
  // A piece with a smaller part than this of the channels that were made together stays with those that no
  // other model has, in every model.
  double least_part = 0;
};

class Segments {
 public:
  Segments(const std::vector<Channels>& channels, const Neurons& neurons, const Detail& detail = {});
  Arrangement arrange(uint32_t model, const Tracked& tracked) const;

 private:
  struct Place {
    SegmentId segment = kNoSegment;
    NeuronId neuron = kNoNeuron;
  };
  const std::vector<Channels>& channels_;
  std::vector<std::vector<Place>> places_;  // [model][root]
};

// The entries of an axis that the channels at `positions` occupy.
std::vector<int64_t> entries_of(const std::vector<uint32_t>& positions, int64_t unit);

}  // namespace mts::partial
