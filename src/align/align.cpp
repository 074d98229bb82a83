// Progressive multiple sequence alignment: see align.h and, for one step, merge.h.
#include "align/check.h"
#include "align/features.h"
#include "align/merge.h"
#include "align/profile.h"

#include <mts/align.h>

#include <cassert>

namespace mts {

Alignment align(const std::vector<Model>& models, const WeightClasses& classes, const Numbering& numbering) {
  const auto features = alignment::extract_features(models, classes, numbering);
  alignment::Profile profile(features);
  for (uint32_t m = 0; m < models.size(); ++m) alignment::merge_model(profile, m);

  Alignment result;
  result.sets.reserve(profile.order().size());
  for (const uint32_t set : profile.order()) {
    AlignedSet& aligned = result.sets.emplace_back();
    aligned.nodes.assign(models.size(), kNoNode);
    for (const auto& [model, node] : profile.set(set).members)
      aligned.nodes[model] = features[model].nodes[node].id;
  }
  assert(alignment::check_alignment(models, result).has_value());
  return result;
}

}  // namespace mts
