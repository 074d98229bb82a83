// Steps that copy and fill what is left: Pad (every mode) and Trilu. Any element type of whole bytes.
// Preconditions: pads, axes and the diagonal are constants; the value to fill with need not be.
#pragma once

#include "exec/backend.h"

#include <memory>

namespace mts::exec {

bool accepts_fill(const ExecPlan& plan, const Step& step);
Result<std::unique_ptr<Kernel>> make_fill(const ExecPlan& plan, const Step& step);

}  // namespace mts::exec
