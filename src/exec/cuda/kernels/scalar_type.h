// All element types that kernels read and write one by one. What they compute with is one of three: float for
// the floats up to 32 bits, double, int64 for integers and bool (uint64 keeps its bits).
#pragma once

#include <cstdint>

namespace mts::exec::cuda {

enum class ScalarType : uint8_t {
  kFloat32,
  kFloat16,
  kBfloat16,
  kFloat64,
  kInt8,
  kUint8,
  kInt16,
  kUint16,
  kInt32,
  kUint32,
  kInt64,
  kUint64,
  kBool,
};

enum class Arithmetic : uint8_t { kFloat, kDouble, kInteger };
constexpr Arithmetic arithmetic_of(ScalarType type) {
  if (type == ScalarType::kFloat64) return Arithmetic::kDouble;
  return type < ScalarType::kFloat64 ? Arithmetic::kFloat : Arithmetic::kInteger;
}

}  // namespace mts::exec::cuda
