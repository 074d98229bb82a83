// QuantizeLinear, DequantizeLinear (per tensor, per axis, blocked), DynamicQuantizeLinear, QLinearMatMul.
#include "ref/quantise.h"

#include "ref/convert.h"
#include "ref/dispatch.h"
#include "ref/layout.h"
#include "ref/matmul.h"
#include "ref/operators.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace mts::ref {
namespace {

// Which scale belongs to which element of the data.
struct Grid {
  int64_t outer = 1, length = 1, inner = 1;  // of the data, split at the axis
  int64_t block = 0;                         // elements along the axis that share a scale; 0: all
  bool blocked = false;                      // the scale varies with outer and inner too
  int64_t blocks = 1;

  size_t scale_of(int64_t element) const {
    if (block == 0) return 0;
    const int64_t along = element / inner % length / block;
    if (!blocked) return static_cast<size_t>(along);
    return static_cast<size_t>((element / (inner * length) * blocks + along) * inner + element % inner);
  }
};

Result<Grid> grid_of(const Call& c, const Tensor& x, const Tensor& scale) {
  Grid grid;
  const int64_t block_size = c.node.int_or("block_size", 0);
  if (scale.element_count() == 1 && block_size == 0) return grid;
  MTS_ASSIGN(const size_t axis, c.axis(c.node.int_or("axis", 1), x.dims().size()));
  const Split3 s = split_at(x.dims(), axis);
  grid.outer = s.outer;
  grid.length = s.length;
  grid.inner = s.inner;
  if (block_size == 0) {
    if (scale.dims().size() != 1 || scale.dims()[0] != s.length)
      return c.bad("its scale does not fit the axis");
    grid.block = 1;
    return grid;
  }
  if (block_size < 0) return c.bad("block_size is negative");
  grid.blocked = true;
  grid.block = block_size;
  grid.blocks = (s.length + block_size - 1) / block_size;
  Dims expected = x.dims();
  expected[axis] = grid.blocks;
  if (scale.dims() != expected) {
    return c.bad(fmt::format("its scale is {}, blocks of {} need {}", to_string(scale.dims()), block_size,
                             to_string(expected)));
  }
  return grid;
}

// Bounds of an integer type; no bounds for floats.
std::pair<double, double> bounds_of(DType dtype) {
  if (!is_integer(dtype)) return {-INFINITY, INFINITY};
  const int bits = bit_width(dtype);
  const bool is_unsigned = dtype == DType::kUint8 || dtype == DType::kUint16 || dtype == DType::kUint4 ||
                           dtype == DType::kUint2 || dtype == DType::kUint32 || dtype == DType::kUint64;
  return is_unsigned ? std::pair(0.0, std::ldexp(1.0, bits) - 1)
                     : std::pair(-std::ldexp(1.0, bits - 1), std::ldexp(1.0, bits - 1) - 1);
}

Outputs quantize_linear(const Call& c) {
  const Tensor &x = c.in(0), &scale = c.in(1);
  const Tensor* zero = c.opt(2);
  auto to = static_cast<DType>(c.node.int_or("output_dtype", 0));
  if (to == DType::kUndefined) to = zero ? zero->dtype() : DType::kUint8;
  if (zero && (zero->dtype() != to || zero->element_count() != scale.element_count()))
    return c.bad("its zero point does not fit");
  MTS_ASSIGN(const Grid grid, grid_of(c, x, scale));
  MTS_ASSIGN(std::vector<double> values, to_doubles(c, x));
  MTS_ASSIGN(const std::vector<double> scales, to_doubles(c, scale));
  std::vector<double> zeros(scales.size(), 0);
  if (zero) {
    MTS_ASSIGN(zeros, to_doubles(c, *zero));
  }
  const auto [low, high] = bounds_of(to);
  const bool integer = is_integer(to);
  for (size_t i = 0; i < values.size(); ++i) {
    const size_t k = grid.scale_of(static_cast<int64_t>(i));
    const double value =
        static_cast<float>(values[i]) / static_cast<float>(scales[k]);  // float32, as engines do
    values[i] = integer ? std::clamp(std::nearbyint(value) + zeros[k], low, high) : value + zeros[k];
  }
  MTS_ASSIGN(Tensor out,
             from_doubles(c, values, to, x.dims(), {.saturate = c.node.int_or("saturate", 1) != 0}));
  return one(std::move(out));
}

Outputs dequantize_linear(const Call& c) {
  const Tensor &x = c.in(0), &scale = c.in(1);
  const Tensor* zero = c.opt(2);
  auto to = static_cast<DType>(c.node.int_or("output_dtype", 0));
  if (to == DType::kUndefined) to = scale.dtype();
  if (zero && (zero->dtype() != x.dtype() || zero->element_count() != scale.element_count()))
    return c.bad("its zero point does not fit");
  MTS_ASSIGN(const Grid grid, grid_of(c, x, scale));
  MTS_ASSIGN(std::vector<double> values, to_doubles(c, x));
  MTS_ASSIGN(const std::vector<double> scales, to_doubles(c, scale));
  std::vector<double> zeros(scales.size(), 0);
  if (zero) {
    MTS_ASSIGN(zeros, to_doubles(c, *zero));
  }
  for (size_t i = 0; i < values.size(); ++i) {
    const size_t k = grid.scale_of(static_cast<int64_t>(i));
    values[i] = (values[i] - zeros[k]) * scales[k];
  }
  MTS_ASSIGN(Tensor out, from_doubles(c, values, to, x.dims()));
  return one(std::move(out));
}

Outputs dynamic_quantize_linear(const Call& c) {
  const Tensor& x = c.in(0);
  if (x.dtype() != DType::kFloat32) return c.bad_dtype(x);
  float low = 0, high = 0;
  for (int64_t i = 0; i < x.element_count(); ++i) {
    low = std::min(low, x.as<float>()[i]);
    high = std::max(high, x.as<float>()[i]);
  }
  Tensor y(DType::kUint8, x.dims()), scale(DType::kFloat32, {}), zero(DType::kUint8, {});
  const float step = (high - low) / 255;
  const double offset =
      step == 0 ? 0 : std::clamp(std::nearbyint(static_cast<double>(-low / step)), 0.0, 255.0);
  *scale.mutable_as<float>() = step;
  *zero.mutable_as<uint8_t>() = static_cast<uint8_t>(offset);
  for (int64_t i = 0; i < x.element_count(); ++i) {
    const double value = step == 0 ? 0 : std::nearbyint(static_cast<double>(x.as<float>()[i] / step));
    y.mutable_as<uint8_t>()[i] = number_cast<uint8_t>(value + offset);
  }
  std::vector<Datum> result = one(std::move(y));
  result.emplace_back(std::move(scale));
  result.emplace_back(std::move(zero));
  return result;
}

}  // namespace

Result<Tensor> requantise(const Call& c, const Tensor& sums, const Tensor& x_scale, const Tensor& w_scale,
                          const Tensor& y_scale, const Tensor& y_zero_point, int64_t axis) {
  if (x_scale.element_count() != 1 || y_scale.element_count() != 1 || y_zero_point.element_count() != 1) {
    return c.unsupported("a quantised activation with more than one scale");
  }
  MTS_ASSIGN(const std::vector<double> xs, to_doubles(c, x_scale));
  MTS_ASSIGN(const std::vector<double> ws, to_doubles(c, w_scale));
  MTS_ASSIGN(const std::vector<double> ys, to_doubles(c, y_scale));
  MTS_ASSIGN(const std::vector<double> zero, to_doubles(c, y_zero_point));
  MTS_ASSIGN(const size_t at, c.axis(axis, sums.dims().size()));
  const Split3 s = split_at(sums.dims(), at);
  if (ws.size() != 1 && static_cast<int64_t>(ws.size()) != s.length)
    return c.bad("the weight's scale does not fit its channels");
  const auto [low, high] = bounds_of(y_zero_point.dtype());
  std::vector<double> values(static_cast<size_t>(sums.element_count()));
  for (size_t i = 0; i < values.size(); ++i) {
    const int64_t channel = static_cast<int64_t>(i) / s.inner % s.length;
    const double factor = xs[0] * ws[ws.size() == 1 ? 0 : static_cast<size_t>(channel)] / ys[0];
    const double value = sums.as<double>()[i] * factor;
    values[i] =
        is_integer(y_zero_point.dtype()) ? std::clamp(std::nearbyint(value) + zero[0], low, high) : value;
  }
  return from_doubles(c, values, y_zero_point.dtype(), sums.dims());
}

namespace {

// a, a_scale, a_zero_point, b, b_scale, b_zero_point, y_scale, y_zero_point
Outputs qlinear_matmul(const Call& c) {
  MTS_ASSIGN(const Tensor a, centred(c, c.in(0), c.opt(2), -2));
  MTS_ASSIGN(const Tensor b, centred(c, c.in(3), c.opt(5), -1));
  MTS_ASSIGN(const Tensor product, matmul(c, a, b));
  MTS_ASSIGN(Tensor out, requantise(c, product, c.in(1), c.in(4), c.in(6), c.in(7), -1));
  return one(std::move(out));
}

constexpr Operator kTable[] = {
    {"QuantizeLinear", "", 10, kLatest, 2, kPlain, quantize_linear},
    {"DequantizeLinear", "", 10, kLatest, 2, kPlain, dequantize_linear},
    {"QuantizeLinear", "com.microsoft", 1, kLatest, 2, kPlain, quantize_linear},
    {"DequantizeLinear", "com.microsoft", 1, kLatest, 2, kPlain, dequantize_linear},
    {"DynamicQuantizeLinear", "", 11, kLatest, 1, kPlain, dynamic_quantize_linear},
    {"QLinearMatMul", "", 10, kLatest, 8, kPlain, qlinear_matmul},
};

}  // namespace

std::span<const Operator> quantise_operators() { return kTable; }

}  // namespace mts::ref
