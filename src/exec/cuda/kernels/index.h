// Positions in strided tensors: which element of each operand belongs to the i-th of the output. Host code
// fills the structs, device code reads them. All counts are below 2^31.
#pragma once

#include <cstdint>

#if defined(__CUDACC__)
#define MTS_HOST_DEVICE __host__ __device__ __forceinline__
#else
#define MTS_HOST_DEVICE inline
#endif

namespace mts::exec::cuda {

inline constexpr int kMaxAxes = 8;

// Division by a number that is known at launch: a multiplication and a shift (Granlund and Montgomery,
// "Division by Invariant Integers using Multiplication", 1994). Exact for dividends below 2^31.
struct Divisor {
  uint32_t value = 1, magic = 1, shift = 0;

  Divisor() = default;
  explicit Divisor(int64_t divisor) : value(static_cast<uint32_t>(divisor)) {
    while ((uint64_t{1} << shift) < value) ++shift;
    magic = value == 0
                ? 1
                : static_cast<uint32_t>(((uint64_t{1} << 32) * ((uint64_t{1} << shift) - value)) / value + 1);
  }
  MTS_HOST_DEVICE uint32_t quotient(uint32_t n) const {
    return static_cast<uint32_t>(((static_cast<uint64_t>(n) * magic >> 32) + n) >> shift);
  }
  // n := n / value; gives the remainder.
  MTS_HOST_DEVICE uint32_t take_remainder(uint32_t& n) const {
    const uint32_t q = quotient(n), r = n - q * value;
    n = q;
    return r;
  }
};

// A loop nest over K operands, outermost axis first.
template <int K>
struct Nest {
  int32_t axes = 0;
  uint32_t count = 0;  // of positions
  Divisor extents[kMaxAxes];
  int64_t strides[K][kMaxAxes] = {};  // elements

  // The offsets of position `i`, for the first `operands` operands. R: no nest has more axes than this.
  template <int R = kMaxAxes>
  MTS_HOST_DEVICE void offsets(uint32_t i, int64_t* result, int operands = K) const {
    for (int k = 0; k < operands; ++k) result[k] = 0;
#if defined(__CUDACC__)
#pragma unroll
#endif
    for (int axis = R - 1; axis >= 0; --axis) {
      if (axis >= axes) continue;
      const int64_t at = extents[axis].take_remainder(i);
      for (int k = 0; k < operands; ++k) result[k] += at * strides[k][axis];
    }
  }
};

}  // namespace mts::exec::cuda
