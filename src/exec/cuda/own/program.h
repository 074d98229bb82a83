// Programs of registers (exec/program.h) as programs of an accumulator and temporaries
// (kernels/element_program.h).
#pragma once

#include "exec/cuda/kernels/element_program.h"
#include "exec/program.h"

#include <optional>

namespace mts::exec::cuda {

// Operand k of the step stays operand k. Nothing when the program has more instructions, operands or values
// that are live at once than a kernel takes.
std::optional<DeviceProgram> device_program(const Program& program);
// An epilogue: register 0 is the accumulator, operand k of the step becomes operand k - 1. A chain: each
// instruction works on the result of the one before.
std::optional<DeviceProgram> device_epilogue(const Program& program);

}  // namespace mts::exec::cuda
