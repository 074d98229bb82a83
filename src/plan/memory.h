// Predicted memory of a program that runs in the order of its columns: the constants, and the most
// activations that are needed at one time. Sizes with a symbol count as CostModel says.
#pragma once

#include "plan/program.h"

namespace mts {

double predicted_peak_bytes(const Program& program);

}  // namespace mts
