#include "check/random.h"

#include <xxhash.h>

namespace mts::check {

Random::Random(uint64_t seed, std::string_view stream) : state_(XXH64(stream.data(), stream.size(), seed)) {}

// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014).
uint64_t Random::bits() {
  uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

double Random::uniform() { return static_cast<double>(bits() >> 11) * 0x1p-53; }

double Random::normal() {
  int64_t sum = 0;
  for (int draw = 0; draw < 4; ++draw) {
    uint64_t z = bits();
    for (int part = 0; part < 3; ++part, z >>= 21) sum += static_cast<int64_t>(z & 0x1fffffu);
  }
  // Twelve numbers of 21 bits each; their mean is 12 * (2^21 - 1) / 2.
  return static_cast<double>(sum - 6 * 0x1fffff) * 0x1p-21;
}

int64_t Random::integer(int64_t low, int64_t high) {
  if (high <= low) return low;
  const uint64_t width = static_cast<uint64_t>(high) - static_cast<uint64_t>(low);
  return static_cast<int64_t>(static_cast<uint64_t>(low) + bits() % width);
}

}  // namespace mts::check
