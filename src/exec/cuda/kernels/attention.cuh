// What both attention kernels share: which rows of which head a block makes, and what happens to a score
// between the product and the exponential.
#pragma once

#include "exec/cuda/kernels/attention.h"
#include "exec/cuda/kernels/epilogue.cuh"
#include "exec/cuda/kernels/launch.h"

#include <cmath>

namespace mts::exec::cuda {

inline constexpr int kAttentionColumns = 64;  // of the scores at a time

__device__ __forceinline__ float minus_infinity() { return float_of_bits(0xff800000u); }

// blockIdx.x: tiles of rows fastest, so that they find their head's k and v in the cache.
struct Head {
  uint32_t outer[kMaxOuter];
  int32_t first_row;

  __device__ __forceinline__ Head(const AttentionArgs& args, const Divisor& row_tiles, int tile_rows) {
    uint32_t rest = blockIdx.x;
    first_row = static_cast<int32_t>(row_tiles.take_remainder(rest)) * tile_rows;
#pragma unroll
    for (int i = kMaxOuter - 1; i >= 0; --i) outer[i] = args.outer[i].take_remainder(rest);
  }
  template <class T>
  __device__ __forceinline__ T* find(T* base, const AttentionOperand& at) const {
#pragma unroll
    for (int i = 0; i < kMaxOuter; ++i) base += outer[i] * at.outer[i];
    return base;
  }
};

// V scores of the head; a position outside is any that exists.
template <int V>
__device__ __forceinline__ Vec<V> finish_scores(const AttentionArgs& args, const Head& head,
                                                const int32_t (&rows)[V], const int32_t (&columns)[V],
                                                Vec<V> scores) {
  Positions<V> at;
#pragma unroll
  for (int i = 0; i < V; ++i) {
    at.outer[i] = head.outer[0];
    at.row[i] = static_cast<uint32_t>(rows[i] < args.rows ? rows[i] : 0);
    at.column[i] = static_cast<uint32_t>(columns[i] < args.columns ? columns[i] : 0);
    scores.v[i] *= args.scale;
  }
  at.middle = head.outer[1];
  at.inner = head.outer[2];
  if (args.has_addend) {
    const EpilogueOperand& o = args.addend;
    const int64_t base =
        at.outer[0] * o.outer[0] + at.middle * o.outer[1] + static_cast<int64_t>(at.inner) * o.outer[2];
#pragma unroll
    for (int i = 0; i < V; ++i)
      scores.v[i] += load<1>(o.data, base + at.row[i] * o.row + at.column[i] * o.column, o.type).v[0];
  }
  return run_epilogue<V>(args.work, scores, at);
}

// NaN stays.
__device__ __forceinline__ float larger(float a, float b) { return is_nan(a) || a > b ? a : b; }
// exp(x - largest), and 0 for what minus infinity masks: also while nothing else has been seen, where the
// difference is NaN.
__device__ __forceinline__ float weight_of(float x, float largest) {
  return x == minus_infinity() ? 0.f : expf(x - largest);
}

inline uint32_t heads_of(const AttentionArgs& args) {
  uint32_t heads = 1;
  for (const Divisor& extent : args.outer) heads *= extent.value;
  return heads;
}

}  // namespace mts::exec::cuda
