// Merges one more model into the profile.
//
// before: a profile whose order is topological for the models merged so far
// after:  each node of the model is in one set, the order is topological for this model too
#pragma once

#include "align/profile.h"

#include <cstdint>

namespace mts::alignment {

void merge_model(Profile& profile, uint32_t model);

}  // namespace mts::alignment
