// A block's tile of a matrix product on the tensor cores: four warps make 64 x 64 results, 32 x 32 each; k
// goes 16 at a time through block memory.
#pragma once

#include "exec/cuda/kernels/mma.cuh"

namespace mts::exec::cuda {

inline constexpr int kMmaThreads = 128, kMmaTile = 64, kMmaDepth = 16;
inline constexpr int kMmaLoads =
    kMmaTile * kMmaDepth / kMmaThreads;  // elements a thread reads of each operand
static_assert(kMmaLoads == 8 && kMmaThreads == 2 * kMmaTile, "two threads read a row");
inline constexpr int kMmaWarpTile = 32;  // of rows and columns
inline constexpr int kMmaRowTiles = kMmaWarpTile / 16, kMmaColumnTiles = kMmaWarpTile / 8;

// How elements lie in block memory, k contiguous: TF32 as 32 bits, the others as they are. Rows are padded so
// that the lanes of a fragment (8 rows of 4 words) fall into different banks.
template <class T>
struct Staged {
  using Element = T;
  static constexpr int kPitch = kMmaDepth + 8;
  static __device__ __forceinline__ T of(T x) { return x; }
};
template <>
struct Staged<float> {
  using Element = uint32_t;
  static constexpr int kPitch = kMmaDepth + 4;
  static __device__ __forceinline__ uint32_t of(float x) { return to_tf32(x); }
};

template <class T>
struct Stage {
  alignas(16) typename Staged<T>::Element left[kMmaTile * Staged<T>::kPitch];
  alignas(16) typename Staged<T>::Element right[kMmaTile * Staged<T>::kPitch];
};

// Eight elements by 128-bit loads.
template <class T>
__device__ __forceinline__ Pack<T, kMmaLoads> load_16_bytes(const T* __restrict__ from) {
  constexpr int kEach = 16 / static_cast<int>(sizeof(T));
  Pack<T, kMmaLoads> result;
#pragma unroll
  for (int i = 0; i < kMmaLoads; i += kEach) {
    const auto piece = *reinterpret_cast<const Pack<T, kEach>*>(from + i);
#pragma unroll
    for (int j = 0; j < kEach; ++j) result.v[i + j] = piece.v[j];
  }
  return result;
}

// The word at (row, k) of a staged operand.
template <class E>
__device__ __forceinline__ uint32_t word(const E* from, int at) {
  return *reinterpret_cast<const uint32_t*>(from + at);
}

// Step `k` of a fragment is k8 for TF32 and k16 for 16 bits: in words, both are 8 words a step.
template <class T>
__device__ __forceinline__ FragmentA load_a(const Stage<T>& stage, int row, int step) {
  constexpr int kWord = sizeof(T) == 2 ? 2 : 1;  // elements
  const int g = static_cast<int>(threadIdx.x) % kWarp / 4, t = static_cast<int>(threadIdx.x) % 4;
  const int at = (row + g) * Staged<T>::kPitch + (step * 8 + t) * kWord;
  constexpr int kEight = 8 * Staged<T>::kPitch;
  return {{word(stage.left, at), word(stage.left, at + kEight), word(stage.left, at + 4 * kWord),
           word(stage.left, at + kEight + 4 * kWord)}};
}
template <class T>
__device__ __forceinline__ FragmentB load_b(const Stage<T>& stage, int column, int step) {
  constexpr int kWord = sizeof(T) == 2 ? 2 : 1;
  const int g = static_cast<int>(threadIdx.x) % kWarp / 4, t = static_cast<int>(threadIdx.x) % 4;
  const int at = (column + g) * Staged<T>::kPitch + (step * 8 + t) * kWord;
  return {{word(stage.right, at), word(stage.right, at + 4 * kWord)}};
}

template <class T>
__device__ __forceinline__ void multiply_stage(const Stage<T>& stage, int row, int column,
                                               FragmentC (&results)[kMmaRowTiles][kMmaColumnTiles]) {
  constexpr int kSteps = kMmaDepth / (sizeof(T) == 2 ? 16 : 8);
#pragma unroll
  for (int step = 0; step < kSteps; ++step) {
    FragmentA a[kMmaRowTiles];
    FragmentB b[kMmaColumnTiles];
#pragma unroll
    for (int i = 0; i < kMmaRowTiles; ++i) a[i] = load_a(stage, row + 16 * i, step);
#pragma unroll
    for (int j = 0; j < kMmaColumnTiles; ++j) b[j] = load_b(stage, column + 8 * j, step);
#pragma unroll
    for (int i = 0; i < kMmaRowTiles; ++i) {
#pragma unroll
      for (int j = 0; j < kMmaColumnTiles; ++j) multiply_add(results[i][j], a[i], b[j], T{});
    }
  }
}

}  // namespace mts::exec::cuda
