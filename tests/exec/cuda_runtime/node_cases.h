// Single nodes that the CUDA backend lowers in different ways: on the host's device in every build, on a GPU
// where one is.
#pragma once

#include "tests/exec/harness.h"

#include <vector>

namespace mts::exec::cuda {

std::vector<Case> node_cases();

}  // namespace mts::exec::cuda
