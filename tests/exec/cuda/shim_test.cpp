// The shim itself: barriers, warp operations, block memory, and that it sees kernels that are wrong.
#include "exec/cuda/kernels/index.h"
#include "exec/cuda/kernels/launch.h"
#include "exec/cuda/kernels/number.h"
#include "ref/formats.h"

#include <mts/dtype.h>

#include <cmath>
#include <cstring>
#include <vector>

#include <gtest/gtest.h>

namespace mts::exec::cuda {
namespace {

// Each block reverses its piece through block memory.
void reverse(const int* from, int* to) {
  int* const memory = shared_memory<int>();
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  memory[threadIdx.x] = from[i];
  sync_block();
  to[i] = memory[blockDim.x - 1 - threadIdx.x];
}

TEST(Shim, BarriersOrderBlockMemory) {
  std::vector<int> from(192), to(192);
  for (int i = 0; i < 192; ++i) from[static_cast<size_t>(i)] = i;
  ASSERT_EQ(launch(reverse, {{3}, {64}, 64 * sizeof(int), Sync::kTogether}, nullptr, from.data(), to.data()),
            nullptr);
  for (int i = 0; i < 192; ++i) EXPECT_EQ(to[static_cast<size_t>(i)], i / 64 * 64 + 63 - i % 64);
}

void without_barrier(int* to) {
  int* const memory = shared_memory<int>();
  memory[threadIdx.x] = static_cast<int>(threadIdx.x);
  to[threadIdx.x] = memory[blockDim.x - 1 - threadIdx.x];
}

TEST(Shim, AMissingBarrierShows) {
  std::vector<int> to(64);
  ASSERT_EQ(launch(without_barrier, {{1}, {64}, 64 * sizeof(int), Sync::kTogether}, nullptr, to.data()),
            nullptr);
  bool wrong = false;
  for (int i = 0; i < 64; ++i) wrong = wrong || to[static_cast<size_t>(i)] != 63 - i;
  EXPECT_TRUE(wrong);
}

void warp_sum(const float* from, float* to) {
  float x = from[threadIdx.x];
  for (int mask = 16; mask > 0; mask /= 2) x += shuffle_xor(x, mask);
  const float left = shuffle_down(from[threadIdx.x], 1);
  to[threadIdx.x] = x + left;
}

TEST(Shim, WarpsExchange) {
  std::vector<float> from(96), to(96);
  for (size_t i = 0; i < from.size(); ++i) from[i] = static_cast<float>(i);
  ASSERT_EQ(launch(warp_sum, {{1}, {96}, 0, Sync::kTogether}, nullptr, from.data(), to.data()), nullptr);
  for (size_t i = 0; i < 96; ++i) {
    const size_t first = i / 32 * 32;
    const float sum = static_cast<float>(32 * first + 496),
                left = static_cast<float>(i % 32 == 31 ? i : i + 1);
    EXPECT_EQ(to[i], sum + left) << i;
  }
}

void half_a_barrier() {
  if (threadIdx.x < 32) sync_block();
}
void half_a_warp() {
  if (threadIdx.x < 16) shuffle_xor(1.f, 1);
}

TEST(ShimDeathTest, DivergentBarriersEndTheProgram) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH(launch(half_a_barrier, {{1}, {64}, 0, Sync::kTogether}, nullptr),
               "barrier that others never reach");
  EXPECT_DEATH(launch(half_a_warp, {{1}, {32}, 0, Sync::kTogether}, nullptr), "not all lanes");
  EXPECT_DEATH(launch(half_a_barrier, {{1}, {64}, 0, Sync::kNone}, nullptr), "launched as if it did not");
}

TEST(Shim, KeepsTheLimitsOfADevice) {
  EXPECT_NE(launch(half_a_warp, {{1}, {1025}}, nullptr), nullptr);
  EXPECT_NE(launch(half_a_warp, {{1, 70000}, {32}}, nullptr), nullptr);
  EXPECT_NE(launch(half_a_warp, {{1}, {32}, 256 * 1024}, nullptr), nullptr);
  EXPECT_EQ(launch(half_a_warp, {{0}, {32}}, nullptr), nullptr);
}

TEST(Numbers, HalvesConvertAsInTheReference) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float half = to_float(Half{static_cast<uint16_t>(bits)}),
                brain = to_float(Bfloat16{static_cast<uint16_t>(bits)});
    const float half_wanted = ref::decode_float(DType::kFloat16, bits),
                brain_wanted = ref::decode_float(DType::kBfloat16, bits);
    ASSERT_EQ(std::isnan(half), std::isnan(half_wanted)) << bits;
    ASSERT_EQ(std::isnan(brain), std::isnan(brain_wanted)) << bits;
    ASSERT_TRUE(std::isnan(half) || bits_of(half) == bits_of(half_wanted)) << bits;
    ASSERT_TRUE(std::isnan(brain) || bits_of(brain) == bits_of(brain_wanted)) << bits;
  }
  for (uint64_t step = 0; step < (uint64_t{1} << 32); step += 9973) {  // all exponents, many mantissas
    const float x = float_of_bits(static_cast<uint32_t>(step));
    if (std::isnan(x)) {
      EXPECT_TRUE(std::isnan(to_float(from_float<Half>(x))));
      EXPECT_TRUE(std::isnan(to_float(from_float<Bfloat16>(x))));
      continue;
    }
    ASSERT_EQ(from_float<Half>(x).bits, ref::encode_float(DType::kFloat16, x, false)) << x;
    ASSERT_EQ(from_float<Bfloat16>(x).bits, ref::encode_float(DType::kBfloat16, x, false)) << x;
  }
}

TEST(Index, DivisorsAreExact) {
  for (uint32_t d : {1u, 2u, 3u, 5u, 7u, 10u, 64u, 641u, 65535u, 65536u, 1000003u, 0x7fffffffu}) {
    const Divisor divisor(d);
    for (uint32_t n : {0u, 1u, 2u, d - 1, d, d + 1, 3 * (d % 1000), 0x7ffffffeu, 0x7fffffffu}) {
      if (n > 0x7fffffffu) continue;
      EXPECT_EQ(divisor.quotient(n), n / d) << n << " / " << d;
    }
    for (uint64_t n = 0; n < (uint64_t{1} << 31); n += 715827) {
      ASSERT_EQ(divisor.quotient(static_cast<uint32_t>(n)), n / d) << n << " / " << d;
    }
  }
}

}  // namespace
}  // namespace mts::exec::cuda
