// Layout choice: which values lie channels-last, and where copies between layouts are needed.
//
// In: a plan whose steps are fused, all values row-major. Out: PlanValue::layout set; Reorder steps where a
// consumer wants another layout than the producer wrote (shared by all such consumers); graph inputs and
// outputs stay row-major. Convolutions want channels-last, or models-first where the models of a value come
// from the batch or go there (models.h); pools, elementwise work, Concat and Split keep what they get;
// everything else wants row-major.
#pragma once

#include "exec/cpu/dnnl.h"

namespace mts::exec {

void choose_layouts(Device& device, ExecPlan& plan);

}  // namespace mts::exec
