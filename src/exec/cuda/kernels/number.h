// The 16-bit floats as the kernels see them: bits in memory, float in registers. Conversion to them rounds to
// the nearest, ties to even; NaN stays NaN.
#pragma once

#include "exec/cuda/kernels/float_type.h"
#include "exec/cuda/kernels/launch.h"

#include <cstring>

#if defined(__CUDACC__)
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#endif

namespace mts::exec::cuda {

struct Half {
  uint16_t bits;
};
struct Bfloat16 {
  uint16_t bits;
};

__host__ __device__ __forceinline__ uint32_t bits_of(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof(bits));
  return bits;
}
__host__ __device__ __forceinline__ float float_of_bits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof(x));
  return x;
}

__device__ __forceinline__ float to_float(float x) { return x; }
__device__ __forceinline__ float to_float(Bfloat16 x) {
  return float_of_bits(static_cast<uint32_t>(x.bits) << 16);
}
__device__ __forceinline__ float to_float(Half x) {
#if defined(__CUDACC__)
  return __half2float(__ushort_as_half(x.bits));
#else
  const uint32_t sign = static_cast<uint32_t>(x.bits & 0x8000u) << 16, magnitude = x.bits & 0x7fffu;
  if (magnitude >= 0x7c00u) return float_of_bits(sign | 0x7f800000u | (magnitude & 0x3ffu) << 13);
  // Exact also for denormals: the exponent is moved by a multiplication.
  const float value = float_of_bits(magnitude << 13) * 0x1p112f;
  return float_of_bits(sign | bits_of(value));
#endif
}

template <class T>
__device__ __forceinline__ T from_float(float x);
template <>
__device__ __forceinline__ float from_float<float>(float x) {
  return x;
}
template <>
__device__ __forceinline__ Bfloat16 from_float<Bfloat16>(float x) {
  const uint32_t bits = bits_of(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return {static_cast<uint16_t>(bits >> 16 | 0x40u)};
  return {static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16)};
}
template <>
__device__ __forceinline__ Half from_float<Half>(float x) {
#if defined(__CUDACC__)
  return {__half_as_ushort(__float2half_rn(x))};
#else
  const uint32_t bits = bits_of(x), sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return {static_cast<uint16_t>(sign | 0x7e00u)};
  if (magnitude >= 0x477ff000u) return {static_cast<uint16_t>(sign | 0x7c00u)};  // rounds to infinity
  if (magnitude < 0x38800000u) {  // denormal: the addition rounds at the right place
    const float shifted = float_of_bits(magnitude) + 0.5f;
    return {static_cast<uint16_t>(sign | (bits_of(shifted) - 0x3f000000u))};
  }
  const uint32_t rounded = magnitude + 0xfffu + (magnitude >> 13 & 1u) - 0x38000000u;
  return {static_cast<uint16_t>(sign | rounded >> 13)};
#endif
}

// V neighbours in memory, read and written at once (16 bytes: one 128-bit access). Aligned to their size.
template <class T, int V>
struct alignas(sizeof(T) * V) Pack {
  T v[V];
};

template <int V>
struct Vec {
  float v[V];
};

template <int V, class T>
__device__ __forceinline__ Vec<V> load(const T* __restrict__ from) {
  const Pack<T, V> pack = *reinterpret_cast<const Pack<T, V>*>(from);
  Vec<V> result;
#pragma unroll
  for (int i = 0; i < V; ++i) result.v[i] = to_float(pack.v[i]);
  return result;
}
template <int V, class T>
__device__ __forceinline__ void store(T* to, const Vec<V>& values) {
  Pack<T, V> pack;
#pragma unroll
  for (int i = 0; i < V; ++i) pack.v[i] = from_float<T>(values.v[i]);
  *reinterpret_cast<Pack<T, V>*>(to) = pack;
}
template <int V>
__device__ __forceinline__ Vec<V> splat(float x) {
  Vec<V> result;
#pragma unroll
  for (int i = 0; i < V; ++i) result.v[i] = x;
  return result;
}

// Of floats whose type is known only at run time.
template <int V>
__device__ __forceinline__ Vec<V> load(const void* base, int64_t at, FloatType type) {
  switch (type) {
    case FloatType::kFloat16:
      return load<V>(static_cast<const Half*>(base) + at);
    case FloatType::kBfloat16:
      return load<V>(static_cast<const Bfloat16*>(base) + at);
    default:
      return load<V>(static_cast<const float*>(base) + at);
  }
}
template <int V>
__device__ __forceinline__ void store(void* base, int64_t at, FloatType type, const Vec<V>& values) {
  switch (type) {
    case FloatType::kFloat16:
      return store<V>(static_cast<Half*>(base) + at, values);
    case FloatType::kBfloat16:
      return store<V>(static_cast<Bfloat16*>(base) + at, values);
    default:
      return store<V>(static_cast<float*>(base) + at, values);
  }
}

}  // namespace mts::exec::cuda
