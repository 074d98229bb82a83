#include "ref/window.h"

#include <algorithm>
#include <limits>
#include <string>

#include <fmt/format.h>

namespace mts::ref {
namespace {

constexpr int64_t kLargest =
    std::numeric_limits<int32_t>::max();  // of every attribute, so that nothing overflows

int64_t floor_div(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

// An attribute with one value an axis, moved to the last of the three.
Result<void> read_axes(const Call& c, std::string_view name, int64_t least, size_t rank, Window::Axes& to) {
  const std::vector<int64_t> values = c.node.ints_or(name, {});
  if (values.empty()) return {};
  if (values.size() != rank)
    return c.bad(fmt::format("{} has {} values for {} spatial axes", name, values.size(), rank));
  for (size_t i = 0; i < rank; ++i) {
    if (values[i] < least || values[i] > kLargest) return c.bad(fmt::format("{} holds {}", name, values[i]));
    to[3 - rank + i] = values[i];
  }
  return {};
}

Result<Window> common(const Call& c, const Dims& x, const Dims& kernel) {
  Window w;
  if (x.size() < 3)
    return c.bad(fmt::format("an input [N, C, spatial...] is expected, not {}", to_string(x)));
  w.rank = x.size() - 2;
  if (w.rank > 3) return c.unsupported("more than three spatial axes");
  if (kernel.size() != w.rank)
    return c.bad("the kernel and the input have different numbers of spatial axes");
  for (size_t i = 0; i < w.rank; ++i) {
    const size_t at = 3 - w.rank + i;
    w.in[at] = x[2 + i];
    w.kernel[at] = kernel[i];
    if (kernel[i] < 1 || kernel[i] > kLargest || x[2 + i] > kLargest)
      return c.bad("the kernel is empty or too large");
  }
  MTS_TRY(read_axes(c, "strides", 1, w.rank, w.stride));
  MTS_TRY(read_axes(c, "dilations", 1, w.rank, w.dilation));
  const std::vector<int64_t> pads = c.node.ints_or("pads", {});
  if (!pads.empty()) {
    if (pads.size() != 2 * w.rank) return c.bad("pads does not have two values a spatial axis");
    for (size_t i = 0; i < w.rank; ++i) {
      for (int64_t pad : {pads[i], pads[w.rank + i]}) {
        if (pad < 0 || pad > kLargest) return c.bad(fmt::format("pads holds {}", pad));
      }
      w.pad_begin[3 - w.rank + i] = pads[i];
      w.pad_end[3 - w.rank + i] = pads[w.rank + i];
    }
  }
  return w;
}

int64_t extent(const Window& w, size_t i) { return (w.kernel[i] - 1) * w.dilation[i] + 1; }

}  // namespace

std::pair<int64_t, int64_t> Window::valid(size_t axis, int64_t k) const {
  const int64_t shift = k * dilation[axis] - pad_begin[axis];  // position = o * stride + shift
  const int64_t first = shift >= 0 ? 0 : (-shift + stride[axis] - 1) / stride[axis];
  const int64_t last = in[axis] - shift <= 0 ? 0 : (in[axis] - shift - 1) / stride[axis] + 1;
  return {first, std::min(last, out[axis])};
}

Result<Window> window_of(const Call& c, const Dims& x, const Dims& kernel) {
  MTS_ASSIGN(Window w, common(c, x, kernel));
  const std::string auto_pad = c.node.string_or("auto_pad", "NOTSET");
  const bool same = auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER";
  if (!same && auto_pad != "NOTSET" && auto_pad != "VALID") return c.bad("auto_pad is " + auto_pad);
  const bool ceil = c.node.int_or("ceil_mode", 0) != 0;
  for (size_t i = 3 - w.rank; i < 3; ++i) {
    if (auto_pad == "VALID") w.pad_begin[i] = w.pad_end[i] = 0;
    if (same) {
      w.out[i] = (w.in[i] + w.stride[i] - 1) / w.stride[i];
      const int64_t total = std::max<int64_t>(0, (w.out[i] - 1) * w.stride[i] + extent(w, i) - w.in[i]);
      w.pad_begin[i] = auto_pad == "SAME_UPPER" ? total / 2 : total - total / 2;
      w.pad_end[i] = total - w.pad_begin[i];
      continue;
    }
    const int64_t room = w.in[i] + w.pad_begin[i] + w.pad_end[i] - extent(w, i);
    w.out[i] = floor_div(room + (ceil ? w.stride[i] - 1 : 0), w.stride[i]) + 1;
    // A window that would start in the padding behind the input is left out.
    if (ceil && (w.out[i] - 1) * w.stride[i] >= w.in[i] + w.pad_begin[i]) --w.out[i];
    if (w.out[i] < 0)
      return c.bad(fmt::format("the kernel is larger than the padded input {}", to_string(x)));
  }
  return w;
}

Result<Window> transposed_window_of(const Call& c, const Dims& x, const Dims& kernel) {
  MTS_ASSIGN(Window w, common(c, x, kernel));
  Window::Axes output_padding{}, output_shape{};
  MTS_TRY(read_axes(c, "output_padding", 0, w.rank, output_padding));
  std::vector<int64_t> wanted = c.node.ints_or("output_shape", {});
  if (wanted.size() == w.rank + 2)
    wanted.erase(wanted.begin(), wanted.begin() + 2);  // some write N and C too
  if (!wanted.empty() && wanted.size() != w.rank)
    return c.bad("output_shape does not have one value a spatial axis");
  for (size_t i = 0; i < wanted.size(); ++i) output_shape[3 - w.rank + i] = wanted[i];
  const std::string auto_pad = c.node.string_or("auto_pad", "NOTSET");
  const bool same = auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER";
  if (!same && auto_pad != "NOTSET" && auto_pad != "VALID") return c.bad("auto_pad is " + auto_pad);
  for (size_t i = 3 - w.rank; i < 3; ++i) {
    const int64_t full = (w.in[i] - 1) * w.stride[i] + output_padding[i] + extent(w, i);
    if (auto_pad == "VALID") w.pad_begin[i] = w.pad_end[i] = 0;
    w.out[i] = full - w.pad_begin[i] - w.pad_end[i];
    if (!wanted.empty() || same) {
      w.out[i] = wanted.empty() ? w.in[i] * w.stride[i] : output_shape[i];
      const int64_t total = std::max<int64_t>(0, full - w.out[i]);
      w.pad_begin[i] = auto_pad == "SAME_UPPER" ? total / 2 : total - total / 2;
      if (wanted.empty() && auto_pad == "SAME_LOWER") w.pad_begin[i] = total - total / 2;
      w.pad_end[i] = total - w.pad_begin[i];
    }
    if (w.out[i] < 0) return c.bad("its output would have a negative size");
  }
  return w;
}

}  // namespace mts::ref
