// Elementwise steps: a program (program.h) run tile by tile, operands broadcast, blocked layouts walked in
// memory order.
#pragma once

#include "exec/backend.h"
#include "exec/cpu/iteration.h"

#include <memory>
#include <vector>

namespace mts::exec {

// `axes`: a nest over operand 0 = the output, operands 1.. = the program's inputs, in elements.
std::unique_ptr<Kernel> make_elementwise(const Program& program, std::vector<Axis> axes,
                                         std::vector<ValueIndex> inputs, ValueIndex output);

}  // namespace mts::exec
