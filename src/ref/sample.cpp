// Sampling images at computed places: GridSample, AffineGrid, DeformConv; and Col2Im.
#include "ref/convert.h"
#include "ref/layout.h"
#include "ref/operators.h"
#include "ref/window.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include <fmt/format.h>

namespace mts::ref {
namespace {

enum class Padding { kZeros, kBorder, kReflection };

double reflect(double x, double low, double high) {
  const double range = high - low;
  if (range <= 0) return low;
  if (x >= low && x <= high) return x;
  const double distance = x < low ? low - x : x - high;
  const double turns = std::floor(distance / range), rest = distance - turns * range;
  const bool from_low = (x < low) == (std::fmod(turns, 2) == 0);
  return from_low ? low + rest : high - rest;
}

// One axis of an image: which pixels, with which weights, make the value at a place.
struct Lens {
  std::string mode;  // nearest, linear, cubic
  Padding padding;
  bool align_corners;

  void taps(double normalised, int64_t size, std::vector<std::pair<int64_t, double>>& out) const {
    out.clear();
    const auto length = static_cast<double>(size);
    double x = align_corners ? (normalised + 1) / 2 * (length - 1) : ((normalised + 1) * length - 1) / 2;
    x = static_cast<float>(x);  // as the specification's reference does
    const double low = align_corners ? 0 : -0.5, high = align_corners ? length - 1 : length - 0.5;
    if (mode == "nearest") x = std::nearbyint(x);
    if (!std::isfinite(x)) return;
    if (x < low || x > high) {
      if (padding == Padding::kBorder) x = std::clamp(x, 0.0, length - 1);
      if (padding == Padding::kReflection) x = reflect(x, low, high);
    }
    if (std::fabs(x) > 1e9) return;  // zeros
    const auto add = [&](int64_t at, double weight) {
      if (at < 0 || at >= size) {
        if (padding == Padding::kZeros) return;
        at = padding == Padding::kBorder ? std::clamp<int64_t>(at, 0, size - 1)
                                         : static_cast<int64_t>(reflect(static_cast<double>(at), low, high));
        at = std::clamp<int64_t>(at, 0, size - 1);
      }
      out.emplace_back(at, weight);
    };
    if (mode == "nearest") return add(static_cast<int64_t>(x), 1);
    const auto first = static_cast<int64_t>(std::floor(x));
    const double f = x - std::floor(x);
    if (mode == "linear") {
      add(first, 1 - f);
      add(first + 1, f);
      return;
    }
    constexpr double a = -0.75;
    const auto outer = [](double t) { return ((a * t - 5 * a) * t + 8 * a) * t - 4 * a; };
    const auto inner = [](double t) { return ((a + 2) * t - (a + 3)) * t * t + 1; };
    add(first - 1, outer(f + 1));
    add(first, inner(f));
    add(first + 1, inner(1 - f));
    add(first + 2, outer(2 - f));
  }
};

// X [N, C, D1.. Dr], grid [N, o1.. or, r] with the last axis in reverse order (x, y, ...).
Outputs grid_sample(const Call& c) {
  const Tensor &x = c.in(0), &grid = c.in(1);
  Lens lens;
  lens.mode = c.node.string_or("mode", c.version >= 20 ? "linear" : "bilinear");
  if (lens.mode == "bilinear") lens.mode = "linear";
  if (lens.mode == "bicubic") lens.mode = "cubic";
  const std::string padding = c.node.string_or("padding_mode", "zeros");
  lens.align_corners = c.node.int_or("align_corners", 0) != 0;
  if (lens.mode != "nearest" && lens.mode != "linear" && lens.mode != "cubic")
    return c.bad("mode is " + lens.mode);
  if (padding != "zeros" && padding != "border" && padding != "reflection")
    return c.bad("padding_mode is " + padding);
  lens.padding =
      padding == "zeros" ? Padding::kZeros : (padding == "border" ? Padding::kBorder : Padding::kReflection);
  const size_t rank = x.dims().size() < 3 ? 0 : x.dims().size() - 2;
  if (rank == 0 || rank > 3 || grid.dims().size() != rank + 2 || grid.dims()[0] != x.dims()[0] ||
      grid.dims().back() != static_cast<int64_t>(rank)) {
    return c.bad(
        fmt::format("the grid {} does not fit the input {}", to_string(grid.dims()), to_string(x.dims())));
  }
  const int64_t batch = x.dims()[0], channels = x.dims()[1], size = product(x.dims(), 2, x.dims().size());
  const int64_t places = product(grid.dims(), 1, grid.dims().size() - 1);
  if (size == 0 && places > 0) return c.bad("it samples an empty image");
  MTS_ASSIGN(const std::vector<double> values, to_doubles(c, x));
  MTS_ASSIGN(const std::vector<double> coordinates, to_doubles(c, grid));
  Dims dims{batch, channels};
  dims.insert(dims.end(), grid.dims().begin() + 1, grid.dims().end() - 1);
  MTS_TRY(c.check_dims(dims));
  std::vector<double> out(static_cast<size_t>(product(dims)), 0);
  std::array<std::vector<std::pair<int64_t, double>>, 3> taps;
  for (int64_t n = 0; n < batch; ++n) {
    for (int64_t place = 0; place < places; ++place) {
      const double* at = coordinates.data() + (n * places + place) * static_cast<int64_t>(rank);
      for (size_t k = 0; k < 3; ++k) taps[k].assign(1, {0, 1.0});
      for (size_t k = 0; k < rank; ++k) lens.taps(at[rank - 1 - k], x.dims()[2 + k], taps[3 - rank + k]);
      const int64_t h = rank >= 2 ? x.dims()[rank] : 1, w = x.dims()[rank + 1];
      for (int64_t channel = 0; channel < channels; ++channel) {
        const double* image = values.data() + (n * channels + channel) * size;
        double sum = 0;
        for (const auto& [d, weight_d] : taps[0]) {
          for (const auto& [i, weight_h] : taps[1]) {
            for (const auto& [j, weight_w] : taps[2])
              sum += weight_d * weight_h * weight_w * image[(d * h + i) * w + j];
          }
        }
        out[static_cast<size_t>((n * channels + channel) * places + place)] = sum;
      }
    }
  }
  MTS_ASSIGN(Tensor result, from_doubles(c, out, x.dtype(), dims));
  return one(std::move(result));
}

// theta [N, r, r + 1], size [N, C, spatial...] -> grid [N, spatial..., r].
Outputs affine_grid(const Call& c) {
  const Tensor& theta = c.in(0);
  MTS_ASSIGN(const Dims size, c.ints(c.in(1)));
  if (size.size() != 4 && size.size() != 5) return c.bad("size does not have 4 or 5 values");
  const auto rank = static_cast<int64_t>(size.size()) - 2;
  if (theta.dims() != Dims{size[0], rank, rank + 1}) return c.bad("theta does not fit size");
  const bool corners = c.node.int_or("align_corners", 0) != 0;
  MTS_ASSIGN(const std::vector<double> matrix, to_doubles(c, theta));
  Dims dims{size[0]};
  dims.insert(dims.end(), size.begin() + 2, size.end());
  const Dims spatial(size.begin() + 2, size.end());
  dims.push_back(rank);
  MTS_TRY(c.check_dims(dims));
  std::vector<double> out;
  out.reserve(static_cast<size_t>(product(dims)));
  const int64_t places = product(spatial);
  for (int64_t n = 0; n < size[0]; ++n) {
    for (int64_t place = 0; place < places; ++place) {
      std::vector<double> homogeneous(static_cast<size_t>(rank) + 1, 1);
      int64_t rest = place;
      for (size_t axis = spatial.size(); axis-- > 0;) {
        const auto length = static_cast<double>(spatial[axis]),
                   at = static_cast<double>(rest % spatial[axis]);
        rest /= spatial[axis];
        const double value =
            corners ? (length == 1 ? 0 : 2 * at / (length - 1) - 1) : (2 * at + 1) / length - 1;
        homogeneous[spatial.size() - 1 - axis] = value;
      }
      for (int64_t row = 0; row < rank; ++row) {
        double sum = 0;
        for (int64_t k = 0; k <= rank; ++k)
          sum += matrix[static_cast<size_t>((n * rank + row) * (rank + 1) + k)] *
                 homogeneous[static_cast<size_t>(k)];
        out.push_back(sum);
      }
    }
  }
  MTS_ASSIGN(Tensor result, from_doubles(c, out, theta.dtype(), dims));
  return one(std::move(result));
}

// The value between pixels, zero outside.
double bilinear(const double* image, int64_t height, int64_t width, double y, double x) {
  if (!(y > -1 && y < static_cast<double>(height) && x > -1 && x < static_cast<double>(width))) return 0;
  const auto top = static_cast<int64_t>(std::floor(y)), left = static_cast<int64_t>(std::floor(x));
  const double fy = y - std::floor(y), fx = x - std::floor(x);
  const auto pixel = [&](int64_t i, int64_t j) {
    return i < 0 || i >= height || j < 0 || j >= width ? 0 : image[i * width + j];
  };
  return (1 - fy) * ((1 - fx) * pixel(top, left) + fx * pixel(top, left + 1)) +
         fy * ((1 - fx) * pixel(top + 1, left) + fx * pixel(top + 1, left + 1));
}

// X, W, offset [N, G * kh * kw * 2, oh, ow], bias, mask [N, G * kh * kw, oh, ow].
Outputs deform_conv(const Call& c) {
  const Tensor &x = c.in(0), &w = c.in(1), &offset = c.in(2);
  if (x.dims().size() != 4 || w.dims().size() != 4)
    return c.unsupported("DeformConv with other than two spatial axes");
  const Dims kernel(w.dims().begin() + 2, w.dims().end());
  MTS_ASSIGN(const Window g, window_of(c, x.dims(), kernel));
  const int64_t group = c.node.int_or("group", 1), offset_group = c.node.int_or("offset_group", 1);
  const int64_t batch = x.dims()[0], channels = x.dims()[1], outputs = w.dims()[0], taps = g.kernel_size(),
                area = g.out_size();
  if (group < 1 || offset_group < 1 || channels % group != 0 || outputs % group != 0 ||
      channels % offset_group != 0 || w.dims()[1] != channels / group) {
    return c.bad("the weight or the groups do not fit the input");
  }
  if (offset.dims() != Dims{batch, offset_group * taps * 2, g.out[1], g.out[2]})
    return c.bad("the offsets do not fit");
  const Tensor* mask = c.opt(4);
  if (mask && mask->dims() != Dims{batch, offset_group * taps, g.out[1], g.out[2]})
    return c.bad("the mask does not fit");
  MTS_ASSIGN(const std::vector<double> xs, to_doubles(c, x));
  MTS_ASSIGN(const std::vector<double> ws, to_doubles(c, w));
  MTS_ASSIGN(const std::vector<double> offsets, to_doubles(c, offset));
  std::vector<double> biases(static_cast<size_t>(outputs), 0), masks;
  if (const Tensor* bias = c.opt(3)) {
    MTS_ASSIGN(biases, to_doubles(c, *bias));
    if (static_cast<int64_t>(biases.size()) != outputs) return c.bad("the bias does not fit");
  }
  if (mask) {
    MTS_ASSIGN(masks, to_doubles(c, *mask));
  }
  const Dims dims{batch, outputs, g.out[1], g.out[2]};
  MTS_TRY(c.check_dims(dims));
  std::vector<double> out;
  out.reserve(static_cast<size_t>(product(dims)));
  for (int64_t n = 0; n < batch; ++n) {
    for (int64_t oc = 0; oc < outputs; ++oc) {
      for (int64_t place = 0; place < area; ++place) {
        double sum = biases[static_cast<size_t>(oc)];
        for (int64_t local = 0; local < channels / group; ++local) {
          const int64_t channel = oc / (outputs / group) * (channels / group) + local;
          const int64_t og = channel / (channels / offset_group);
          const double* image = xs.data() + (n * channels + channel) * g.in_size();
          for (int64_t tap = 0; tap < taps; ++tap) {
            const int64_t row = (n * offset_group + og) * taps + tap;
            const double dy = offsets[static_cast<size_t>((row * 2) * area + place)];
            const double dx = offsets[static_cast<size_t>((row * 2 + 1) * area + place)];
            const auto y = static_cast<double>(g.position(1, place / g.out[2], tap / g.kernel[2]));
            const auto xx = static_cast<double>(g.position(2, place % g.out[2], tap % g.kernel[2]));
            const double factor = mask ? masks[static_cast<size_t>(row * area + place)] : 1;
            sum += factor * ws[static_cast<size_t>((oc * (channels / group) + local) * taps + tap)] *
                   bilinear(image, g.in[1], g.in[2], y + dy, xx + dx);
          }
        }
        out.push_back(sum);
      }
    }
  }
  MTS_ASSIGN(Tensor result, from_doubles(c, out, x.dtype(), dims));
  return one(std::move(result));
}

// X [N, C * prod(block), L] -> [N, C, image...]: adds the columns up where they came from.
Outputs col2im(const Call& c) {
  const Tensor& x = c.in(0);
  MTS_ASSIGN(const Dims image, c.ints(c.in(1)));
  MTS_ASSIGN(const Dims block, c.ints(c.in(2)));
  if (x.dims().size() != 3 || image.size() != block.size() || image.empty())
    return c.bad("its inputs do not go together");
  Dims shape{x.dims()[0], 1};
  for (int64_t dim : image) {
    if (dim < 1) return c.bad("image_shape is not positive");
    shape.push_back(dim);
  }
  MTS_ASSIGN(const Window g, window_of(c, shape, block));
  const int64_t taps = g.kernel_size();
  if (x.dims()[1] % taps != 0 || x.dims()[2] != g.out_size())
    return c.bad("the columns do not fit the image");
  const int64_t channels = x.dims()[1] / taps;
  shape[1] = channels;
  MTS_TRY(c.check_dims(shape));
  MTS_ASSIGN(const std::vector<double> columns, to_doubles(c, x));
  std::vector<double> out(static_cast<size_t>(product(shape)), 0);
  for (int64_t plane = 0; plane < shape[0] * channels; ++plane) {
    for (int64_t tap = 0; tap < taps; ++tap) {
      const double* from = columns.data() + (plane * taps + tap) * g.out_size();
      for (int64_t place = 0; place < g.out_size(); ++place) {
        const int64_t d = g.position(0, place / (g.out[1] * g.out[2]), tap / (g.kernel[1] * g.kernel[2]));
        const int64_t h = g.position(1, place / g.out[2] % g.out[1], tap / g.kernel[2] % g.kernel[1]);
        const int64_t w = g.position(2, place % g.out[2], tap % g.kernel[2]);
        if (d < 0 || d >= g.in[0] || h < 0 || h >= g.in[1] || w < 0 || w >= g.in[2]) continue;
        out[static_cast<size_t>(plane * g.in_size() + (d * g.in[1] + h) * g.in[2] + w)] += from[place];
      }
    }
  }
  MTS_ASSIGN(Tensor result, from_doubles(c, out, x.dtype(), shape));
  return one(std::move(result));
}

constexpr Operator kTable[] = {
    {"GridSample", "", 16, kLatest, 2, kWiden, grid_sample},
    {"AffineGrid", "", 20, kLatest, 2, kWiden, affine_grid},
    {"DeformConv", "", 19, kLatest, 3, kWiden, deform_conv},
    {"Col2Im", "", 18, kLatest, 3, kWiden, col2im},
};

}  // namespace

std::span<const Operator> sample_operators() { return kTable; }

}  // namespace mts::ref
