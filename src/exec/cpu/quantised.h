// DynamicQuantizeLinear, and MatMulInteger of 8-bit integers with a constant int8 B whose zero point is 0 and
// one zero point for A.
#pragma once

#include "exec/cpu/dnnl.h"

namespace mts::exec {

bool accepts_quantised(const ExecPlan& plan, const Step& step);
KernelResult make_quantised(Device& device, const ExecPlan& plan, const Step& step);

}  // namespace mts::exec
