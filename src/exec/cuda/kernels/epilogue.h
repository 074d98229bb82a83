// What a product does with a result before it is written: a program whose accumulator is the result and whose
// other operands are broadcast over the output. Per-channel bias and scale, residual additions and
// activations.
#pragma once

#include "exec/cuda/kernels/element_program.h"
#include "exec/cuda/kernels/float_type.h"

#include <cstdint>

namespace mts::exec::cuda {

inline constexpr int kMaxOuter = 3;  // batch axes of a product

// Element (outer..., row, column) of the output reads data[sum of outer[i] * position + row * r + column *
// c].
struct EpilogueOperand {
  const void* data = nullptr;
  int64_t outer[kMaxOuter] = {}, row = 0, column = 0;
  FloatType type = FloatType::kFloat32;
};

struct Epilogue {
  DeviceProgram program;  // a chain without temporaries; operand k: operands[k]
  EpilogueOperand operands[kMaxOperands];
};

}  // namespace mts::exec::cuda
