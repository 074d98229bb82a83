// Random numbers that are the same on every platform and compiler, as reports and tests of them must be: only
// integer arithmetic and exact floating-point operations (std::normal_distribution and libm differ between
// platforms).
#pragma once

#include <cstdint>
#include <string_view>

namespace mts::check {

class Random {
 public:
  // Streams of different names are independent.
  Random(uint64_t seed, std::string_view stream);

  uint64_t bits();
  double uniform();  // [0, 1), 53 bits
  // Mean 0, variance 1: the sum of twelve uniform numbers, so that |x| < 6.
  double normal();
  int64_t integer(int64_t low, int64_t high);  // [low, high); low when the range is empty

 private:
  uint64_t state_;
};

}  // namespace mts::check
