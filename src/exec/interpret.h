// One instruction on one element: the meaning of the elementwise operators, which backends must match.
#pragma once

#include "exec/program.h"

namespace mts::exec {

float apply(const Instruction& instruction, float a, float b);

}  // namespace mts::exec
