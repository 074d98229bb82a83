// How much each step of a plan has to do: for rooflines, not for choosing kernels.
//
// In: a plan whose memory is assigned. Out, by step: operations (a product counts two an element summed,
// other work one an instruction or output element, copies none); bytes of what it reads and writes, each
// value once; and those of them that are constants, graph inputs (both at their first reader) or graph
// outputs. Views and values of unknown size count nothing.
#pragma once

#include "exec/plan.h"

#include <vector>

namespace mts::exec {

struct StepWork {
  double flops = 0, bytes = 0, outer_bytes = 0;
  DType dtype = DType::kFloat32;  // of the first float operand, else of the first
};
std::vector<StepWork> work_of(const ExecPlan& plan);

}  // namespace mts::exec
