// CumSum along a constant axis, and GatherElements: what walks along one axis beside the others.
// Types: CumSum float32, int32, int64 (wrapping around); GatherElements any of whole bytes.
#pragma once

#include "exec/backend.h"

#include <memory>

namespace mts::exec {

bool accepts_scan(const ExecPlan& plan, const Step& step);
Result<std::unique_ptr<Kernel>> make_scan(const ExecPlan& plan, const Step& step);

}  // namespace mts::exec
