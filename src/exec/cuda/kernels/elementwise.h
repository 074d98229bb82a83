// Elementwise steps: a program over operands that are broadcast to the output.
#pragma once

#include "exec/cuda/kernels/element_program.h"
#include "exec/cuda/kernels/float_type.h"
#include "exec/cuda/kernels/index.h"
#include "exec/cuda/kernels/stream.h"

#include <cstdint>

namespace mts::exec::cuda {

struct ElementwiseArgs {
  DeviceProgram program;
  int32_t operands = 0;
  Nest<kMaxOperands + 1> nest;  // operand 0: the output, 1..: the program's operands; in elements
  void* output = nullptr;
  const void* inputs[kMaxOperands] = {};
  FloatType output_type = FloatType::kFloat32;
  FloatType input_types[kMaxOperands] = {};
};

// Neighbours along the innermost axis go together where all operands allow it. Nothing happens for no
// elements.
LaunchError launch_elementwise(const ElementwiseArgs& args, StreamHandle stream);

}  // namespace mts::exec::cuda
