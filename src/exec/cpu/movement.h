// Steps that only move data: Transpose, Expand, Slice, Concat, Split, Gather, Pad, DepthToSpace and plain
// copies. Any element type of whole bytes.
#pragma once

#include "exec/backend.h"

#include <memory>

namespace mts::exec {

bool accepts_movement(const ExecPlan& plan, const Step& step);
Result<std::unique_ptr<Kernel>> make_movement(const ExecPlan& plan, const Step& step);

}  // namespace mts::exec
