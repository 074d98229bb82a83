// Structural verification: what can be said of a fused model without running it.
#pragma once

#include "check/mapping.h"

#include <mts/verify.h>

#include <vector>

namespace mts::check {

// `entries`: one an original, in order (see match).
std::vector<VerifyReport::Structural> check_structure(const Model& fused, const std::vector<Model>& originals,
                                                      const std::vector<ModelEntry>& entries);

}  // namespace mts::check
