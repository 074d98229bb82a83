// The tensor cores' product of a warp: D = A B + C of 16 x K times K x 8, float accumulation.
// Fragments as in the PTX manual ("Matrix Fragments for mma.m16n8k8" and ".m16n8k16"), with g = lane / 4, t =
// lane % 4:
//   C, D  (g, 2t), (g, 2t + 1), (g + 8, 2t), (g + 8, 2t + 1)
//   A, TF32 (K = 8)   (g, t), (g + 8, t), (g, t + 4), (g + 8, t + 4)          B  (t, g), (t + 4, g)
//   A, 16 bits (K = 16), two neighbours along k a register, the lower half first:
//                     (g, 2t), (g + 8, 2t), (g, 2t + 8), (g + 8, 2t + 8)      B  (2t, g), (2t + 8, g)
#pragma once

#include "exec/cuda/kernels/launch.h"
#include "exec/cuda/kernels/number.h"

namespace mts::exec::cuda {

struct FragmentA {
  uint32_t r[4];
};
struct FragmentB {
  uint32_t r[2];
};
struct FragmentC {
  float r[4];
};

// The 32 bits of a float rounded to TF32's 10 bits of mantissa, half away from zero as cvt.rna does.
__device__ __forceinline__ uint32_t to_tf32(float x) {
#if defined(__CUDACC__)
#if defined(__CUDA_ARCH__)
  uint32_t bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
  return bits;
#else
  return bits_of(x);
#endif
#else
  const uint32_t bits = bits_of(x);
  if ((bits & 0x7f800000u) == 0x7f800000u) return bits & 0xffffe000u;
  return (bits + 0x1000u) & 0xffffe000u;
#endif
}

#if defined(__CUDACC__)

__device__ __forceinline__ void multiply_add(FragmentC& c, const FragmentA& a, const FragmentB& b, float) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(c.r[0]), "+f"(c.r[1]), "+f"(c.r[2]), "+f"(c.r[3])
      : "r"(a.r[0]), "r"(a.r[1]), "r"(a.r[2]), "r"(a.r[3]), "r"(b.r[0]), "r"(b.r[1]));
}
__device__ __forceinline__ void multiply_add(FragmentC& c, const FragmentA& a, const FragmentB& b, Half) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(c.r[0]), "+f"(c.r[1]), "+f"(c.r[2]), "+f"(c.r[3])
      : "r"(a.r[0]), "r"(a.r[1]), "r"(a.r[2]), "r"(a.r[3]), "r"(b.r[0]), "r"(b.r[1]));
}
__device__ __forceinline__ void multiply_add(FragmentC& c, const FragmentA& a, const FragmentB& b, Bfloat16) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(c.r[0]), "+f"(c.r[1]), "+f"(c.r[2]), "+f"(c.r[3])
      : "r"(a.r[0]), "r"(a.r[1]), "r"(a.r[2]), "r"(a.r[3]), "r"(b.r[0]), "r"(b.r[1]));
}

#else

// The host's: each lane deposits its registers and computes its four results from those of the others.
template <class T>
void multiply_add(FragmentC& c, const FragmentA& a, const FragmentB& b, T) {
  struct Registers {
    FragmentA a;
    FragmentB b;
  };
  const Registers mine{a, b};
  shim::deposit(&mine, sizeof(mine));
  const auto of_lane = [](uint32_t lane) {
    Registers registers;
    std::memcpy(&registers, shim::deposited(lane), sizeof(registers));
    return registers;
  };
  constexpr uint32_t kTogether = sizeof(T) == 2 ? 2 : 1;  // elements of a register
  const auto element = [](uint32_t bits, uint32_t which) {
    if constexpr (sizeof(T) == 2) return to_float(T{static_cast<uint16_t>(bits >> (16 * which))});
    // The device ignores what lies below TF32's mantissa.
    return which == 0 ? float_of_bits(bits & 0xffffe000u) : 0.f;
  };
  const uint32_t g = shim::lane() / 4, t = shim::lane() % 4;
  for (uint32_t i = 0; i < 4; ++i) {
    const uint32_t half = i / 2, n = 2 * t + i % 2;  // rows g and g + 8; column n
    for (uint32_t step = 0; step < 8; ++step) {      // four lanes hold the row, two registers each
      const uint32_t lane = step % 4, upper = step / 4;
      const uint32_t left = of_lane(g * 4 + lane).a.r[upper * 2 + half],
                     right = of_lane(n * 4 + lane).b.r[upper];
      for (uint32_t e = 0; e < kTogether; ++e) c.r[i] += element(left, e) * element(right, e);
    }
  }
}

#endif

}  // namespace mts::exec::cuda
