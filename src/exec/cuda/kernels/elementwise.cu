#include "exec/cuda/kernels/element_ops.cuh"
#include "exec/cuda/kernels/elementwise.h"
#include "exec/cuda/kernels/launch.h"

namespace mts::exec::cuda {
namespace {

constexpr int kThreads = 256;

// One thread makes V neighbours along the innermost axis. Every operand's stride there is 0 or 1 if V > 1.
template <int V, int R, int Temporary>
__global__ void __launch_bounds__(kThreads) run_elementwise(const __grid_constant__ ElementwiseArgs args) {
  const uint32_t first = (blockIdx.x * blockDim.x + threadIdx.x) * V;
  if (first >= args.nest.count) return;
  uint32_t at[R];
  uint32_t rest = first;
#pragma unroll
  for (int axis = R - 1; axis >= 0; --axis) {
    at[axis] = axis < args.nest.axes ? args.nest.extents[axis].take_remainder(rest) : 0;
  }
  const auto offset = [&](int k) {
    int64_t result = 0;
#pragma unroll
    for (int axis = 0; axis < R; ++axis) {
      if (axis < args.nest.axes) result += static_cast<int64_t>(at[axis]) * args.nest.strides[k][axis];
    }
    return result;
  };
  const auto operand = [&](int k) {
    const FloatType type = args.input_types[k];
    if (V > 1 && args.nest.strides[k + 1][args.nest.axes - 1] == 0)
      return splat<V>(load<1>(args.inputs[k], offset(k + 1), type).v[0]);
    return load<V>(args.inputs[k], offset(k + 1), type);
  };
  const Vec<V> result = run_program<V, Temporary>(args.program, splat<V>(0.f), operand);
  store<V>(args.output, offset(0), args.output_type, result);
}

// Whether groups of `wide` neighbours lie together, aligned, in every operand.
bool goes_together(const ElementwiseArgs& args, int wide) {
  const int inner = args.nest.axes - 1;
  if (args.nest.extents[inner].value % static_cast<uint32_t>(wide) != 0) return false;
  for (int k = 0; k <= args.operands; ++k) {
    const int64_t* const strides = args.nest.strides[k];
    if (strides[inner] == 0 && k > 0) continue;
    if (strides[inner] != 1) return false;
    for (int axis = 0; axis < inner; ++axis) {
      if (strides[axis] % wide != 0) return false;
    }
    const void* const base = k == 0 ? args.output : args.inputs[k - 1];
    const int size = size_of(k == 0 ? args.output_type : args.input_types[k - 1]);
    if (reinterpret_cast<uintptr_t>(base) % static_cast<uintptr_t>(wide * size) != 0) return false;
  }
  return true;
}

template <int V, int R, int Temporary>
LaunchError start(const ElementwiseArgs& args, StreamHandle stream) {
  const LaunchShape shape{{ceil_div(args.nest.count, int64_t{kThreads} * V)}, {kThreads}};
  return launch(run_elementwise<V, R, Temporary>, shape, stream, args);
}

}  // namespace

LaunchError launch_elementwise(const ElementwiseArgs& args, StreamHandle stream) {
  if (args.nest.count == 0) return nullptr;
  const bool chain = args.program.temporaries == 0;
  if (goes_together(args, 4)) {
    if (args.nest.axes == 1 && chain) return start<4, 1, 0>(args, stream);
    if (args.nest.axes <= 4 && chain) return start<4, 4, 0>(args, stream);
    return start<4, kMaxAxes, kMaxTemporaries>(args, stream);
  }
  if (args.nest.axes <= 4 && chain) return start<1, 4, 0>(args, stream);
  return start<1, kMaxAxes, kMaxTemporaries>(args, stream);
}

}  // namespace mts::exec::cuda
