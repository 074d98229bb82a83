// Knows, as only number.h (conversions) and mma.cuh (tensor cores) do beside it, for what the kernels are
// compiled: for the device by nvcc, or for the host, where blocks run one after another and the threads of a
// block as fibers (shim/block.h). Kernel sources are the same for both and use what is declared here:
//
// - a kernel: __global__ void f(const __grid_constant__ Args args), started by launch(f, shape, stream, args)
// - block memory: shared_memory<T>() of LaunchShape::shared_bytes; not initialised (on the host: NaNs)
// - barriers: sync_block(); a kernel with one, or with a warp operation, says so in LaunchShape::sync
// - warp operations: shuffle_xor, shuffle_down; all 32 lanes take part
//
// Preconditions: all threads of a block reach the same barriers; blocks with a warp operation have whole
// warps.
#pragma once

#include "exec/cuda/kernels/stream.h"

#include <cstddef>
#include <cstdint>

namespace mts::exec::cuda {

inline constexpr int kWarp = 32;

struct Extent {
  uint32_t x = 1, y = 1, z = 1;
};

enum class Sync : uint8_t {
  kNone,      // threads are independent: the host runs them one after another
  kTogether,  // barriers or warp operations: the host runs them as fibers
};

struct LaunchShape {
  Extent grid, block;
  size_t shared_bytes = 0;  // at most 227 KiB
  Sync sync = Sync::kNone;
};

constexpr uint32_t ceil_div(int64_t a, int64_t b) { return static_cast<uint32_t>((a + b - 1) / b); }

}  // namespace mts::exec::cuda

#if defined(__CUDACC__)

#include <cuda_runtime.h>

#define MTS_NOINLINE __noinline__

namespace mts::exec::cuda {

template <class T>
__device__ __forceinline__ T* shared_memory() {
  extern __shared__ __align__(16) unsigned char block_memory[];
  return reinterpret_cast<T*>(block_memory);
}
__device__ __forceinline__ void sync_block() { __syncthreads(); }
template <class T>
__device__ __forceinline__ T shuffle_xor(T value, int mask) {
  return __shfl_xor_sync(0xffffffffu, value, mask);
}
template <class T>
__device__ __forceinline__ T shuffle_down(T value, int by) {
  return __shfl_down_sync(0xffffffffu, value, by);
}

// Enqueues the kernel; nothing happens for an empty grid.
template <class... P, class... A>
LaunchError launch(void (*kernel)(P...), const LaunchShape& shape, StreamHandle stream, const A&... args) {
  if (shape.grid.x == 0 || shape.grid.y == 0 || shape.grid.z == 0) return nullptr;
  constexpr size_t kDefaultShared = 48 * 1024;
  if (shape.shared_bytes > kDefaultShared) {
    const cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                                   static_cast<int>(shape.shared_bytes));
    if (error != cudaSuccess) return cudaGetErrorString(error);
  }
  const dim3 grid(shape.grid.x, shape.grid.y, shape.grid.z),
      block(shape.block.x, shape.block.y, shape.block.z);
  kernel<<<grid, block, shape.shared_bytes, static_cast<cudaStream_t>(stream)>>>(args...);
  const cudaError_t error = cudaGetLastError();
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

}  // namespace mts::exec::cuda

#else

#include "exec/cuda/kernels/shim/block.h"

// CUDA's words, for g++ and clang++ (`__restrict__` they know).
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __grid_constant__
#define __launch_bounds__(...)
#define MTS_NOINLINE [[gnu::noinline]]  // __noinline__ is a word of the standard library's headers

namespace mts::exec::cuda {

using shim::blockDim;
using shim::blockIdx;
using shim::gridDim;
using shim::threadIdx;

template <class T>
T* shared_memory() {
  return static_cast<T*>(shim::shared_memory());
}
inline void sync_block() { shim::sync_block(); }
template <class T>
T shuffle_xor(T value, int mask) {
  return shim::exchange(value, shim::lane() ^ static_cast<uint32_t>(mask));
}
template <class T>
T shuffle_down(T value, int by) {
  const uint32_t from = shim::lane() + static_cast<uint32_t>(by);
  return shim::exchange(value, from < kWarp ? from : shim::lane());
}

template <class... P, class... A>
LaunchError launch(void (*kernel)(P...), const LaunchShape& shape, StreamHandle, const A&... args) {
  const auto body = [&] { kernel(args...); };
  const shim::Grid grid{{shape.grid.x, shape.grid.y, shape.grid.z},
                        {shape.block.x, shape.block.y, shape.block.z},
                        shape.shared_bytes,
                        shape.sync == Sync::kTogether};
  return shim::run(
      grid, [](const void* call) { (*static_cast<const decltype(body)*>(call))(); }, &body);
}

}  // namespace mts::exec::cuda

#endif
