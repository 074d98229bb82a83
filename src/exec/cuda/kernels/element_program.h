// Elementwise programs (exec/program.h) as the device runs them: an accumulator, a few temporaries, and
// operands that are read when they are needed. Also the epilogues of the matrix and convolution kernels.
#pragma once

#include "exec/element_op.h"

#include <cstdint>

namespace mts::exec::cuda {

inline constexpr int kMaxProgram = 24;      // instructions
inline constexpr int kMaxOperands = 8;      // inputs of an elementwise step
inline constexpr int kMaxTemporaries = 12;  // 24 instructions never need more

inline constexpr int8_t kAccumulator = -1;
constexpr bool is_temporary(int source) { return source >= kMaxOperands; }

struct DeviceInstruction {
  ElementOp op;
  int8_t a, b;  // kAccumulator, an operand's number, or kMaxOperands + a temporary's
  int8_t keep;  // the temporary that takes the result beside the accumulator, -1: none
  float alpha, beta;
};

struct DeviceProgram {
  int32_t length = 0;
  int32_t temporaries = 0;
  DeviceInstruction code[kMaxProgram];
};

}  // namespace mts::exec::cuda
