// Quantisation whose scale is that of the data, and products of quantised matrices.
#pragma once

#include "exec/cuda/kernels/epilogue.h"
#include "exec/cuda/kernels/index.h"
#include "exec/cuda/kernels/stream.h"

#include <cstdint>

namespace mts::exec::cuda {

// scale = (max(0, x) - min(0, x)) / 255; output = round(x / scale) + zero, where zero is what 0 becomes. Two
// launches: parts' extremes, then everything else.
struct DynamicQuantiseArgs {
  const float* input = nullptr;
  uint8_t* output = nullptr;
  float* scale = nullptr;
  uint8_t* zero = nullptr;
  float* extremes = nullptr;  // scratch: kMostExtremes pairs
  int32_t count = 0;          // > 0
};
inline constexpr int kMostExtremes = 256;
LaunchError launch_dynamic_quantise(const DynamicQuantiseArgs& args, StreamHandle stream);

// C[b] = (A[b] - a_zero)(B[b] - b_zero) in int32; strides as in MatmulArgs (matmul.h), C row-major.
struct IntegerMatmulArgs {
  const void* a = nullptr;
  const void* b = nullptr;
  int32_t* c = nullptr;
  bool a_signed = false, b_signed = false;  // int8, else uint8
  // Of the same type; null: 0. One for all (stride 0), or one a row of A and a column of B (stride 1).
  const void* a_zero = nullptr;
  const void* b_zero = nullptr;
  int32_t a_zero_stride = 0, b_zero_stride = 0;
  Divisor outer[kMaxOuter];
  int64_t a_outer[kMaxOuter] = {}, b_outer[kMaxOuter] = {};
  int32_t rows = 0, columns = 0, inner = 0;
  int64_t a_row = 0, a_column = 1, b_row = 0, b_column = 1;
};
LaunchError launch_integer_matmul(const IntegerMatmulArgs& args, StreamHandle stream);

}  // namespace mts::exec::cuda
