// Reductions over the threads that share a row: a warp, or a block of kBlockGroup threads.
#pragma once

#include "exec/cuda/kernels/launch.h"

namespace mts::exec::cuda {

inline constexpr int kBlockGroup = 256;

// `combine` is associative and commutative; all lanes get the result. T: what shuffle_xor takes.
template <class T, class F>
__device__ __forceinline__ T reduce_warp(T value, const F& combine) {
#pragma unroll
  for (int mask = kWarp / 2; mask > 0; mask /= 2) value = combine(value, shuffle_xor(value, mask));
  return value;
}

// Group: kWarp or kBlockGroup, then the whole block is one group and `memory` holds a T for each of its
// warps.
template <int Group, class T, class F>
__device__ __forceinline__ T reduce_group(T value, const F& combine, T* memory) {
  value = reduce_warp(value, combine);
  if (Group == kWarp) return value;
  constexpr int kWarps = Group / kWarp;
  const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  sync_block();  // `memory` may hold the result of the reduction before
  if (lane == 0) memory[warp] = value;
  sync_block();
  value = memory[lane % kWarps];
#pragma unroll
  for (int mask = kWarps / 2; mask > 0; mask /= 2) value = combine(value, shuffle_xor(value, mask));
  return value;
}

// How rows are shared out: by warps where they are short, by blocks where they are long.
template <int Group>
LaunchShape rows_shape(int64_t rows, size_t bytes_a_warp) {
  constexpr uint32_t kRowsABlock = Group == kWarp ? kBlockGroup / kWarp : 1;
  return {{ceil_div(rows, kRowsABlock)},
          {Group, kRowsABlock},
          Group == kWarp ? 0 : bytes_a_warp * (Group / kWarp),
          Sync::kTogether};
}
constexpr int64_t kLongRow = 1024;  // from here on a block shares a row

}  // namespace mts::exec::cuda
