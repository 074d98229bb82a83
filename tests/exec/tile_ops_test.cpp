// The parts of attention, for each instruction set that this machine has, against plain loops.
#include "exec/cpu/tile_ops.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace mts::exec {
namespace {

std::vector<std::pair<std::string, const TileOps*>> variants() {
  std::vector<std::pair<std::string, const TileOps*>> result = {{"baseline", &baseline::ops()}};
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    result.emplace_back("avx2", &avx2::ops());
#endif
  if (&tile_ops() == &avx512::ops()) result.emplace_back("avx512", &avx512::ops());
  return result;
}

std::vector<float> numbers(int64_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-2, 2);
  std::vector<float> result(static_cast<size_t>(count));
  for (float& x : result) x = uniform(random);
  return result;
}

// Both packings give a's product with b [k x columns]; what lies beyond the columns of c stays as it is.
TEST(TileOps, PackedProducts) {
  for (const auto& [name, ops] : variants()) {
    for (int64_t rows : {1, 4, 7}) {
      for (int64_t columns : {1, 15, 16, 33, 64, 90}) {
        for (int64_t k : {1, 16, 21, 40}) {
          const int64_t leading = columns + 3, panels = (columns + 15) / 16;
          const std::vector<float> a = numbers(rows * (k + 2), 1), b = numbers(k * leading, 2);
          std::vector<float> transposed(static_cast<size_t>(columns * (k + 5)));
          for (int64_t i = 0; i < k; ++i) {
            for (int64_t j = 0; j < columns; ++j)
              transposed[static_cast<size_t>(j * (k + 5) + i)] = b[static_cast<size_t>(i * leading + j)];
          }
          for (bool by_rows : {false, true}) {
            std::vector<float> packed(static_cast<size_t>(panels * 16 * k), 7.f),
                c(static_cast<size_t>(rows * leading), 9.f);
            if (by_rows) {
              ops->pack_rows(packed.data(), b.data(), leading, columns, k);
            } else {
              ops->pack_columns(packed.data(), transposed.data(), k + 5, columns, k);
            }
            ops->multiply(c.data(), leading, a.data(), k + 2, packed.data(), rows, columns, k);
            for (int64_t r = 0; r < rows; ++r) {
              for (int64_t j = 0; j < leading; ++j) {
                double wanted = j < columns ? 0 : 9;
                for (int64_t i = 0; j < columns && i < k; ++i)
                  wanted += a[static_cast<size_t>(r * (k + 2) + i)] * b[static_cast<size_t>(i * leading + j)];
                ASSERT_NEAR(c[static_cast<size_t>(r * leading + j)], wanted, 1e-4)
                    << name << " " << rows << "x" << columns << "x" << k << " at " << r << "," << j;
              }
            }
          }
        }
      }
    }
  }
}

TEST(TileOps, SoftmaxOfRows) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const auto& [name, ops] : variants()) {
    for (int64_t n : {1, 5, 16, 17, 31, 32, 33, 197}) {
      std::vector<float> x = numbers(3 * n, 3);
      for (float& v : x) v *= 40;                        // some become 0
      x[0] = n > 1 ? -infinity : x[0];                   // a masked element,
      std::fill(x.begin() + 2 * n, x.end(), -infinity);  // and a row of them
      std::vector<float> y = x, z = x;
      ops->softmax_rows(y.data(), 3, n);
      ops->softmax(z.data(), x.data(), n);
      for (int64_t r = 0; r < 3; ++r) {
        const float* const row = x.data() + r * n;
        const double top = *std::max_element(row, row + n);
        double sum = 0;
        for (int64_t i = 0; i < n; ++i) sum += std::exp(row[i] - top);
        for (int64_t i = 0; i < n; ++i) {
          const float got = y[static_cast<size_t>(r * n + i)];
          if (r == 2) {
            EXPECT_TRUE(std::isnan(got)) << name << " " << n;
          } else {
            ASSERT_NEAR(got, std::exp(row[i] - top) / sum, 2e-6)
                << name << " " << n << " at " << r << "," << i;
          }
        }
      }
      for (int64_t i = 0; i < n; ++i)
        ASSERT_NEAR(z[static_cast<size_t>(i)], y[static_cast<size_t>(i)], 2e-6) << name << " " << n;
    }
  }
}

}  // namespace
}  // namespace mts::exec
