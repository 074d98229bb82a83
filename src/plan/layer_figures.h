// What layers took on a device, measured one by one, beside what the cost model predicts of them.
//
// In: measurements of a few sizes: so many nodes of a layer, run in one way. Out: by what factor the
// predicted price of any number of them is corrected. Deterministic given the measurements.
#pragma once

#include "rules/lane.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>

namespace mts {

inline constexpr uint32_t kNoLayer = 0xffffffffU;  // a node that was not measured by itself

class LayerFigures {
 public:
  enum class Scale : uint8_t {
    kAbsolute,  // prices are what was measured
    kRelative,  // one node by itself keeps its predicted price; what was measured is how others compare to it
  };
  explicit LayerFigures(Scale scale) : scale_(scale) {}

  // `members` nodes of the layer, by `strategy` (kApart: each by itself). Both times are above 0.
  void add(uint32_t layer, Strategy strategy, size_t members, double predicted, double measured);
  // Between measured sizes on a straight line over the logarithm of the members, level outside of them.
  // Nothing where the layer was not measured in this way, or, with kRelative, not by itself.
  std::optional<double> correction(uint32_t layer, Strategy strategy, size_t members) const;
  // The same on the absolute scale: for what is shown, not for prices.
  std::optional<double> measured(uint32_t layer, Strategy strategy, size_t members) const;
  bool empty() const { return corrections_.empty(); }

 private:
  Scale scale_;
  std::map<std::pair<uint32_t, Strategy>, std::map<size_t, double>> corrections_;  // by members
};

}  // namespace mts
