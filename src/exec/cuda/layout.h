// Layouts of the CUDA executor: row-major, and channels-last for images between convolutions.
//
// choose_layouts: in: a plan whose steps are fused, all values row-major. Out: PlanValue::layout set; Reorder
// steps where a consumer wants another layout than the producer wrote (one for all such consumers); epilogues
// that no library takes together with their step are split off; graph inputs and outputs stay row-major.
// Convolutions and products that libraries take set the layout, elementwise work, pools and concatenations
// keep what they get, the rest is row-major.
#pragma once

#include "exec/layout.h"
#include "exec/plan.h"

#include <cstdint>

namespace mts::exec::cuda {

class Lowering;

inline constexpr uint64_t kPartAlignment = 16;  // what libraries load at once

void choose_layouts(const Lowering& lowering, ExecPlan& plan);

}  // namespace mts::exec::cuda
