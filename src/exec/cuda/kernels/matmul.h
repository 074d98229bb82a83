// Batched products of strided matrices, float accumulation: C[b] = epilogue(alpha * A[b] B[b]).
#pragma once

#include "exec/cuda/kernels/epilogue.h"
#include "exec/cuda/kernels/index.h"
#include "exec/cuda/kernels/stream.h"

#include <cstdint>

namespace mts::exec::cuda {

// Element (b, m, k) of A: a[sum of a_outer[i] * b_i + m * a_row + k * a_column]; B likewise by (k, n). Those
// of C are c[b * c_batch + m * c_row + n], the batch counted row-major. Operands broadcast over a batch axis
// have stride 0 there.
struct MatmulArgs {
  const void* a = nullptr;
  const void* b = nullptr;
  void* c = nullptr;
  Divisor outer[kMaxOuter];  // extents, outermost first
  int64_t a_outer[kMaxOuter] = {}, b_outer[kMaxOuter] = {};
  int32_t rows = 0, columns = 0, inner = 0;
  int64_t a_row = 0, a_column = 1, b_row = 0, b_column = 1;
  int64_t c_batch = 0, c_row = 0;
  float alpha = 1.f;
  FloatType type = FloatType::kFloat32;  // of A, B and C
  bool tensor_cores = false;             // TF32 for float32 (rounds the operands to 10 bits)
  Epilogue epilogue;
};
LaunchError launch_matmul(const MatmulArgs& args, StreamHandle stream);
// What the former calls for args.tensor_cores.
LaunchError launch_tensor_core_matmul(const MatmulArgs& args, StreamHandle stream);

}  // namespace mts::exec::cuda
