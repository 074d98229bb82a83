// Softmax, the normalisations and reductions: loops over rows of memory.
#pragma once

#include "exec/backend.h"

#include <memory>

namespace mts::exec {

bool accepts_rows(const ExecPlan& plan, const Step& step);
Result<std::unique_ptr<Kernel>> make_rows(const ExecPlan& plan, const Step& step);

}  // namespace mts::exec
