#include "plan/layer_figures.h"

#include <cmath>
#include <iterator>

namespace mts {
namespace {

double between(const std::map<size_t, double>& points, size_t members) {
  const auto above = points.lower_bound(members);
  if (above == points.end()) return points.rbegin()->second;
  if (above == points.begin() || above->first == members) return above->second;
  const auto below = std::prev(above);
  const auto place = [](size_t size) { return std::log2(static_cast<double>(size)); };
  const double share = (place(members) - place(below->first)) / (place(above->first) - place(below->first));
  return below->second + share * (above->second - below->second);
}

}  // namespace

void LayerFigures::add(uint32_t layer, Strategy strategy, size_t members, double predicted, double measured) {
  corrections_[{layer, strategy}][members] = measured / predicted;
}

std::optional<double> LayerFigures::measured(uint32_t layer, Strategy strategy, size_t members) const {
  const auto points = corrections_.find({layer, strategy});
  if (points == corrections_.end()) return std::nullopt;
  return between(points->second, members);
}

std::optional<double> LayerFigures::correction(uint32_t layer, Strategy strategy, size_t members) const {
  const std::optional<double> own = measured(layer, strategy, members);
  if (!own || scale_ == Scale::kAbsolute) return own;
  const auto apart = corrections_.find({layer, Strategy::kApart});
  if (apart == corrections_.end() || !apart->second.contains(1)) return std::nullopt;
  return *own / apart->second.at(1);
}

}  // namespace mts
