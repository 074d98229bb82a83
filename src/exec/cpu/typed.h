// Element by element over types that elementwise programs do not have, with broadcasting: Where, comparisons,
// And / Or / Xor / Not, IsNaN, and sums and products of integers (positions and masks). Integers wrap around.
#pragma once

#include "exec/backend.h"

#include <memory>

namespace mts::exec {

bool accepts_typed(const ExecPlan& plan, const Step& step);
Result<std::unique_ptr<Kernel>> make_typed(const ExecPlan& plan, const Step& step);

}  // namespace mts::exec
