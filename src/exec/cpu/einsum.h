// Einsum of two float operands that is a batch of matrix products: "bhid,bhjd->bhij". Every letter is once in
// an operand, and in two of the three (operands and output) or in all. What lies in another order is copied
// first. The others (repeated letters, sums over one operand, ellipses, three operands) run on the reference.
#pragma once

#include "exec/cpu/dnnl.h"

namespace mts::exec {

bool accepts_einsum(const ExecPlan& plan, const Step& step);
KernelResult make_einsum(Device& device, const ExecPlan& plan, const Step& step);

}  // namespace mts::exec
