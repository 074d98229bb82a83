#include "exec/cuda/kernels/launch.h"
#include "exec/cuda/kernels/quantised.h"
#include "exec/cuda/kernels/reduce.cuh"

#include <cmath>

namespace mts::exec::cuda {
namespace {

// Both include 0; NaN counts as nothing.
struct Extremes {
  float low = 0.f, high = 0.f;
};
__device__ __forceinline__ Extremes shuffle_xor(const Extremes& e, int mask) {
  return {cuda::shuffle_xor(e.low, mask), cuda::shuffle_xor(e.high, mask)};
}
__device__ __forceinline__ Extremes join(const Extremes& a, const Extremes& b) {
  return {b.low < a.low ? b.low : a.low, b.high > a.high ? b.high : a.high};
}
__device__ __forceinline__ Extremes of_block(const Extremes& own) {
  return reduce_group<kBlockGroup>(
      own, [](const Extremes& a, const Extremes& b) { return join(a, b); }, shared_memory<Extremes>());
}

__global__ void __launch_bounds__(kBlockGroup)
    find_extremes(const __grid_constant__ DynamicQuantiseArgs args) {
  Extremes own;
  const auto step = static_cast<int64_t>(gridDim.x) * kBlockGroup;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kBlockGroup + threadIdx.x; i < args.count; i += step)
    own = join(own, {args.input[i], args.input[i]});
  own = of_block(own);
  if (threadIdx.x != 0) return;
  args.extremes[2 * blockIdx.x] = own.low;
  args.extremes[2 * blockIdx.x + 1] = own.high;
}

// `parts`: blocks of the launch before.
__global__ void __launch_bounds__(kBlockGroup)
    quantise(const __grid_constant__ DynamicQuantiseArgs args, uint32_t parts) {
  static_assert(kMostExtremes <= kBlockGroup, "a thread a part");
  Extremes whole;
  if (threadIdx.x < parts) whole = {args.extremes[2 * threadIdx.x], args.extremes[2 * threadIdx.x + 1]};
  whole = of_block(whole);
  const float scale = (whole.high - whole.low) / 255.f;
  float zero = scale == 0.f ? 0.f : rintf(-whole.low / scale);
  zero = zero > 255.f ? 255.f : zero;
  const auto step = static_cast<int64_t>(gridDim.x) * kBlockGroup;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kBlockGroup + threadIdx.x; i < args.count; i += step) {
    const float value = (scale == 0.f ? 0.f : rintf(args.input[i] / scale)) + zero;
    args.output[i] = static_cast<uint8_t>(value > 0.f ? (value < 255.f ? value : 255.f) : 0.f);
  }
  if (blockIdx.x != 0 || threadIdx.x != 0) return;
  *args.scale = scale;
  *args.zero = static_cast<uint8_t>(zero);
}

constexpr int kTile = 64, kDepth = 16, kPiece = 4, kThreads = (kTile / kPiece) * (kTile / kPiece);
constexpr int kPitch = kTile + 4;
struct Shared {
  int32_t left[kDepth * kPitch], right[kDepth * kPitch];
};

// 64 x 64 of C a block, 4 x 4 a thread. The batch is blockIdx.z, then by steps of gridDim.z.
template <class A, class B>
__global__ void __launch_bounds__(kThreads)
    integer_matmul(const __grid_constant__ IntegerMatmulArgs args, uint32_t batches) {
  Shared& shared = *shared_memory<Shared>();
  const int32_t row = static_cast<int32_t>(blockIdx.x) * kTile,
                column = static_cast<int32_t>(blockIdx.y) * kTile;
  const auto thread = static_cast<int32_t>(threadIdx.x);
  const int32_t own_row = thread / (kTile / kPiece) * kPiece, own_column = thread % (kTile / kPiece) * kPiece;
  const auto zero_at = [](const auto* zeros, int32_t stride, int32_t line) -> int32_t {
    return zeros == nullptr ? 0 : zeros[stride * line];
  };
  const bool a_by_row = args.a_row < args.a_column, b_by_column = args.b_column <= args.b_row;
  for (uint32_t batch = blockIdx.z; batch < batches; batch += gridDim.z) {
    uint32_t rest = batch;
    const A* a = static_cast<const A*>(args.a);
    const B* b = static_cast<const B*>(args.b);
#pragma unroll
    for (int i = kMaxOuter - 1; i >= 0; --i) {
      const uint32_t at = args.outer[i].take_remainder(rest);
      a += at * args.a_outer[i];
      b += at * args.b_outer[i];
    }
    int32_t sums[kPiece][kPiece] = {};
    for (int32_t k = 0; k < args.inner; k += kDepth) {
      sync_block();  // the tiles before have been read
      for (int32_t at = thread; at < kTile * kDepth; at += kThreads) {
        const int32_t i = a_by_row ? at % kTile : at / kDepth, d = a_by_row ? at / kTile : at % kDepth;
        shared.left[d * kPitch + i] =
            row + i < args.rows && k + d < args.inner
                ? a[(row + i) * args.a_row + (k + d) * args.a_column] -
                      zero_at(static_cast<const A*>(args.a_zero), args.a_zero_stride, row + i)
                : 0;
        const int32_t j = b_by_column ? at % kTile : at / kDepth, e = b_by_column ? at / kTile : at % kDepth;
        shared.right[e * kPitch + j] =
            column + j < args.columns && k + e < args.inner
                ? b[(k + e) * args.b_row + (column + j) * args.b_column] -
                      zero_at(static_cast<const B*>(args.b_zero), args.b_zero_stride, column + j)
                : 0;
      }
      sync_block();
#pragma unroll
      for (int d = 0; d < kDepth; ++d) {
#pragma unroll
        for (int i = 0; i < kPiece; ++i) {
#pragma unroll
          for (int j = 0; j < kPiece; ++j)
            sums[i][j] += shared.left[d * kPitch + own_row + i] * shared.right[d * kPitch + own_column + j];
        }
      }
    }
    int32_t* const c = args.c + static_cast<int64_t>(batch) * args.rows * args.columns;
#pragma unroll
    for (int i = 0; i < kPiece; ++i) {
#pragma unroll
      for (int j = 0; j < kPiece; ++j) {
        const int32_t m = row + own_row + i, n = column + own_column + j;
        if (m < args.rows && n < args.columns) c[static_cast<int64_t>(m) * args.columns + n] = sums[i][j];
      }
    }
  }
}

template <class A, class B>
LaunchError start(const IntegerMatmulArgs& args, StreamHandle stream) {
  uint32_t batches = 1;
  for (const Divisor& extent : args.outer) batches *= extent.value;
  if (batches == 0 || args.rows == 0 || args.columns == 0) return nullptr;
  const LaunchShape shape{
      {ceil_div(args.rows, kTile), ceil_div(args.columns, kTile), batches < 65535 ? batches : 65535},
      {kThreads},
      sizeof(Shared),
      Sync::kTogether};
  return launch(integer_matmul<A, B>, shape, stream, args, batches);
}

}  // namespace

LaunchError launch_dynamic_quantise(const DynamicQuantiseArgs& args, StreamHandle stream) {
  constexpr int kElementsAThread = 4;
  const uint32_t wanted = ceil_div(args.count, int64_t{kBlockGroup} * kElementsAThread),
                 parts = wanted < kMostExtremes ? wanted : kMostExtremes;
  constexpr size_t kShared = sizeof(Extremes) * (kBlockGroup / kWarp);
  const LaunchShape few{{parts}, {kBlockGroup}, kShared, Sync::kTogether};
  if (const LaunchError error = launch(find_extremes, few, stream, args)) return error;
  const LaunchShape all{{wanted}, {kBlockGroup}, kShared, Sync::kTogether};
  return launch(quantise, all, stream, args, parts);
}

LaunchError launch_integer_matmul(const IntegerMatmulArgs& args, StreamHandle stream) {
  if (args.a_signed) {
    return args.b_signed ? start<int8_t, int8_t>(args, stream) : start<int8_t, uint8_t>(args, stream);
  }
  return args.b_signed ? start<uint8_t, int8_t>(args, stream) : start<uint8_t, uint8_t>(args, stream);
}

}  // namespace mts::exec::cuda
