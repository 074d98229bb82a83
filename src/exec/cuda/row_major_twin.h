// A step on channels-last values as the same work on row-major ones: [N,C,H,W] in channels-last memory is
// [N,H,W,C] in row-major memory, so an elementwise step whose dims are permuted needs no kernel of its own.
//
// In: an Elementwise step whose output is channels-last. Out: a plan of that step alone, whose value k is the
// step's k-th operand (inputs, then the output), all row-major.
#pragma once

#include "exec/plan.h"

#include <vector>

namespace mts::exec::cuda {

struct RowMajorTwin {
  ExecPlan plan;                   // one step
  std::vector<ValueIndex> values;  // of the original plan, by value of the twin
};
RowMajorTwin row_major_twin(const ExecPlan& plan, const Step& step);

}  // namespace mts::exec::cuda
