// Single elements of any type, converted as ONNX's Cast does: a float becomes an integer by truncation (out
// of range saturates, NaN is 0), an integer of another width keeps its low bits, a bool is 0 or 1.
#pragma once

#include "exec/cuda/kernels/number.h"
#include "exec/cuda/kernels/scalar_type.h"

namespace mts::exec::cuda {

template <class To, class From>
__device__ __forceinline__ To saturate(From x) {
  constexpr bool kSigned = static_cast<To>(-1) < static_cast<To>(0);
  constexpr int kBits = static_cast<int>(sizeof(To)) * 8 - (kSigned ? 1 : 0);
  // 2^kBits: the first value above; exact in both floats.
  From above = 1;
#pragma unroll 1
  for (int i = 0; i < kBits; ++i) above *= 2;
  constexpr To kLargest = static_cast<To>(kSigned ? (uint64_t{1} << kBits) - 1 : ~uint64_t{0});
  if (!(x == x)) return 0;
  if (x >= above) return kLargest;
  if (kSigned ? x < -above : x <= 0) return kSigned ? static_cast<To>(-kLargest - 1) : static_cast<To>(0);
  return static_cast<To>(x);
}

template <class A>
__device__ __forceinline__ A read_scalar(const void* base, int64_t at, ScalarType type) {
  switch (type) {
    case ScalarType::kFloat32:
      return static_cast<A>(static_cast<const float*>(base)[at]);
    case ScalarType::kFloat16:
      return static_cast<A>(to_float(static_cast<const Half*>(base)[at]));
    case ScalarType::kBfloat16:
      return static_cast<A>(to_float(static_cast<const Bfloat16*>(base)[at]));
    case ScalarType::kFloat64:
      return static_cast<A>(static_cast<const double*>(base)[at]);
    case ScalarType::kInt8:
      return static_cast<A>(static_cast<const int8_t*>(base)[at]);
    case ScalarType::kUint8:
      return static_cast<A>(static_cast<const uint8_t*>(base)[at]);
    case ScalarType::kInt16:
      return static_cast<A>(static_cast<const int16_t*>(base)[at]);
    case ScalarType::kUint16:
      return static_cast<A>(static_cast<const uint16_t*>(base)[at]);
    case ScalarType::kInt32:
      return static_cast<A>(static_cast<const int32_t*>(base)[at]);
    case ScalarType::kUint32:
      return static_cast<A>(static_cast<const uint32_t*>(base)[at]);
    case ScalarType::kInt64:
      return static_cast<A>(static_cast<const int64_t*>(base)[at]);
    case ScalarType::kUint64:
      return static_cast<A>(static_cast<const uint64_t*>(base)[at]);
    default:
      return static_cast<A>(static_cast<const uint8_t*>(base)[at] != 0 ? 1 : 0);
  }
}

template <class To>
__device__ __forceinline__ To to_integer(float x) {
  return saturate<To>(x);
}
template <class To>
__device__ __forceinline__ To to_integer(double x) {
  return saturate<To>(x);
}
template <class To>
__device__ __forceinline__ To to_integer(int64_t x) {
  return static_cast<To>(x);
}

template <class A>
__device__ __forceinline__ void write_scalar(void* base, int64_t at, ScalarType type, A value) {
  switch (type) {
    case ScalarType::kFloat32:
      static_cast<float*>(base)[at] = static_cast<float>(value);
      return;
    case ScalarType::kFloat16:
      static_cast<Half*>(base)[at] = from_float<Half>(static_cast<float>(value));
      return;
    case ScalarType::kBfloat16:
      static_cast<Bfloat16*>(base)[at] = from_float<Bfloat16>(static_cast<float>(value));
      return;
    case ScalarType::kFloat64:
      static_cast<double*>(base)[at] = static_cast<double>(value);
      return;
    case ScalarType::kInt8:
      static_cast<int8_t*>(base)[at] = to_integer<int8_t>(value);
      return;
    case ScalarType::kUint8:
      static_cast<uint8_t*>(base)[at] = to_integer<uint8_t>(value);
      return;
    case ScalarType::kInt16:
      static_cast<int16_t*>(base)[at] = to_integer<int16_t>(value);
      return;
    case ScalarType::kUint16:
      static_cast<uint16_t*>(base)[at] = to_integer<uint16_t>(value);
      return;
    case ScalarType::kInt32:
      static_cast<int32_t*>(base)[at] = to_integer<int32_t>(value);
      return;
    case ScalarType::kUint32:
      static_cast<uint32_t*>(base)[at] = to_integer<uint32_t>(value);
      return;
    case ScalarType::kInt64:
      static_cast<int64_t*>(base)[at] = to_integer<int64_t>(value);
      return;
    case ScalarType::kUint64:
      static_cast<uint64_t*>(base)[at] = to_integer<uint64_t>(value);
      return;
    default:
      static_cast<uint8_t*>(base)[at] = value != static_cast<A>(0) ? 1 : 0;
      return;
  }
}

}  // namespace mts::exec::cuda
