// Runs the passes of canonicalise to a fixed point.
#pragma once

#include <mts/canonicalise.h>

#include <span>

namespace mts::canon {

inline constexpr int kMaxRounds = 12;

// Runs `list` in order, again and again until a round changes nothing (at most kMaxRounds times; reaching
// that is logged, not an error: the graph is right at every step). Returns whether anything changed. In debug
// builds the IR is verified after every pass.
Result<bool> run_to_fixed_point(Model& model, std::span<const Pass> list);

}  // namespace mts::canon
