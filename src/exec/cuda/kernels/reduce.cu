#include "exec/cuda/kernels/reduce.cuh"
#include "exec/cuda/kernels/reduce.h"
#include "exec/cuda/kernels/scalar.cuh"

#include <cmath>

namespace mts::exec::cuda {
namespace {

constexpr int kThreads = 256;
constexpr uint32_t kFew = 8;  // elements that one thread reduces alone

template <class A>
__device__ __forceinline__ A highest();
template <>
__device__ __forceinline__ float highest<float>() {
  return float_of_bits(0x7f800000u);
}
template <>
__device__ __forceinline__ double highest<double>() {
  return static_cast<double>(float_of_bits(0x7f800000u));
}
template <>
__device__ __forceinline__ int64_t highest<int64_t>() {
  return 0x7fffffffffffffffLL;
}

template <class A>
__device__ __forceinline__ A start(ReduceOp op) {
  if (op == ReduceOp::kProduct) return static_cast<A>(1);
  if (op == ReduceOp::kMax) return -highest<A>();
  return op == ReduceOp::kMin ? highest<A>() : static_cast<A>(0);
}

// Wraps as unsigned numbers do, without the undefined behaviour of signed ones.
__device__ __forceinline__ float plus(float a, float b) { return a + b; }
__device__ __forceinline__ double plus(double a, double b) { return a + b; }
__device__ __forceinline__ int64_t plus(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}
__device__ __forceinline__ float times(float a, float b) { return a * b; }
__device__ __forceinline__ double times(double a, double b) { return a * b; }
__device__ __forceinline__ int64_t times(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
}

template <class A>
__device__ __forceinline__ A combine(ReduceOp op, A total, A x) {
  switch (op) {
    case ReduceOp::kMax:
      return x > total || x != x ? x : total;
    case ReduceOp::kMin:
      return x < total || x != x ? x : total;
    case ReduceOp::kProduct:
      return times(total, x);
    default:
      return plus(total, x);
  }
}

template <class A>
__device__ __forceinline__ A term(ReduceOp op, A x) {
  if (op == ReduceOp::kSumSquare || op == ReduceOp::kL2) return times(x, x);
  return op == ReduceOp::kL1 && x < static_cast<A>(0) ? times(x, static_cast<A>(-1)) : x;
}

template <class A>
__device__ __forceinline__ A finish(ReduceOp op, A total, uint32_t count) {
  return op == ReduceOp::kMean ? total / static_cast<A>(count) : total;
}
__device__ __forceinline__ float root(float x) { return sqrtf(x); }
__device__ __forceinline__ double root(double x) { return sqrt(x); }
__device__ __forceinline__ float logarithm(float x) { return logf(x); }
__device__ __forceinline__ double logarithm(double x) { return log(x); }
template <class A>
__device__ __forceinline__ A finish_float(ReduceOp op, A total, uint32_t count) {
  if (op == ReduceOp::kMean) return total / static_cast<A>(count);
  if (op == ReduceOp::kL2) return root(total);
  return op == ReduceOp::kLogSum ? logarithm(total) : total;
}
template <>
__device__ __forceinline__ float finish<float>(ReduceOp op, float total, uint32_t count) {
  return finish_float(op, total, count);
}
template <>
__device__ __forceinline__ double finish<double>(ReduceOp op, double total, uint32_t count) {
  return finish_float(op, total, count);
}

// Group 1: a thread an output, else a warp or a block.
template <class A, int Group>
__global__ void __launch_bounds__(kThreads) reduce(const __grid_constant__ ReduceArgs args) {
  A* const memory = Group == kBlockGroup ? shared_memory<A>() : nullptr;
  const uint32_t row =
      Group == 1 ? blockIdx.x * blockDim.x + threadIdx.x : blockIdx.x * blockDim.y + threadIdx.y;
  if (row >= args.kept.count) return;  // whole warps, where they work together
  int64_t at[2];
  args.kept.offsets(row, at);
  A total = start<A>(args.op);
  for (uint32_t i = Group == 1 ? 0 : threadIdx.x; i < args.reduced.count; i += Group) {
    int64_t offset;
    args.reduced.offsets(i, &offset);
    total = combine(args.op, total, term(args.op, read_scalar<A>(args.input, at[1] + offset, args.type)));
  }
  if (Group > 1) {
    total = reduce_group < Group == 1
                ? kWarp
                : Group > (
                              total, [&](A a, A b) { return combine(args.op, a, b); }, memory);
    if (threadIdx.x != 0) return;
  }
  write_scalar(args.output, at[0], args.type, finish(args.op, total, args.reduced.count));
}

template <class A>
LaunchError reduce_as(const ReduceArgs& args, StreamHandle stream) {
  const bool columns =
      args.kept.strides[1][args.kept.axes - 1] == 1 && args.kept.extents[args.kept.axes - 1].value > 1;
  if (columns || args.reduced.count <= kFew) {
    const LaunchShape shape{{ceil_div(args.kept.count, kThreads)}, {kThreads}};
    return launch(reduce<A, 1>, shape, stream, args);
  }
  if (args.reduced.count < kLongRow)
    return launch(reduce<A, kWarp>, rows_shape<kWarp>(args.kept.count, 0), stream, args);
  return launch(reduce<A, kBlockGroup>, rows_shape<kBlockGroup>(args.kept.count, sizeof(A)), stream, args);
}

template <class A>
struct Champion {
  A value;
  int32_t index;  // -1: none yet
};
template <class A>
__device__ __forceinline__ Champion<A> shuffle_xor(const Champion<A>& c, int mask) {
  return {cuda::shuffle_xor(c.value, mask), cuda::shuffle_xor(c.index, mask)};
}

template <class A>
__device__ __forceinline__ Champion<A> better(const ArgArgs& args, const Champion<A>& a,
                                              const Champion<A>& b) {
  if (a.index < 0) return b;
  if (b.index < 0) return a;
  if (a.value == b.value) return (a.index < b.index) != args.last ? a : b;
  return (args.maximum ? a.value > b.value : a.value < b.value) ? a : b;
}

template <class A, int Group>
__global__ void __launch_bounds__(kThreads) find_extreme(const __grid_constant__ ArgArgs args) {
  const int64_t line = Group == 1 ? static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x
                                  : static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  if (line >= args.outer * args.inner) return;  // whole warps, where they work together
  const int64_t first = line / args.inner * args.length * args.inner + line % args.inner;
  Champion<A> best{static_cast<A>(0), -1};
  for (int32_t i = Group == 1 ? 0 : static_cast<int32_t>(threadIdx.x); i < args.length; i += Group) {
    const Champion<A> next{read_scalar<A>(args.input, first + int64_t{i} * args.inner, args.type), i};
    best = better(args, best, next);
  }
  if (Group > 1) {
    best = reduce_warp(best, [&](const Champion<A>& a, const Champion<A>& b) { return better(args, a, b); });
    if (threadIdx.x != 0) return;
  }
  args.output[line] = best.index;
}

template <class A>
LaunchError arg_as(const ArgArgs& args, StreamHandle stream) {
  const int64_t lines = args.outer * args.inner;
  if (args.inner == 1) return launch(find_extreme<A, kWarp>, rows_shape<kWarp>(lines, 0), stream, args);
  const LaunchShape shape{{ceil_div(lines, kThreads)}, {kThreads}};
  return launch(find_extreme<A, 1>, shape, stream, args);
}

}  // namespace

LaunchError launch_reduce(const ReduceArgs& args, StreamHandle stream) {
  if (args.kept.count == 0) return nullptr;
  switch (arithmetic_of(args.type)) {
    case Arithmetic::kFloat:
      return reduce_as<float>(args, stream);
    case Arithmetic::kDouble:
      return reduce_as<double>(args, stream);
    default:
      return reduce_as<int64_t>(args, stream);
  }
}

LaunchError launch_arg(const ArgArgs& args, StreamHandle stream) {
  if (args.outer * args.inner == 0) return nullptr;
  switch (arithmetic_of(args.type)) {
    case Arithmetic::kFloat:
      return arg_as<float>(args, stream);
    case Arithmetic::kDouble:
      return arg_as<double>(args, stream);
    default:
      return arg_as<int64_t>(args, stream);
  }
}

}  // namespace mts::exec::cuda
