// In which order the lanes of a plan run.
//
// In: a program with its lanes, and the models in the order in which their outputs are wanted. Out: every
// lane once, each after those that it reads. Depth first from the outputs: what is stitched runs when the
// first model needs it, and what stays apart runs model by model, so that few values are held at a time
// (column by column, those of all models would be).
#pragma once

#include "plan/grouping.h"
#include "plan/plan.h"

#include <vector>

namespace mts {

std::vector<LaneRef> schedule(const Program& program, const std::vector<ColumnPlan>& columns,
                              const Groups& groups);

}  // namespace mts
