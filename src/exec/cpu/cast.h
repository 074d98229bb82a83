// Cast between numbers and booleans, where nothing can be out of range: to a float, between integers, to
// boolean. (Floats to integers and saturating formats run on the reference.)
#pragma once

#include "exec/backend.h"

namespace mts::exec {

bool accepts_cast(const ExecPlan& plan, const Step& step);
Result<std::unique_ptr<Kernel>> make_cast(const ExecPlan& plan, const Step& step);

}  // namespace mts::exec
