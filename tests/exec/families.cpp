#include "tests/exec/families.h"

#include "tests/exec/harness.h"

#include <algorithm>
#include <fstream>
#include <random>

namespace mts::exec {

void PrintTo(const Family& family, std::ostream* out) { *out << family.name; }

std::vector<Family> families() {
  std::ifstream file("models/families.json");
  std::vector<Family> result;
  if (!file) return result;
  for (const Json& entry : Json::parse(file)) result.push_back({entry["name"].get<std::string>(), entry});
  return result;
}

Datum random_input(const Value& value, const Json& entry, size_t binding, unsigned seed) {
  Dims dims;
  for (const Dim& dim : *value.type.shape) {
    if (dim.is_known()) {
      dims.push_back(dim.value);
    } else if (entry["dims"].contains(dim.symbol)) {
      const Json& choices = entry["dims"][dim.symbol];
      dims.push_back(choices[std::min(binding, choices.size() - 1)].get<int64_t>());
    } else {
      dims.push_back(1);
    }
  }
  double low = -2, high = 2;
  if (entry["ranges"].contains(value.name)) {
    low = entry["ranges"][value.name][0].get<double>();
    high = entry["ranges"][value.name][1].get<double>() - 1e-3;
  } else if (is_integer(value.type.dtype)) {
    low = 0, high = 9.99;
  }
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(low, high);
  std::vector<double> values(static_cast<size_t>(element_count(dims)));
  for (double& v : values) v = uniform(random);
  if (value.type.dtype == DType::kFloat16) {
    Tensor half(DType::kFloat16, dims);
    // 1.x * 2^e with a random mantissa: exact values do not matter here.
    for (int64_t i = 0; i < half.element_count(); ++i)
      half.mutable_as<uint16_t>()[i] =
          static_cast<uint16_t>(0x3800 + random() % 0x400 + (random() % 2) * 0x8000);
    return half;
  }
  return random_tensor(value.type.dtype, dims, seed, values);
}

}  // namespace mts::exec
