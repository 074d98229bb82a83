#include "ir/number.h"

#include <limits>

namespace mts {
namespace {

template <class From, class T>
std::vector<T> convert(std::span<const std::byte> bytes, int64_t count) {
  std::vector<T> result(static_cast<size_t>(count));
  for (size_t i = 0; i < result.size(); ++i) {
    From value;
    std::memcpy(&value, bytes.data() + i * sizeof(From), sizeof(From));
    result[i] = static_cast<T>(value);
  }
  return result;
}

template <class T, class Decode>
std::vector<T> convert_with(std::span<const std::byte> bytes, int64_t count, size_t element, Decode decode) {
  std::vector<T> result(static_cast<size_t>(count));
  for (size_t i = 0; i < result.size(); ++i) {
    uint16_t bits = 0;
    std::memcpy(&bits, bytes.data() + i * element, element);
    result[i] = static_cast<T>(decode(bits));
  }
  return result;
}

// Sub-byte integers are packed, the first element in the low bits.
template <class T>
std::vector<T> unpack(std::span<const std::byte> bytes, int64_t count, int bits, bool is_signed) {
  std::vector<T> result(static_cast<size_t>(count));
  const int per_byte = 8 / bits;
  for (size_t i = 0; i < result.size(); ++i) {
    const int shift = static_cast<int>(i % static_cast<size_t>(per_byte)) * bits;
    int value = (std::to_integer<int>(bytes[i / static_cast<size_t>(per_byte)]) >> shift) & ((1 << bits) - 1);
    if (is_signed && value >= (1 << (bits - 1))) value -= 1 << bits;
    result[i] = static_cast<T>(value);
  }
  return result;
}

}  // namespace

float float8_to_float(DType dtype, uint8_t bits) {
  if (dtype == DType::kFloat8E8M0) return bits == 0xff ? std::nanf("") : std::ldexp(1.0f, bits - 127);
  const bool e4 = dtype == DType::kFloat8E4M3FN || dtype == DType::kFloat8E4M3FNUZ;
  const bool fnuz = dtype == DType::kFloat8E4M3FNUZ || dtype == DType::kFloat8E5M2FNUZ;
  const int mantissa_bits = e4 ? 3 : 2;
  const int bias = (e4 ? 7 : 15) + (fnuz ? 1 : 0);
  const int exponent = (bits & 0x7f) >> mantissa_bits;
  const int mantissa = bits & ((1 << mantissa_bits) - 1);
  const float sign = (bits & 0x80) != 0 ? -1.0f : 1.0f;
  if (fnuz && bits == 0x80) return std::nanf("");
  if (dtype == DType::kFloat8E4M3FN && (bits & 0x7f) == 0x7f) return std::nanf("");
  if (dtype == DType::kFloat8E5M2 && exponent == 31)
    return mantissa == 0 ? sign * std::numeric_limits<float>::infinity() : std::nanf("");
  const float significand = static_cast<float>(mantissa) / static_cast<float>(1 << mantissa_bits);
  return exponent == 0 ? sign * std::ldexp(significand, 1 - bias)
                       : sign * std::ldexp(1.0f + significand, exponent - bias);
}

template <class T>
std::vector<T> read_numbers(DType dtype, std::span<const std::byte> bytes, int64_t count) {
  switch (dtype) {
    case DType::kFloat32:
      return convert<float, T>(bytes, count);
    case DType::kFloat64:
      return convert<double, T>(bytes, count);
    case DType::kInt8:
      return convert<int8_t, T>(bytes, count);
    case DType::kUint8:
    case DType::kBool:
      return convert<uint8_t, T>(bytes, count);
    case DType::kInt16:
      return convert<int16_t, T>(bytes, count);
    case DType::kUint16:
      return convert<uint16_t, T>(bytes, count);
    case DType::kInt32:
      return convert<int32_t, T>(bytes, count);
    case DType::kUint32:
      return convert<uint32_t, T>(bytes, count);
    case DType::kInt64:
      return convert<int64_t, T>(bytes, count);
    case DType::kUint64:
      return convert<uint64_t, T>(bytes, count);
    case DType::kFloat16:
      return convert_with<T>(bytes, count, 2, float16_to_float);
    case DType::kBfloat16:
      return convert_with<T>(bytes, count, 2, bfloat16_to_float);
    case DType::kFloat8E4M3FN:
    case DType::kFloat8E4M3FNUZ:
    case DType::kFloat8E5M2:
    case DType::kFloat8E5M2FNUZ:
    case DType::kFloat8E8M0:
      return convert_with<T>(bytes, count, 1, [dtype](uint16_t bits) {
        return float8_to_float(dtype, static_cast<uint8_t>(bits));
      });
    case DType::kInt4:
      return unpack<T>(bytes, count, 4, true);
    case DType::kUint4:
      return unpack<T>(bytes, count, 4, false);
    case DType::kInt2:
      return unpack<T>(bytes, count, 2, true);
    case DType::kUint2:
      return unpack<T>(bytes, count, 2, false);
    case DType::kFloat4E2M1: {
      static constexpr double kMagnitudes[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
      std::vector<T> values;
      for (const int64_t bits : unpack<int64_t>(bytes, count, 4, false))
        values.push_back(
            static_cast<T>(bits < 8 ? kMagnitudes[bits] : -kMagnitudes[bits - 8]));  // sign, then magnitude
      return values;
    }
    default:
      return {};
  }
}

template std::vector<int64_t> read_numbers<int64_t>(DType, std::span<const std::byte>, int64_t);
template std::vector<double> read_numbers<double>(DType, std::span<const std::byte>, int64_t);

}  // namespace mts
