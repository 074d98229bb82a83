// Reductions over any axes, and ArgMax/ArgMin over one.
#pragma once

#include "exec/cuda/kernels/index.h"
#include "exec/cuda/kernels/scalar_type.h"
#include "exec/cuda/kernels/stream.h"

#include <cstdint>

namespace mts::exec::cuda {

enum class ReduceOp : uint8_t { kSum, kMean, kMax, kMin, kProduct, kSumSquare, kL1, kL2, kLogSum };

// Output j is the reduction of reduced.count elements that start at the j-th position of `kept`. Of no
// elements: 0 for the sums, 1 for the product, -+infinity, NaN for the mean. NaN wins Max and Min. Not for
// uint64.
struct ReduceArgs {
  const void* input = nullptr;
  void* output = nullptr;
  Nest<2> kept;     // operand 0: output, 1: input
  Nest<1> reduced;  // input
  ReduceOp op = ReduceOp::kSum;
  ScalarType type = ScalarType::kFloat32;  // of both
};
LaunchError launch_reduce(const ReduceArgs& args, StreamHandle stream);

// Lines of `length` elements, `inner` apart, as in SoftmaxArgs; the output has one int64 a line. Not for
// uint64.
struct ArgArgs {
  const void* input = nullptr;
  int64_t* output = nullptr;
  int64_t outer = 0;
  int32_t length = 1, inner = 1;
  bool maximum = true;
  bool last = false;  // of equal elements: the last one
  ScalarType type = ScalarType::kFloat32;
};
LaunchError launch_arg(const ArgArgs& args, StreamHandle stream);

}  // namespace mts::exec::cuda
