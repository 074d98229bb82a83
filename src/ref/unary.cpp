// Elementwise operators with one data input: activations, roundings, trigonometry, tests, Clip, Dropout.
#include "ref/unary.h"

#include "ref/dispatch.h"
#include "ref/layout.h"
#include "ref/operators.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <string>

namespace mts::ref {
namespace {

// y = f(x) in the element type itself, for every numeric type.
template <class List, class F>
Outputs map_types(const Call& c, List types, F&& f) {
  const Tensor& x = c.in(0);
  Tensor y(x.dtype(), x.dims());
  const int64_t count = x.element_count();
  const bool known = visit(types, x.dtype(), [&]<class T>(Tag<T>) {
    std::transform(x.as<T>(), x.as<T>() + count, y.mutable_as<T>(),
                   [&](T value) { return static_cast<T>(f(value)); });
  });
  if (!known) return c.bad_dtype(x);
  return one(std::move(y));
}

// y = f(x) as bool.
template <class F>
Outputs test_float(const Call& c, F&& f) {
  const Tensor& x = c.in(0);
  Tensor y(DType::kBool, x.dims());
  const int64_t count = x.element_count();
  const bool known = visit(kFloats, x.dtype(), [&]<class T>(Tag<T>) {
    for (int64_t i = 0; i < count; ++i)
      y.mutable_as<uint8_t>()[i] = f(static_cast<double>(x.as<T>()[i])) ? 1 : 0;
  });
  if (!known) return c.bad_dtype(x);
  return one(std::move(y));
}

double sigmoid_of(double x) { return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); }
double softplus_of(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x))); }

Outputs identity(const Call& c) {
  std::vector<Datum> result;
  result.push_back(c.datum(0));
  return result;
}
Outputs abs(const Call& c) {
  return map_types(c, kNumeric, [](auto x) {
    if constexpr (std::is_unsigned_v<decltype(x)>) {
      return x;
    } else {
      return x < 0 ? static_cast<decltype(x)>(-x) : (x == 0 ? decltype(x){0} : x);  // -0.0 gives 0.0
    }
  });
}
Outputs neg(const Call& c) {
  return map_types(c, kNumeric, [](auto x) {
    if constexpr (std::is_integral_v<decltype(x)>) {
      return 0 - static_cast<uint64_t>(x);  // wraps
    } else {
      return -x;
    }
  });
}
Outputs sign(const Call& c) {
  return map_types(c, kNumeric,
                   [](auto x) { return x > 0 ? 1 : (std::is_signed_v<decltype(x)> && x < 0 ? -1 : 0); });
}
Outputs relu(const Call& c) {
  return map_types(c, kNumeric, [](auto x) { return x < 0 ? decltype(x){0} : x; });
}
Outputs leaky_relu(const Call& c) {
  const double alpha = c.node.float_or("alpha", 0.01f);
  return map_float(c, [=](double x) { return x < 0 ? alpha * x : x; });
}
Outputs thresholded_relu(const Call& c) {
  const double alpha = c.node.float_or("alpha", 1.0f);
  return map_float(c, [=](double x) { return x > alpha ? x : 0; });
}
Outputs elu(const Call& c) {
  const double alpha = c.node.float_or("alpha", 1.0f);
  return map_float(c, [=](double x) { return x < 0 ? alpha * std::expm1(x) : x; });
}
Outputs celu(const Call& c) {
  const double alpha = c.node.float_or("alpha", 1.0f);
  return map_float(c, [=](double x) { return x < 0 ? alpha * std::expm1(x / alpha) : x; });
}
Outputs selu(const Call& c) {
  const double alpha = c.node.float_or("alpha", 1.67326319217681884765625f);
  const double gamma = c.node.float_or("gamma", 1.05070102214813232421875f);
  return map_float(c, [=](double x) { return gamma * (x > 0 ? x : alpha * std::expm1(x)); });
}
Outputs sigmoid(const Call& c) { return map_float(c, sigmoid_of); }
Outputs hard_sigmoid(const Call& c) {
  const double alpha = c.node.float_or("alpha", 0.2f), beta = c.node.float_or("beta", 0.5f);
  return map_float(c, [=](double x) { return std::clamp(alpha * x + beta, 0.0, 1.0); });
}
Outputs hard_swish(const Call& c) {
  return map_float(c, [](double x) { return x * std::clamp(x / 6 + 0.5, 0.0, 1.0); });
}
Outputs swish(const Call& c) {
  const double alpha = c.node.float_or("alpha", 1.0f);
  return map_float(c, [=](double x) { return x * sigmoid_of(alpha * x); });
}
Outputs mish(const Call& c) {
  return map_float(c, [](double x) { return x * std::tanh(softplus_of(x)); });
}
Outputs gelu(const Call& c) {
  const std::string approximate = c.node.string_or("approximate", "none");
  if (approximate == "tanh") {
    return map_float(c, [](double x) {
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
    });
  }
  if (approximate != "none") return c.bad("approximate is neither none nor tanh");
  return map_float(c, [](double x) { return 0.5 * x * (1 + std::erf(x / std::numbers::sqrt2)); });
}
Outputs softplus(const Call& c) { return map_float(c, softplus_of); }
Outputs softsign(const Call& c) {
  return map_float(c, [](double x) { return x / (1 + std::fabs(x)); });
}
Outputs shrink(const Call& c) {
  const double bias = c.node.float_or("bias", 0.0f), lambd = c.node.float_or("lambd", 0.5f);
  return map_types(c, kNumeric, [=](auto x) {
    const auto value = static_cast<double>(x);
    return number_cast<decltype(x)>(value < -lambd ? value + bias : (value > lambd ? value - bias : 0.0));
  });
}
Outputs reciprocal(const Call& c) {
  return map_float(c, [](double x) { return 1 / x; });
}

// Functions of <cmath> under a name that can be a function pointer.
template <double (*kFunction)(double)>
Outputs math(const Call& c) {
  return map_float(c, [](double x) { return kFunction(x); });
}

Outputs is_nan(const Call& c) {
  return test_float(c, [](double x) { return std::isnan(x); });
}
Outputs is_inf(const Call& c) {
  const bool positive = c.node.int_or("detect_positive", 1) != 0,
             negative = c.node.int_or("detect_negative", 1) != 0;
  return test_float(c, [=](double x) { return std::isinf(x) && (x > 0 ? positive : negative); });
}
Outputs logical_not(const Call& c) {
  if (c.in(0).dtype() != DType::kBool) return c.bad("its input is not bool");
  return map_types(c, Types<uint8_t>{}, [](uint8_t x) { return x ? 0 : 1; });
}
Outputs bitwise_not(const Call& c) {
  return map_types(c, kIntegers, [](auto x) { return ~x; });
}

Outputs clip(const Call& c) {
  const Tensor& x = c.in(0);
  const Tensor* low = c.version >= 11 ? c.opt(1) : nullptr;
  const Tensor* high = c.version >= 11 ? c.opt(2) : nullptr;
  for (const Tensor* bound : {low, high}) {
    if (bound && (bound->dtype() != x.dtype() || bound->element_count() != 1)) {
      return c.bad("min and max must be scalars of the input's type");
    }
  }
  Tensor y(x.dtype(), x.dims());
  const bool known = visit(kNumeric, x.dtype(), [&]<class T>(Tag<T>) {
    T lowest = low ? *low->as<T>() : std::numeric_limits<T>::lowest();
    T highest = high ? *high->as<T>() : std::numeric_limits<T>::max();
    if (std::is_floating_point_v<T> && !low) lowest = static_cast<T>(-INFINITY);
    if (std::is_floating_point_v<T> && !high) highest = static_cast<T>(INFINITY);
    if (c.version < 11) {
      if (c.node.find("min")) lowest = number_cast<T>(c.node.float_or("min", 0));
      if (c.node.find("max")) highest = number_cast<T>(c.node.float_or("max", 0));
    }
    std::transform(x.as<T>(), x.as<T>() + x.element_count(), y.mutable_as<T>(), [=](T value) {
      if (value < lowest) value = lowest;
      return value > highest ? highest : value;  // max wins when min > max; NaN stays
    });
  });
  if (!known) return c.bad_dtype(x);
  return one(std::move(y));
}

Outputs dropout(const Call& c) {
  const Tensor& x = c.in(0);
  bool training = false;
  double ratio = 0.5;
  if (c.version >= 12) {
    if (const Tensor* mode = c.opt(2)) {
      if (mode->dtype() != DType::kBool || mode->element_count() != 1)
        return c.bad("training_mode is not one bool");
      training = *mode->as<uint8_t>() != 0;
    }
    if (const Tensor* given = c.opt(1)) {
      MTS_ASSIGN(ratio, c.scalar(*given));
    }
  } else if (c.version < 7) {
    training = c.node.int_or("is_test", 0) == 0;
  }
  if (training && ratio != 0) return c.unsupported("Dropout in training mode is random");
  std::vector<Datum> result;
  result.emplace_back(x);
  if (c.wants(1)) {
    Tensor mask(c.version >= 10 ? DType::kBool : x.dtype(), x.dims());
    if (mask.dtype() != DType::kBool) return c.unsupported("the mask of Dropout before opset 10");
    std::fill_n(mask.mutable_as<uint8_t>(), mask.element_count(), uint8_t{1});
    result.emplace_back(std::move(mask));
  }
  return result;
}

constexpr Operator kTable[] = {
    {"Identity", "", 1, kLatest, 1, kAny, identity},
    {"Abs", "", 1, kLatest, 1, kWiden, abs},
    {"Neg", "", 1, kLatest, 1, kWiden, neg},
    {"Sign", "", 9, kLatest, 1, kWiden, sign},
    {"Relu", "", 1, kLatest, 1, kWiden, relu},
    {"LeakyRelu", "", 1, kLatest, 1, kWiden, leaky_relu},
    {"ThresholdedRelu", "", 10, kLatest, 1, kWiden, thresholded_relu},
    {"Elu", "", 1, kLatest, 1, kWiden, elu},
    {"Celu", "", 12, kLatest, 1, kWiden, celu},
    {"Selu", "", 6, kLatest, 1, kWiden, selu},
    {"Sigmoid", "", 1, kLatest, 1, kWiden, sigmoid},
    {"HardSigmoid", "", 1, kLatest, 1, kWiden, hard_sigmoid},
    {"HardSwish", "", 14, kLatest, 1, kWiden, hard_swish},
    {"Swish", "", 24, kLatest, 1, kWiden, swish},
    {"Mish", "", 18, kLatest, 1, kWiden, mish},
    {"Gelu", "", 20, kLatest, 1, kWiden, gelu},
    {"Softplus", "", 1, kLatest, 1, kWiden, softplus},
    {"Softsign", "", 1, kLatest, 1, kWiden, softsign},
    {"Shrink", "", 9, kLatest, 1, kWiden, shrink},
    {"Reciprocal", "", 1, kLatest, 1, kWiden, reciprocal},
    {"Exp", "", 1, kLatest, 1, kWiden, math<std::exp>},
    {"Log", "", 1, kLatest, 1, kWiden, math<std::log>},
    {"Sqrt", "", 1, kLatest, 1, kWiden, math<std::sqrt>},
    {"Floor", "", 1, kLatest, 1, kWiden, math<std::floor>},
    {"Ceil", "", 1, kLatest, 1, kWiden, math<std::ceil>},
    {"Round", "", 11, kLatest, 1, kWiden, math<std::nearbyint>},
    {"Tanh", "", 1, kLatest, 1, kWiden, math<std::tanh>},
    {"Erf", "", 9, kLatest, 1, kWiden, math<std::erf>},
    {"Sin", "", 7, kLatest, 1, kWiden, math<std::sin>},
    {"Cos", "", 7, kLatest, 1, kWiden, math<std::cos>},
    {"Tan", "", 7, kLatest, 1, kWiden, math<std::tan>},
    {"Asin", "", 7, kLatest, 1, kWiden, math<std::asin>},
    {"Acos", "", 7, kLatest, 1, kWiden, math<std::acos>},
    {"Atan", "", 7, kLatest, 1, kWiden, math<std::atan>},
    {"Sinh", "", 9, kLatest, 1, kWiden, math<std::sinh>},
    {"Cosh", "", 9, kLatest, 1, kWiden, math<std::cosh>},
    {"Asinh", "", 9, kLatest, 1, kWiden, math<std::asinh>},
    {"Acosh", "", 9, kLatest, 1, kWiden, math<std::acosh>},
    {"Atanh", "", 9, kLatest, 1, kWiden, math<std::atanh>},
    {"IsNaN", "", 9, kLatest, 1, kWiden, is_nan},
    {"IsInf", "", 10, kLatest, 1, kWiden, is_inf},
    {"Not", "", 1, kLatest, 1, kPlain, logical_not},
    {"BitwiseNot", "", 18, kLatest, 1, kPlain, bitwise_not},
    {"Clip", "", 1, kLatest, 1, kWiden, clip},
    {"Dropout", "", 1, kLatest, 1, kPlain, dropout},
    {"Gelu", "com.microsoft", 1, kLatest, 1, kWiden, gelu},
};

}  // namespace

std::span<const Operator> unary_operators() { return kTable; }

}  // namespace mts::ref
