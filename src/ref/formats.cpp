#include "ref/formats.h"

#include "ir/number.h"

#include <cmath>
#include <limits>

namespace mts::ref {
namespace {

// IEEE-like layout: sign, exponent, mantissa. What the all-ones exponent means differs.
struct Format {
  int exponent_bits, mantissa_bits, bias;
  enum Top { kIeee, kOnlyNan, kNanIsNegativeZero, kFinite } top;
};

const Format* format_of(DType dtype) {
  static constexpr Format kHalf{5, 10, 15, Format::kIeee};
  static constexpr Format kBrain{8, 7, 127, Format::kIeee};
  static constexpr Format kE4M3FN{4, 3, 7, Format::kOnlyNan};
  static constexpr Format kE4M3FNUZ{4, 3, 8, Format::kNanIsNegativeZero};
  static constexpr Format kE5M2{5, 2, 15, Format::kIeee};
  static constexpr Format kE5M2FNUZ{5, 2, 16, Format::kNanIsNegativeZero};
  static constexpr Format kE2M1{2, 1, 1, Format::kFinite};
  switch (dtype) {
    case DType::kFloat16:
      return &kHalf;
    case DType::kBfloat16:
      return &kBrain;
    case DType::kFloat8E4M3FN:
      return &kE4M3FN;
    case DType::kFloat8E4M3FNUZ:
      return &kE4M3FNUZ;
    case DType::kFloat8E5M2:
      return &kE5M2;
    case DType::kFloat8E5M2FNUZ:
      return &kE5M2FNUZ;
    case DType::kFloat4E2M1:
      return &kE2M1;
    default:
      return nullptr;
  }
}

uint32_t mask(int bits) { return (1u << bits) - 1; }

// Largest finite magnitude, as bits without the sign.
uint32_t largest(const Format& f) {
  const uint32_t all = mask(f.exponent_bits + f.mantissa_bits);
  switch (f.top) {
    case Format::kIeee:
      return ((mask(f.exponent_bits) - 1) << f.mantissa_bits) | mask(f.mantissa_bits);
    case Format::kOnlyNan:
      return all - 1;
    case Format::kNanIsNegativeZero:
    case Format::kFinite:
      break;
  }
  return all;
}

float decode_e8m0(uint32_t bits) {
  if (bits == 0xff) return std::numeric_limits<float>::quiet_NaN();
  return std::ldexp(1.0f, static_cast<int>(bits) - 127);
}

uint32_t encode_e8m0(float value, bool saturate, E8M0Rounding rounding) {
  if (std::isnan(value)) return 0xff;
  if (std::isinf(value)) return saturate ? 0xfe : 0xff;
  value = std::fabs(value);
  if (value == 0) return saturate ? 0 : 0xff;
  int exponent = 0;
  const float fraction = std::frexp(value, &exponent);  // value = fraction * 2^exponent, fraction in [0.5, 1)
  int result = exponent - 1 + 127;
  const bool exact = fraction == 0.5f;
  if (rounding == E8M0Rounding::kUp && !exact) ++result;
  if (rounding == E8M0Rounding::kNearest && fraction >= 0.75f) ++result;
  if (result < 0) return saturate ? 0 : 0xff;
  if (result > 0xfe) return saturate ? 0xfe : 0xff;
  return static_cast<uint32_t>(result);
}

}  // namespace

bool is_small_float(DType dtype) { return format_of(dtype) != nullptr || dtype == DType::kFloat8E8M0; }

float decode_float(DType dtype, uint32_t bits) {
  if (dtype == DType::kFloat8E8M0) return decode_e8m0(bits);
  const Format& f = *format_of(dtype);
  const bool negative = (bits >> (f.exponent_bits + f.mantissa_bits)) & 1;
  const uint32_t magnitude = bits & mask(f.exponent_bits + f.mantissa_bits);
  const uint32_t exponent = magnitude >> f.mantissa_bits;
  const uint32_t mantissa = magnitude & mask(f.mantissa_bits);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  if (f.top == Format::kNanIsNegativeZero && negative && magnitude == 0) return nan;
  if (f.top == Format::kOnlyNan && magnitude == mask(f.exponent_bits + f.mantissa_bits))
    return negative ? -nan : nan;
  float value = 0;
  if (f.top == Format::kIeee && exponent == mask(f.exponent_bits)) {
    value = mantissa ? nan : std::numeric_limits<float>::infinity();
  } else if (exponent == 0) {
    value = std::ldexp(static_cast<float>(mantissa), 1 - f.bias - f.mantissa_bits);
  } else {
    value = std::ldexp(static_cast<float>(mantissa | (1u << f.mantissa_bits)),
                       static_cast<int>(exponent) - f.bias - f.mantissa_bits);
  }
  return negative ? -value : value;
}

uint32_t encode_float(DType dtype, float value, bool saturate, E8M0Rounding rounding) {
  if (dtype == DType::kFloat8E8M0) return encode_e8m0(value, saturate, rounding);
  const Format& f = *format_of(dtype);
  const int width = f.exponent_bits + f.mantissa_bits;
  const bool negative = std::signbit(value);
  const uint32_t sign = negative ? 1u << width : 0;
  const uint32_t infinity = mask(f.exponent_bits) << f.mantissa_bits;
  const auto too_large = [&]() -> uint32_t {
    if (saturate || f.top == Format::kFinite) return sign | largest(f);
    if (f.top == Format::kIeee) return sign | infinity;
    return f.top == Format::kOnlyNan ? sign | mask(width) : 1u << width;
  };
  if (std::isnan(value)) {
    if (f.top == Format::kIeee) return sign | infinity | (1u << (f.mantissa_bits - 1));
    if (f.top == Format::kOnlyNan) return sign | mask(width);
    return 1u << width;  // a format without NaN gets its negative zero
  }
  if (std::isinf(value)) return too_large();
  const double magnitude = std::fabs(static_cast<double>(value));
  if (magnitude == 0) return f.top == Format::kNanIsNegativeZero ? 0 : sign;
  int exponent = 0;
  std::frexp(magnitude, &exponent);
  exponent -= 1;  // magnitude = 1.xxx * 2^exponent
  const int lowest = 1 - f.bias;
  const int scale = (exponent < lowest ? lowest : exponent) - f.mantissa_bits;
  const auto quanta = static_cast<uint64_t>(std::nearbyint(std::ldexp(magnitude, -scale)));  // ties to even
  // In bits, a carry out of the mantissa is the next exponent.
  const uint64_t base =
      exponent < lowest ? 0 : static_cast<uint64_t>(exponent + f.bias - 1) << f.mantissa_bits;
  const uint64_t bits = base + quanta;
  if (bits > largest(f)) return too_large();
  if (bits == 0 && f.top == Format::kNanIsNegativeZero) return 0;
  return sign | static_cast<uint32_t>(bits);
}

Tensor widen(const Tensor& in) {
  Tensor out(DType::kFloat32, in.dims());
  float* to = out.mutable_as<float>();
  const int64_t count = in.element_count();
  const Tensor bytes = bit_width(in.dtype()) < 8 ? unpack_bits(in) : in;
  for (int64_t i = 0; i < count; ++i) {
    if (in.dtype() == DType::kBfloat16) {
      to[i] = bfloat16_to_float(bytes.as<uint16_t>()[i]);
    } else if (in.dtype() == DType::kFloat16) {
      to[i] = float16_to_float(bytes.as<uint16_t>()[i]);
    } else {
      to[i] = decode_float(in.dtype(), bytes.as<uint8_t>()[i]);
    }
  }
  return out;
}

Tensor narrow(const Tensor& in, DType dtype, bool saturate) {
  const int bits = bit_width(dtype);
  Tensor out(bits < 8 ? DType::kUint8 : dtype, in.dims());
  const int64_t count = in.element_count();
  for (int64_t i = 0; i < count; ++i) {
    const float value = in.as<float>()[i];
    if (dtype == DType::kFloat16) {
      out.mutable_as<uint16_t>()[i] = float_to_float16(value);
    } else if (dtype == DType::kBfloat16) {
      out.mutable_as<uint16_t>()[i] = float_to_bfloat16(value);
    } else {
      out.mutable_as<uint8_t>()[i] = static_cast<uint8_t>(encode_float(dtype, value, saturate));
    }
  }
  return bits < 8 ? pack_bits(out, dtype) : out;
}

Tensor unpack_bits(const Tensor& in) {
  const auto bits = static_cast<unsigned>(bit_width(in.dtype()));
  Tensor out(DType::kUint8, in.dims());
  const int64_t count = in.element_count(), per_byte = 8 / bits;
  for (int64_t i = 0; i < count; ++i) {
    const auto shift = static_cast<unsigned>(i % per_byte) * bits;
    out.mutable_as<uint8_t>()[i] =
        static_cast<uint8_t>((in.as<uint8_t>()[i / per_byte] >> shift) & mask(static_cast<int>(bits)));
  }
  return out;
}

Tensor pack_bits(const Tensor& in, DType dtype) {
  const auto bits = static_cast<unsigned>(bit_width(dtype));
  Tensor out(dtype, in.dims());
  const int64_t count = in.element_count(), per_byte = 8 / bits;
  for (size_t i = 0; i < out.byte_size(); ++i) out.mutable_as<uint8_t>()[i] = 0;
  for (int64_t i = 0; i < count; ++i) {
    const auto shift = static_cast<unsigned>(i % per_byte) * bits;
    const unsigned code = (in.as<uint8_t>()[i] & mask(static_cast<int>(bits))) << shift;
    uint8_t& byte = out.mutable_as<uint8_t>()[i / per_byte];
    byte = static_cast<uint8_t>(byte | code);
  }
  return out;
}

}  // namespace mts::ref
