// Resize and Upsample: every axis is a table of taps (input position, weight), applied one axis after
// another.
#include "ref/convert.h"
#include "ref/dispatch.h"
#include "ref/layout.h"
#include "ref/operators.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include <fmt/format.h>

namespace mts::ref {
namespace {

struct Tap {
  int64_t at;
  double weight;
};
struct Position {  // one output position of one axis
  std::vector<Tap> taps;
  bool outside = false;  // tf_crop_and_resize: takes the extrapolation value
};
using Axis = std::vector<Position>;

struct Options {
  std::string mode = "nearest", coordinates = "half_pixel", nearest = "round_prefer_floor";
  double cubic_a = -0.75, extrapolation = 0;
  bool antialias = false, exclude_outside = false;
};

// How one axis is resized.
struct Scaling {
  int64_t in, out;
  double scale;
  double roi_start = 0, roi_end = 1;
};

double original_position(const Options& o, const Scaling& s, int64_t at) {
  const auto x = static_cast<double>(at), in = static_cast<double>(s.in), out = s.scale * in;
  if (o.coordinates == "align_corners") return out == 1 ? 0 : x * (in - 1) / (out - 1);
  if (o.coordinates == "asymmetric") return x / s.scale;
  if (o.coordinates == "tf_half_pixel_for_nn") return (x + 0.5) / s.scale;
  if (o.coordinates == "pytorch_half_pixel" && out == 1) return -0.5;
  if (o.coordinates == "tf_crop_and_resize") {
    const double span = (s.roi_end - s.roi_start) * (in - 1);
    return (out == 1 ? span / 2 : x * span / (out - 1)) + s.roi_start * (in - 1);
  }
  const double half_pixel = (x + 0.5) / s.scale - 0.5;
  if (o.coordinates != "half_pixel_symmetric") return half_pixel;
  return half_pixel + in / 2 * (1 - static_cast<double>(s.out) / out);
}

double cubic_weight(double distance, double a) {
  const double x = std::fabs(distance);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return 0;
}

int64_t nearest_position(const std::string& mode, double x) {
  if (mode == "floor") return static_cast<int64_t>(std::floor(x));
  if (mode == "ceil") return static_cast<int64_t>(std::ceil(x));
  const double fraction = x - std::floor(x);
  const bool up = mode == "round_prefer_ceil" ? fraction >= 0.5 : fraction > 0.5;
  return static_cast<int64_t>(std::floor(x)) + (up ? 1 : 0);
}

Axis axis_taps(const Options& o, const Scaling& s) {
  Axis axis(static_cast<size_t>(s.out));
  for (int64_t i = 0; i < s.out; ++i) {
    Position& position = axis[static_cast<size_t>(i)];
    // Far outside everything is the edge; clamped so that it fits an integer.
    const double x = std::clamp(original_position(o, s, i), -1e9, 1e9 + static_cast<double>(s.in));
    position.outside = o.coordinates == "tf_crop_and_resize" && (x < 0 || x > static_cast<double>(s.in - 1));
    if (o.mode == "nearest") {
      position.taps = {{std::clamp<int64_t>(nearest_position(o.nearest, x), 0, s.in - 1), 1}};
      continue;
    }
    // Antialiasing widens the kernel when the axis shrinks.
    const double stretch = o.antialias ? std::min(s.scale, 1.0) : 1;
    const double reach = (o.mode == "cubic" ? 2 : 1) / stretch;
    double sum = 0;
    for (auto at = static_cast<int64_t>(std::floor(x - reach));
         at <= static_cast<int64_t>(std::ceil(x + reach)); ++at) {
      const double distance = (static_cast<double>(at) - x) * stretch;
      const double weight =
          o.mode == "cubic" ? cubic_weight(distance, o.cubic_a) : std::max(0.0, 1 - std::fabs(distance));
      if (weight == 0 || (o.exclude_outside && (at < 0 || at >= s.in))) continue;
      position.taps.push_back({std::clamp<int64_t>(at, 0, s.in - 1), weight});
      sum += weight;
    }
    for (Tap& tap : position.taps) tap.weight /= sum == 0 ? 1 : sum;
  }
  return axis;
}

// Applies the taps of one axis.
std::vector<double> apply(const std::vector<double>& in, const Dims& dims, size_t axis, const Axis& taps,
                          double extrapolation) {
  const Split3 s = split_at(dims, axis);
  std::vector<double> out(static_cast<size_t>(s.outer * s.inner) * taps.size(), 0);
  double* to = out.data();
  for (int64_t o = 0; o < s.outer; ++o) {
    for (const Position& position : taps) {
      if (position.outside) {
        std::fill_n(to, s.inner, extrapolation);
      } else {
        for (const Tap& tap : position.taps) {
          const double* from = in.data() + (o * s.length + tap.at) * s.inner;
          for (int64_t i = 0; i < s.inner; ++i) to[i] += tap.weight * from[i];
        }
      }
      to += s.inner;
    }
  }
  return out;
}

Outputs run(const Call& c, const Options& o, const std::vector<Scaling>& axes) {
  const Tensor& x = c.in(0);
  Dims dims;
  for (const Scaling& s : axes) dims.push_back(s.out);
  MTS_TRY(c.check_dims(dims));
  if (product(dims) == 0) return one(Tensor(x.dtype(), dims));
  if (x.element_count() == 0) return c.bad("it resizes an empty tensor");
  std::vector<Axis> taps;
  bool extrapolates = false;
  for (const Scaling& s : axes) {
    taps.push_back(axis_taps(o, s));
    for (const Position& position : taps.back()) extrapolates = extrapolates || position.outside;
  }
  if (o.mode == "nearest" && !extrapolates) {  // a pure copy, for every element type
    std::vector<int64_t> sources{0};
    const Dims strides = strides_of(x.dims());
    for (size_t axis = 0; axis < axes.size(); ++axis) {
      std::vector<int64_t> next;
      for (int64_t base : sources) {
        for (const Position& position : taps[axis])
          next.push_back(base + position.taps[0].at * strides[axis]);
      }
      sources = std::move(next);
    }
    return one(take(x, sources, dims));
  }
  MTS_ASSIGN(std::vector<double> values, to_doubles(c, x));
  Dims current = x.dims();
  for (size_t axis = 0; axis < axes.size(); ++axis) {
    const Scaling& s = axes[axis];
    const bool same = s.in == s.out && s.scale == 1 && s.roi_start == 0 && s.roi_end == 1;
    if (same) continue;
    values = apply(values, current, axis, taps[axis], o.extrapolation);
    current[axis] = s.out;
  }
  if (is_integer(x.dtype())) {
    for (double& value : values) value = std::nearbyint(value);
  }
  MTS_ASSIGN(Tensor out, from_doubles(c, values, x.dtype(), dims));
  return one(std::move(out));
}

// Output sizes and scales of all axes from a tensor of scales.
Result<void> read_scales(const Call& c, const std::vector<double>& scales, const std::vector<size_t>& axes,
                         std::vector<Scaling>& to) {
  if (scales.size() != axes.size()) return c.bad("scales does not have one value an axis");
  for (size_t i = 0; i < axes.size(); ++i) {
    Scaling& s = to[axes[i]];
    s.scale = scales[i];
    const double size = std::floor(static_cast<double>(s.in) * s.scale);
    if (!(s.scale > 0) || !(size < 2147483648.0)) return c.bad(fmt::format("a scale is {}", s.scale));
    s.out = static_cast<int64_t>(size);
  }
  return {};
}

std::vector<Scaling> unscaled(const Dims& dims) {
  std::vector<Scaling> result;
  for (int64_t dim : dims) result.push_back({dim, dim, 1});
  return result;
}

std::vector<size_t> all_axes(size_t rank) {
  std::vector<size_t> axes(rank);
  std::iota(axes.begin(), axes.end(), 0);
  return axes;
}

// Upsample and Resize of opset 10: scales only.
Outputs upsample(const Call& c) {
  Options o;
  o.mode = c.node.string_or("mode", "nearest");
  if (o.mode == "bilinear") o.mode = "linear";
  if (o.mode != "nearest" && o.mode != "linear") return c.bad("mode is " + o.mode);
  o.coordinates = "asymmetric";
  o.nearest = "floor";
  std::vector<double> scales;
  if (c.version >= 9) {
    if (!c.has(1)) return c.bad("scales is missing");
    MTS_ASSIGN(scales, to_doubles(c, c.in(1)));
  } else {
    const std::vector<float> given = c.floats("scales");
    scales.assign(given.begin(), given.end());
  }
  std::vector<Scaling> axes = unscaled(c.in(0).dims());
  MTS_TRY(read_scales(c, scales, all_axes(axes.size()), axes));
  return run(c, o, axes);
}

Result<Options> options_of(const Call& c) {
  Options o;
  o.mode = c.node.string_or("mode", "nearest");
  o.coordinates = c.node.string_or("coordinate_transformation_mode", "half_pixel");
  o.nearest = c.node.string_or("nearest_mode", "round_prefer_floor");
  o.cubic_a = c.node.float_or("cubic_coeff_a", -0.75f);
  o.extrapolation = c.node.float_or("extrapolation_value", 0);
  o.antialias = c.node.int_or("antialias", 0) != 0;
  o.exclude_outside = c.node.int_or("exclude_outside", 0) != 0;
  const auto among = [](const std::string& value, std::initializer_list<std::string_view> known) {
    return std::ranges::find(known, value) != known.end();
  };
  if (!among(o.mode, {"nearest", "linear", "cubic"})) return c.bad("mode is " + o.mode);
  if (!among(o.nearest, {"floor", "ceil", "round_prefer_floor", "round_prefer_ceil"}))
    return c.bad("nearest_mode is " + o.nearest);
  if (!among(o.coordinates, {"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
                             "asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize"})) {
    return c.bad("coordinate_transformation_mode is " + o.coordinates);
  }
  return o;
}

Outputs resize(const Call& c) {
  const Tensor& x = c.in(0);
  MTS_ASSIGN(const Options o, options_of(c));
  std::vector<size_t> axes = all_axes(x.dims().size());
  if (const std::vector<int64_t> given = c.node.ints_or("axes", {}); !given.empty()) {
    MTS_ASSIGN(axes, c.axes(given, x.dims().size()));
  }
  std::vector<Scaling> scalings = unscaled(x.dims());
  const Tensor* scales = c.opt(2);
  const Tensor* sizes = c.opt(3);
  if (scales && scales->element_count() == 0) scales = nullptr;
  if (sizes && sizes->element_count() == 0) sizes = nullptr;
  if (sizes) {
    MTS_ASSIGN(const std::vector<int64_t> wanted, c.ints(*sizes));
    if (wanted.size() != axes.size()) return c.bad("sizes does not have one value an axis");
    const std::string policy = c.node.string_or("keep_aspect_ratio_policy", "stretch");
    double common = policy == "not_larger" ? INFINITY : 0;
    for (size_t i = 0; i < axes.size(); ++i) {
      Scaling& s = scalings[axes[i]];
      if (wanted[i] < 0 || wanted[i] > INT32_MAX) return c.bad(fmt::format("a size is {}", wanted[i]));
      s.out = wanted[i];
      s.scale = s.in == 0 ? 1 : static_cast<double>(s.out) / static_cast<double>(s.in);
      common = policy == "not_larger" ? std::min(common, s.scale) : std::max(common, s.scale);
    }
    if (policy != "stretch") {
      if (policy != "not_larger" && policy != "not_smaller")
        return c.bad("keep_aspect_ratio_policy is " + policy);
      for (size_t axis : axes) {
        scalings[axis].scale = common;
        scalings[axis].out =
            number_cast<int64_t>(std::floor(common * static_cast<double>(scalings[axis].in) + 0.5));
      }
    }
  } else if (scales) {
    MTS_ASSIGN(const std::vector<double> values, to_doubles(c, *scales));
    MTS_TRY(read_scales(c, values, axes, scalings));
  } else {
    return c.bad("both scales and sizes are missing");
  }
  if (o.coordinates == "tf_crop_and_resize") {
    if (!c.has(1)) return c.bad("roi is missing");
    MTS_ASSIGN(const std::vector<double> roi, to_doubles(c, c.in(1)));
    if (roi.size() != 2 * axes.size()) return c.bad("roi does not have two values an axis");
    for (size_t i = 0; i < axes.size(); ++i) {
      scalings[axes[i]].roi_start = roi[i];
      scalings[axes[i]].roi_end = roi[axes.size() + i];
    }
  }
  return run(c, o, scalings);
}

constexpr Operator kTable[] = {
    {"Upsample", "", 7, 9, 1, kWiden, upsample},
    {"Resize", "", 10, 10, 2, kWiden, upsample},
    {"Resize", "", 11, kLatest, 1, kWiden, resize},
};

}  // namespace

std::span<const Operator> resize_operators() { return kTable; }

}  // namespace mts::ref
