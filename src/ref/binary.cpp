// Elementwise operators with broadcasting: arithmetic, comparison, logic, bits, Where, PRelu, and the
// variadic ones.
#include "ref/dispatch.h"
#include "ref/layout.h"
#include "ref/operators.h"

#include <cmath>
#include <limits>
#include <string>

#include <fmt/format.h>

namespace mts::ref {
namespace {

// Before opset 7 the second operand was aligned to `axis` of the first one.
Result<Tensor> aligned(const Call& c, const Tensor& a, const Tensor& b) {
  if (c.version >= 7 || !c.node.domain.empty() || c.node.int_or("broadcast", 0) == 0 || !c.node.find("axis"))
    return b;
  MTS_ASSIGN(const size_t axis, c.axis(c.node.int_or("axis", 0), a.dims().size()));
  if (axis + b.dims().size() > a.dims().size()) return c.bad("axis does not fit the second operand");
  Dims dims = b.dims();
  dims.resize(a.dims().size() - axis, 1);
  return b.reshaped(std::move(dims));
}

// out = f(a, b) for the element types of `types`; f gets two values of one type. The output type is that of
// f's result when it is bool, else the operands'.
template <bool kToBool, class List, class F>
Result<Tensor> zip(const Call& c, const Tensor& a, const Tensor& second, List types, F&& f) {
  MTS_ASSIGN(const Tensor b, aligned(c, a, second));
  if (a.dtype() != b.dtype()) {
    return c.bad(fmt::format("its operands are {} and {}", name_of(a.dtype()), name_of(b.dtype())));
  }
  const std::optional<Dims> dims = broadcast(a.dims(), b.dims());
  if (!dims)
    return c.bad(fmt::format("{} and {} do not broadcast", to_string(a.dims()), to_string(b.dims())));
  MTS_ASSIGN(Tensor out, c.make(kToBool ? DType::kBool : a.dtype(), *dims));
  const Rows<2> rows(*dims, {broadcast_strides(a.dims(), *dims), broadcast_strides(b.dims(), *dims)});
  const bool known = visit(types, a.dtype(), [&]<class T>(Tag<T>) {
    using Out = std::conditional_t<kToBool, uint8_t, T>;
    Out* to = out.mutable_as<Out>();
    rows.for_each([&](const std::array<int64_t, 2>& at, int64_t length) {
      const T* x = a.as<T>() + at[0];
      const T* y = b.as<T>() + at[1];
      const int64_t step_x = rows.inner[0], step_y = rows.inner[1];
      for (int64_t i = 0; i < length; ++i) to[i] = static_cast<Out>(f(x[i * step_x], y[i * step_y]));
      to += length;
    });
  });
  if (!known) return c.bad_dtype(a);
  return out;
}

template <class List, class F>
Outputs arithmetic(const Call& c, List types, F&& f) {
  MTS_ASSIGN(Tensor out, (zip<false>(c, c.in(0), c.in(1), types, f)));
  return one(std::move(out));
}
template <class List, class F>
Outputs comparison(const Call& c, List types, F&& f) {
  MTS_ASSIGN(Tensor out, (zip<true>(c, c.in(0), c.in(1), types, f)));
  return one(std::move(out));
}
// Folds all inputs.
template <class F>
Result<Tensor> fold(const Call& c, F&& f) {
  Tensor result = c.in(0);
  for (size_t i = 1; i < c.inputs.size(); ++i) {
    if (!c.has(i)) return c.bad("an input is missing");
    MTS_ASSIGN(result, (zip<false>(c, result, c.in(i), kNumeric, f)));
  }
  return result;
}

// Integer arithmetic wraps; unsigned arithmetic says so without undefined behaviour.
template <class T, class F>
T wrapping(T a, T b, F&& f) {
  if constexpr (std::is_integral_v<T>) {
    return static_cast<T>(f(static_cast<uint64_t>(a), static_cast<uint64_t>(b)));
  } else {
    return f(a, b);
  }
}
constexpr auto kAdd = [](auto a, auto b) { return wrapping(a, b, [](auto x, auto y) { return x + y; }); };
constexpr auto kSub = [](auto a, auto b) { return wrapping(a, b, [](auto x, auto y) { return x - y; }); };
constexpr auto kMul = [](auto a, auto b) { return wrapping(a, b, [](auto x, auto y) { return x * y; }); };
constexpr auto kDiv = [](auto a, auto b) {
  using T = decltype(a);
  if constexpr (std::is_integral_v<T>) {
    if (b == 0) return T{0};  // undefined in ONNX
    if constexpr (std::is_signed_v<T>) {
      if (b == -1) return static_cast<T>(0 - static_cast<uint64_t>(a));
    }
  }
  return static_cast<T>(a / b);
};
constexpr auto kMax = [](auto a, auto b) {
  if constexpr (std::is_floating_point_v<decltype(a)>) {
    if (std::isnan(a)) return a;
    if (std::isnan(b)) return b;
  }
  return a < b ? b : a;
};
constexpr auto kMin = [](auto a, auto b) {
  if constexpr (std::is_floating_point_v<decltype(a)>) {
    if (std::isnan(a)) return a;
    if (std::isnan(b)) return b;
  }
  return b < a ? b : a;
};

Outputs add(const Call& c) { return arithmetic(c, kNumeric, kAdd); }
Outputs sub(const Call& c) { return arithmetic(c, kNumeric, kSub); }
Outputs mul(const Call& c) { return arithmetic(c, kNumeric, kMul); }
Outputs div(const Call& c) { return arithmetic(c, kNumeric, kDiv); }

Outputs sum(const Call& c) {
  MTS_ASSIGN(Tensor result, fold(c, kAdd));
  return one(std::move(result));
}
Outputs max(const Call& c) {
  MTS_ASSIGN(Tensor result, fold(c, kMax));
  return one(std::move(result));
}
Outputs min(const Call& c) {
  MTS_ASSIGN(Tensor result, fold(c, kMin));
  return one(std::move(result));
}
Outputs mean(const Call& c) {
  MTS_ASSIGN(const Tensor total, fold(c, kAdd));
  Tensor result(total.dtype(), total.dims());
  const auto count = static_cast<double>(c.inputs.size());
  const bool known = visit(kFloats, total.dtype(), [&]<class T>(Tag<T>) {
    for (int64_t i = 0; i < total.element_count(); ++i) {
      result.mutable_as<T>()[i] = static_cast<T>(static_cast<double>(total.as<T>()[i]) / count);
    }
  });
  if (!known) return c.bad_dtype(total);
  return one(std::move(result));
}

template <class T>
T int_pow(T base, int64_t exponent) {
  if (exponent < 0)
    return base == 1 ? T{1}
                     : (base == static_cast<T>(-1) && std::is_signed_v<T>
                            ? static_cast<T>(exponent % 2 == 0 ? 1 : -1)
                            : T{0});
  uint64_t result = 1, factor = static_cast<uint64_t>(base);
  for (; exponent > 0; exponent >>= 1) {
    if (exponent & 1) result *= factor;
    factor *= factor;
  }
  return static_cast<T>(result);
}

// The exponent may have another type than the base.
Outputs pow(const Call& c) {
  const Tensor& base = c.in(0);
  MTS_ASSIGN(const Tensor exponent, aligned(c, base, c.in(1)));
  const std::optional<Dims> dims = broadcast(base.dims(), exponent.dims());
  if (!dims)
    return c.bad(
        fmt::format("{} and {} do not broadcast", to_string(base.dims()), to_string(exponent.dims())));
  MTS_ASSIGN(Tensor out, c.make(base.dtype(), *dims));
  const Tensor a = expand(base, *dims), b = expand(exponent, *dims);
  const int64_t count = out.element_count();
  bool known = false;
  visit(kNumeric, a.dtype(), [&]<class A>(Tag<A>) {
    known = visit(kNumeric, b.dtype(), [&]<class B>(Tag<B>) {
      for (int64_t i = 0; i < count; ++i) {
        const A x = a.as<A>()[i];
        const B y = b.as<B>()[i];
        if constexpr (std::is_integral_v<A> && std::is_integral_v<B>) {
          out.mutable_as<A>()[i] = int_pow(x, static_cast<int64_t>(y));
        } else {
          out.mutable_as<A>()[i] = number_cast<A>(std::pow(static_cast<double>(x), static_cast<double>(y)));
        }
      }
    });
  });
  if (!known) return c.bad_dtype(a);
  return one(std::move(out));
}

Outputs mod(const Call& c) {
  const bool c_style = c.node.int_or("fmod", 0) != 0;
  return arithmetic(c, kNumeric, [=](auto a, auto b) {
    using T = decltype(a);
    if constexpr (std::is_floating_point_v<T>) {
      const T rest = std::fmod(a, b);
      return !c_style && rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
    } else {
      if (b == 0) return T{0};
      if constexpr (std::is_signed_v<T>) {
        if (b == -1) return T{0};
        const T rest = static_cast<T>(a % b);  // sign of the dividend
        return static_cast<T>(!c_style && rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest);
      } else {
        return static_cast<T>(a % b);
      }
    }
  });
}

Outputs prelu(const Call& c) {
  const Tensor& x = c.in(0);
  Tensor slope = c.in(1);
  if (c.version < 7 && slope.dims().size() == 1 && x.dims().size() > 2) {  // one slope a channel
    Dims dims(x.dims().size() - 1, 1);
    dims[0] = slope.dims()[0];
    slope = slope.reshaped(std::move(dims));
  }
  if (broadcast(x.dims(), slope.dims()) != x.dims()) return c.bad("slope does not broadcast to the input");
  MTS_ASSIGN(Tensor out, (zip<false>(c, x, slope, kNumeric, [](auto a, auto b) {
               return a < 0 ? wrapping(a, b, [](auto p, auto q) { return p * q; }) : a;
             })));
  return one(std::move(out));
}

Outputs equal(const Call& c) {
  const Tensor &a = c.in(0), &b = c.in(1);
  if (a.dtype() != DType::kString || b.dtype() != DType::kString) {
    return comparison(c, kNumeric, [](auto x, auto y) { return x == y; });
  }
  const std::optional<Dims> dims = broadcast(a.dims(), b.dims());
  if (!dims)
    return c.bad(fmt::format("{} and {} do not broadcast", to_string(a.dims()), to_string(b.dims())));
  MTS_ASSIGN(Tensor out, c.make(DType::kBool, *dims));
  const Tensor x = expand(a, *dims), y = expand(b, *dims);
  for (size_t i = 0; i < x.strings().size(); ++i)
    out.mutable_as<uint8_t>()[i] = x.strings()[i] == y.strings()[i];
  return one(std::move(out));
}
Outputs less(const Call& c) {
  return comparison(c, kNumeric, [](auto a, auto b) { return a < b; });
}
Outputs less_or_equal(const Call& c) {
  return comparison(c, kNumeric, [](auto a, auto b) { return a <= b; });
}
Outputs greater(const Call& c) {
  return comparison(c, kNumeric, [](auto a, auto b) { return a > b; });
}
Outputs greater_or_equal(const Call& c) {
  return comparison(c, kNumeric, [](auto a, auto b) { return a >= b; });
}

template <class F>
Outputs logical(const Call& c, F&& f) {
  if (c.in(0).dtype() != DType::kBool) return c.bad("its inputs are not bool");
  return comparison(c, Types<uint8_t>{}, [&](uint8_t a, uint8_t b) { return f(a != 0, b != 0); });
}
Outputs logical_and(const Call& c) {
  return logical(c, [](bool a, bool b) { return a && b; });
}
Outputs logical_or(const Call& c) {
  return logical(c, [](bool a, bool b) { return a || b; });
}
Outputs logical_xor(const Call& c) {
  return logical(c, [](bool a, bool b) { return a != b; });
}
Outputs bitwise_and(const Call& c) {
  return arithmetic(c, kIntegers, [](auto a, auto b) { return a & b; });
}
Outputs bitwise_or(const Call& c) {
  return arithmetic(c, kIntegers, [](auto a, auto b) { return a | b; });
}
Outputs bitwise_xor(const Call& c) {
  return arithmetic(c, kIntegers, [](auto a, auto b) { return a ^ b; });
}
Outputs bit_shift(const Call& c) {
  const std::string direction = c.node.string_or("direction", "");
  if (direction != "LEFT" && direction != "RIGHT") return c.bad("direction is neither LEFT nor RIGHT");
  const bool left = direction == "LEFT";
  return arithmetic(c, Types<uint8_t, uint16_t, uint32_t, uint64_t>{}, [=](auto a, auto b) {
    if (b >= sizeof(a) * 8) return decltype(a){0};
    return static_cast<decltype(a)>(left ? static_cast<uint64_t>(a) << b : static_cast<uint64_t>(a) >> b);
  });
}

Outputs where(const Call& c) {
  const Tensor &condition = c.in(0), &x = c.in(1), &y = c.in(2);
  if (condition.dtype() != DType::kBool) return c.bad("its condition is not bool");
  if (x.dtype() != y.dtype()) return c.bad("its two values have different types");
  std::optional<Dims> dims = broadcast(x.dims(), y.dims());
  if (dims) dims = broadcast(*dims, condition.dims());
  if (!dims) return c.bad("its inputs do not broadcast");
  MTS_ASSIGN(Tensor out, c.make(x.dtype(), *dims));
  const Tensor mask = expand(condition, *dims), a = expand(x, *dims), b = expand(y, *dims);
  const int64_t count = out.element_count();
  const uint8_t* choose = mask.as<uint8_t>();
  for (int64_t i = 0; i < count;) {  // runs of equal condition
    int64_t end = i + 1;
    while (end < count && (choose[end] != 0) == (choose[i] != 0)) ++end;
    copy_elements(choose[i] ? a : b, i, out, i, end - i);
    i = end;
  }
  return one(std::move(out));
}

constexpr Operator kTable[] = {
    {"Add", "", 1, kLatest, 2, kWiden, add},
    {"Sub", "", 1, kLatest, 2, kWiden, sub},
    {"Mul", "", 1, kLatest, 2, kWiden, mul},
    {"Div", "", 1, kLatest, 2, kWiden, div},
    {"Pow", "", 1, kLatest, 2, kWiden, pow},
    {"Mod", "", 10, kLatest, 2, kWiden, mod},
    {"PRelu", "", 1, kLatest, 2, kWiden, prelu},
    {"Sum", "", 1, kLatest, 1, kWiden, sum},
    {"Mean", "", 1, kLatest, 1, kWiden, mean},
    {"Max", "", 1, kLatest, 1, kWiden, max},
    {"Min", "", 1, kLatest, 1, kWiden, min},
    {"Equal", "", 1, kLatest, 2, kWiden, equal},
    {"Less", "", 1, kLatest, 2, kWiden, less},
    {"LessOrEqual", "", 12, kLatest, 2, kWiden, less_or_equal},
    {"Greater", "", 1, kLatest, 2, kWiden, greater},
    {"GreaterOrEqual", "", 12, kLatest, 2, kWiden, greater_or_equal},
    {"And", "", 1, kLatest, 2, kPlain, logical_and},
    {"Or", "", 1, kLatest, 2, kPlain, logical_or},
    {"Xor", "", 1, kLatest, 2, kPlain, logical_xor},
    {"BitwiseAnd", "", 18, kLatest, 2, kPlain, bitwise_and},
    {"BitwiseOr", "", 18, kLatest, 2, kPlain, bitwise_or},
    {"BitwiseXor", "", 18, kLatest, 2, kPlain, bitwise_xor},
    {"BitShift", "", 11, kLatest, 2, kPlain, bit_shift},
    {"Where", "", 9, kLatest, 3, kPacked, where},
};

}  // namespace

std::span<const Operator> binary_operators() { return kTable; }

}  // namespace mts::ref
