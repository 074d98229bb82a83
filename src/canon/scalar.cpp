#include "canon/scalar.h"

#include "ir/number.h"

#include <cmath>
#include <string>

namespace mts::canon {
namespace {

template <class T>
std::string encoded(T value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}

std::string encode(DType dtype, double value) {
  switch (dtype) {
    case DType::kFloat32:
      return encoded(static_cast<float>(value));
    case DType::kFloat64:
      return encoded(value);
    case DType::kFloat16:
      return encoded(float_to_float16(static_cast<float>(value)));
    case DType::kBfloat16:
      return encoded(float_to_bfloat16(static_cast<float>(value)));
    case DType::kInt8:
      return encoded(static_cast<int8_t>(value));
    case DType::kUint8:
      return encoded(static_cast<uint8_t>(value));
    case DType::kInt16:
      return encoded(static_cast<int16_t>(value));
    case DType::kUint16:
      return encoded(static_cast<uint16_t>(value));
    case DType::kInt32:
      return encoded(static_cast<int32_t>(value));
    case DType::kUint32:
      return encoded(static_cast<uint32_t>(value));
    case DType::kInt64:
      return encoded(static_cast<int64_t>(value));
    case DType::kUint64:
      return encoded(static_cast<uint64_t>(value));
    default:
      return {};
  }
}

}  // namespace

WeightPtr scalar_of(DType dtype, double value) {
  std::string bytes = encode(dtype, value);
  return bytes.empty() ? nullptr : Weight::from_bytes(dtype, {}, own_bytes(std::move(bytes)));
}

WeightPtr filled(DType dtype, double value, int64_t count) {
  const std::string one = encode(dtype, value);
  if (one.empty()) return nullptr;
  std::string bytes;
  for (int64_t i = 0; i < count; ++i) bytes += one;
  return Weight::from_bytes(dtype, {count}, own_bytes(std::move(bytes)));
}

}  // namespace mts::canon
