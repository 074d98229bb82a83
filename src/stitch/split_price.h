// Whether a layer that models share in part is faster in parts, as predicted from the layer alone.
#pragma once

#include "partial/partial.h"
#include "plan/cost.h"

#include <vector>

namespace mts {

// `models` with inferred types. Shared parts run once for all models that have them, the others as groups;
// sums, and putting rows and columns apart and together, are paid for.
bool pays(const partial::LayerSplit& split, const std::vector<Model>& models, const CostModel& cost);

}  // namespace mts
