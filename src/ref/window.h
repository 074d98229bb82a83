// The geometry of convolutions and poolings: kernel, stride, dilation, padding and sizes of up to three
// spatial axes.
#pragma once

#include "ref/operator.h"

#include <array>
#include <cstdint>

namespace mts::ref {

// Always three spatial axes (depth, height, width); missing leading ones have length 1.
struct Window {
  using Axes = std::array<int64_t, 3>;
  size_t rank = 0;  // real number of spatial axes
  Axes in{1, 1, 1}, kernel{1, 1, 1}, stride{1, 1, 1}, dilation{1, 1, 1}, pad_begin{}, pad_end{}, out{1, 1, 1};

  int64_t in_size() const { return in[0] * in[1] * in[2]; }
  int64_t kernel_size() const { return kernel[0] * kernel[1] * kernel[2]; }
  int64_t out_size() const { return out[0] * out[1] * out[2]; }
  // The spatial part of the output's shape.
  Dims out_dims() const { return Dims(out.end() - static_cast<std::ptrdiff_t>(rank), out.end()); }
  // Positions o of the output axis for which o * stride + k * dilation - pad_begin lies inside the input:
  // [first, last).
  std::pair<int64_t, int64_t> valid(size_t axis, int64_t k) const;
  int64_t position(size_t axis, int64_t o, int64_t k) const {
    return o * stride[axis] + k * dilation[axis] - pad_begin[axis];
  }
};

// Reads strides, dilations, pads, auto_pad and ceil_mode for the input `x` of shape [N, C, spatial...] and
// the kernel's spatial shape, and computes the output sizes. kUnsupported for more than three spatial axes.
Result<Window> window_of(const Call& c, const Dims& x, const Dims& kernel);
// As above for ConvTranspose: in and out change roles (`in` is the small side, as in the node's input).
Result<Window> transposed_window_of(const Call& c, const Dims& x, const Dims& kernel);

}  // namespace mts::ref
