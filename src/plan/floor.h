// The least time that a device could take for a program.
//
// In: a program and the device. Out: nanoseconds for the arithmetic of all its nodes at the peak of their
// types, or for moving each constant, graph input and graph output once from or to DRAM, whichever takes
// longer. No plan can be faster (weights that stay in a cache from run to run aside); equal nodes and weights
// count once. Source: the roofline model (Williams, Waterman, Patterson 2009).
#pragma once

#include "plan/cost.h"
#include "plan/program.h"

namespace mts {

Nanoseconds roofline_floor(const Program& program, const CostModel& cost);

}  // namespace mts
