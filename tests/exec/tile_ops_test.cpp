// The inner loops, for each instruction set that this machine has, against plain loops and double precision.
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

// Relative 1e-6 of the function in double precision, whatever the length; where it is periodic or underflows,
// of the number beside it.
TEST(TileOps, FunctionsAreExact) {
  struct Function {
    ElementOp op;
    double (*exact)(double x);
    float alpha, beta;
    double beside;  // error of so much of it is allowed as well
  };
  constexpr double kSmallest = 1.2e-38;
  static constexpr float kSlope = 1.67326324f, kGamma = 1.05070102f;
  const Function functions[] = {
      {ElementOp::kExp, [](double x) { return std::exp(x); }, 0, 0, kSmallest},
      {ElementOp::kSigmoid, [](double x) { return 1 / (1 + std::exp(-x)); }, 0, 0, kSmallest},
      {ElementOp::kSwish, [](double x) { return x / (1 + std::exp(-0.5 * x)); }, 0.5f, 0, 2e-36},
      {ElementOp::kElu, [](double x) { return x < 0 ? std::expm1(x) : x; }, 1, 0, kSmallest},
      {ElementOp::kSelu, [](double x) { return kGamma * (x < 0 ? double{kSlope} * std::expm1(x) : x); },
       kSlope, kGamma, kSmallest},
      {ElementOp::kCelu, [](double x) { return x < 0 ? 2 * std::expm1(x / 2) : x; }, 2, 0, kSmallest},
      {ElementOp::kSoftplus, [](double x) { return std::max(x, 0.) + std::log1p(std::exp(-std::abs(x))); }, 0,
       0, kSmallest},
      {ElementOp::kMish,
       [](double x) { return x * std::tanh(std::max(x, 0.) + std::log1p(std::exp(-std::abs(x)))); }, 0, 0,
       2e-36},
      {ElementOp::kSoftsign, [](double x) { return x / (1 + std::abs(x)); }, 0, 0, kSmallest},
      {ElementOp::kSin, [](double x) { return std::sin(x); }, 0, 0, 0.2},
      {ElementOp::kCos, [](double x) { return std::cos(x); }, 0, 0, 0.2},
      {ElementOp::kAtan, [](double x) { return std::atan(x); }, 0, 0, kSmallest},
      {ElementOp::kLog, [](double x) { return std::log(x); }, 0, 0, 1e-7},
  };
  std::vector<float> x;
  for (float magnitude = 1e-40f; magnitude < 9000.f; magnitude *= 1.07f) {
    x.push_back(magnitude);
    x.push_back(-magnitude);
  }
  for (float near = -90.f; near < 90.f; near += 0.37f) x.push_back(near);
  for (const auto& [name, ops] : variants()) {
    for (const Function& f : functions) {
      for (size_t length : {size_t{1}, size_t{15}, size_t{16}, size_t{33}}) {
        for (size_t begin = 0; begin < x.size(); begin += length) {
          const size_t n = std::min(length, x.size() - begin);
          std::vector<float> y(n + 1, 7.f);
          const float* const from = x.data() + begin;
          ops->elementwise[static_cast<size_t>(f.op)](y.data(), from, from, static_cast<int64_t>(n), f.alpha,
                                                      f.beta);
          EXPECT_EQ(y[n], 7.f);
          for (size_t i = 0; i < n; ++i) {
            const double wanted = f.exact(from[i]);
            const std::string what =
                name + " " + std::string(name_of(f.op)) + " of " + std::to_string(from[i]);
            if (std::isnan(wanted)) {
              ASSERT_TRUE(std::isnan(y[i])) << what;
            } else if (std::abs(wanted) > std::numeric_limits<float>::max()) {
              ASSERT_TRUE(std::isinf(y[i])) << what;
            } else {
              ASSERT_NEAR(y[i], wanted,
                          1e-6 * (std::abs(wanted) + f.beside) + (f.beside < 1e-30 ? f.beside : 0))
                  << what;
            }
          }
        }
      }
    }
  }
}

TEST(TileOps, Transposes) {
  for (const auto& [name, ops] : variants()) {
    for (int64_t rows : {1, 4, 16, 17, 35}) {
      for (int64_t columns : {1, 5, 16, 31, 48}) {
        const std::vector<float> x = numbers(columns * (rows + 3), 1);
        std::vector<float> y(static_cast<size_t>(rows * (columns + 2)), 9.f);
        ops->transpose(y.data(), columns + 2, x.data(), rows + 3, rows, columns);
        for (int64_t r = 0; r < rows; ++r) {
          for (int64_t c = 0; c < columns + 2; ++c) {
            ASSERT_EQ(y[static_cast<size_t>(r * (columns + 2) + c)],
                      c < columns ? x[static_cast<size_t>(c * (rows + 3) + r)] : 9.f)
                << name << " " << rows << "x" << columns << " at " << r << "," << c;
          }
        }
      }
    }
  }
}

TEST(TileOps, SplitsAndJoinsPixels) {
  for (const auto& [name, ops] : variants()) {
    for (int64_t values : {1, 2, 3, 4}) {
      for (int64_t pixels : {1, 17, 1024, 1500}) {
        const std::vector<float> x = numbers(values * pixels, 1);
        std::vector<float> split(x.size()), joined(x.size());
        ops->transpose(split.data(), pixels, x.data(), values, values, pixels);
        ops->transpose(joined.data(), values, split.data(), pixels, pixels, values);
        EXPECT_EQ(joined, x) << name << " " << values << " of " << pixels;
        for (int64_t p = 0; p < pixels; ++p)
          ASSERT_EQ(split[static_cast<size_t>(p)], x[static_cast<size_t>(p * values)]) << name;
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
