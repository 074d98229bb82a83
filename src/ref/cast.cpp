#include "ref/convert.h"
#include "ref/dispatch.h"
#include "ref/layout.h"
#include "ref/operators.h"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <string>
#include <variant>

#include <fmt/format.h>

namespace mts::ref {
namespace {

using Doubles = std::vector<double>;
using Signed = std::vector<int64_t>;
using Unsigned = std::vector<uint64_t>;
using Numbers = std::variant<Doubles, Signed, Unsigned>;  // what every element type is read into

bool is_signed_packed(DType dtype) { return dtype == DType::kInt4 || dtype == DType::kInt2; }
bool is_packed_integer(DType dtype) { return is_integer(dtype) && bit_width(dtype) < 8; }

Result<Numbers> read(const Call& c, const Tensor& in) {
  const auto count = static_cast<size_t>(in.element_count());
  if (is_small_float(in.dtype())) {
    const Tensor wide = widen(in);
    return Numbers(Doubles(wide.as<float>(), wide.as<float>() + count));
  }
  if (in.dtype() == DType::kBool) {
    Signed values(count);
    for (size_t i = 0; i < count; ++i) values[i] = in.as<uint8_t>()[i] != 0;
    return Numbers(std::move(values));
  }
  if (is_packed_integer(in.dtype())) {
    const Tensor bytes = unpack_bits(in);
    const int sign_bit = 1 << (bit_width(in.dtype()) - 1);
    Signed values(count);
    for (size_t i = 0; i < count; ++i) {
      const int raw = bytes.as<uint8_t>()[i];
      values[i] = is_signed_packed(in.dtype()) ? (raw ^ sign_bit) - sign_bit : raw;
    }
    return Numbers(std::move(values));
  }
  Numbers numbers;
  const bool known = visit(kNumeric, in.dtype(), [&]<class T>(Tag<T>) {
    using Wide = std::conditional_t<std::is_floating_point_v<T>, double,
                                    std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>>;
    numbers = std::vector<Wide>(in.as<T>(), in.as<T>() + count);
  });
  if (!known) return c.bad_dtype(in);
  return numbers;
}

// A float is truncated; of an integer that does not fit the low bits stay.
template <class V>
int64_t low_bits(V value) {
  if constexpr (std::is_floating_point_v<V>) {
    return number_cast<int64_t>(value);
  } else {
    return static_cast<int64_t>(value);
  }
}

template <class V>
Result<Tensor> write(const Call& c, const std::vector<V>& values, DType to, Dims dims,
                     const Conversion& how) {
  Tensor out(is_packed_integer(to) || to == DType::kFloat4E2M1 ? DType::kUint8 : to, std::move(dims));
  const size_t count = values.size();
  if (is_small_float(to)) {
    for (size_t i = 0; i < count; ++i) {
      const uint32_t code =
          encode_float(to, static_cast<float>(values[i]), bit_width(to) < 16 && how.saturate, how.e8m0);
      if (bit_width(to) == 16) {
        out.mutable_as<uint16_t>()[i] = static_cast<uint16_t>(code);
      } else {
        out.mutable_as<uint8_t>()[i] = static_cast<uint8_t>(code);
      }
    }
    return bit_width(to) < 8 ? pack_bits(out, to) : out;
  }
  if (to == DType::kBool) {
    for (size_t i = 0; i < count; ++i) out.mutable_as<uint8_t>()[i] = values[i] != V{0};
    return out;
  }
  if (is_packed_integer(to)) {
    for (size_t i = 0; i < count; ++i) {
      out.mutable_as<uint8_t>()[i] = static_cast<uint8_t>(low_bits(values[i]));
    }
    return pack_bits(out, to);
  }
  const bool known = visit(kNumeric, to, [&]<class T>(Tag<T>) {
    for (size_t i = 0; i < count; ++i) {
      if constexpr (std::is_floating_point_v<V>) {
        out.mutable_as<T>()[i] = number_cast<T>(values[i]);
      } else {
        out.mutable_as<T>()[i] = static_cast<T>(values[i]);
      }
    }
  });
  if (!known) return c.unsupported(fmt::format("a conversion to {}", name_of(to)));
  return out;
}

Result<Tensor> parse_strings(const Call& c, const Tensor& in, DType to, const Conversion& how) {
  if (is_integer(to) && bit_width(to) >= 8) {  // 64-bit integers do not fit into a double
    Signed values;
    bool whole = true;
    for (const std::string& text : in.strings()) {
      int64_t value = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
      whole = whole && error == std::errc() && end == text.data() + text.size();
      values.push_back(value);
    }
    if (whole) return write(c, values, to, in.dims(), how);
  }
  Doubles values;
  for (const std::string& text : in.strings()) {
    char* end = nullptr;
    values.push_back(std::strtod(text.c_str(), &end));
    if (text.empty() || *end != '\0') return c.bad("a string that is no number: " + text);
  }
  return write(c, values, to, in.dims(), how);
}

Result<Tensor> print_strings(const Call& c, const Tensor& in) {
  Tensor out(DType::kString, in.dims());
  std::vector<std::string>& text = out.mutable_strings();
  const auto print_float = [](auto value) -> std::string {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value > 0 ? "INF" : "-INF";
    std::string result = fmt::format("{}", value);
    return result;
  };
  if (in.dtype() == DType::kFloat32 || is_small_float(in.dtype())) {
    const Tensor wide = in.dtype() == DType::kFloat32 ? in : widen(in);
    for (size_t i = 0; i < text.size(); ++i) text[i] = print_float(wide.as<float>()[i]);
    return out;
  }
  MTS_ASSIGN(const Numbers numbers, read(c, in));
  std::visit(
      [&](const auto& values) {
        for (size_t i = 0; i < text.size(); ++i) {
          if constexpr (std::is_same_v<std::remove_cvref_t<decltype(values)>, Doubles>) {
            text[i] = print_float(values[i]);
          } else {
            text[i] = in.dtype() == DType::kBool ? (values[i] ? "True" : "False") : std::to_string(values[i]);
          }
        }
      },
      numbers);
  return out;
}

}  // namespace

Result<Tensor> convert(const Call& c, const Tensor& in, DType to, const Conversion& how) {
  if (to == in.dtype()) return in;
  if (to == DType::kString) return print_strings(c, in);
  if (in.dtype() == DType::kString) return parse_strings(c, in, to, how);
  if (in.dtype() == DType::kFloat32 && (to == DType::kFloat16 || to == DType::kBfloat16))
    return narrow(in, to);
  if (to == DType::kFloat32 && (in.dtype() == DType::kFloat16 || in.dtype() == DType::kBfloat16))
    return widen(in);
  MTS_ASSIGN(const Numbers numbers, read(c, in));
  return std::visit([&](const auto& values) { return write(c, values, to, in.dims(), how); }, numbers);
}

Result<std::vector<double>> to_doubles(const Call& c, const Tensor& in) {
  MTS_ASSIGN(Numbers numbers, read(c, in));
  return std::visit([](const auto& values) { return std::vector<double>(values.begin(), values.end()); },
                    numbers);
}

Result<Tensor> from_doubles(const Call& c, std::span<const double> values, DType to, Dims dims,
                            const Conversion& how) {
  return write(c, Doubles(values.begin(), values.end()), to, std::move(dims), how);
}

namespace {

Result<Conversion> conversion_of(const Call& c) {
  Conversion how;
  how.saturate = c.node.int_or("saturate", 1) != 0;
  const std::string mode = c.node.string_or("round_mode", "up");
  if (mode == "down") how.e8m0 = E8M0Rounding::kDown;
  if (mode == "nearest") how.e8m0 = E8M0Rounding::kNearest;
  if (mode != "up" && mode != "down" && mode != "nearest") return c.bad("round_mode is " + mode);
  return how;
}

Outputs cast(const Call& c) {
  if (c.version < 6) return c.unsupported("Cast before opset 6");
  MTS_ASSIGN(const Conversion how, conversion_of(c));
  MTS_ASSIGN(Tensor out, convert(c, c.in(0), static_cast<DType>(c.node.int_or("to", 0)), how));
  return one(std::move(out));
}

Outputs cast_like(const Call& c) {
  MTS_ASSIGN(const Conversion how, conversion_of(c));
  MTS_ASSIGN(Tensor out, convert(c, c.in(0), c.in(1).dtype(), how));
  return one(std::move(out));
}

Outputs bit_cast(const Call& c) {
  const Tensor& x = c.in(0);
  const auto to = static_cast<DType>(c.node.int_or("to", 0));
  if (bit_width(to) == 0 || bit_width(to) != bit_width(x.dtype()))
    return c.bad("it changes the width of its elements");
  Tensor out(to, x.dims());
  std::copy_n(x.data(), x.byte_size(), out.mutable_data());
  return one(std::move(out));
}

constexpr Operator kTable[] = {
    {"Cast", "", 6, kLatest, 1, kPlain, cast},
    {"CastLike", "", 15, kLatest, 2, kPlain, cast_like},
    {"BitCast", "", 26, kLatest, 1, kPlain, bit_cast},
};

}  // namespace

std::span<const Operator> cast_operators() { return kTable; }

}  // namespace mts::ref
