// A node's sliding window as the kernels take it.
#pragma once

#include "exec/cuda/kernels/pool.h"
#include "exec/geometry.h"

#include <span>

namespace mts::exec::cuda {

// `input`: [N, C, one to three spatial axes]; fewer than three are led by axes of length 1.
inline WindowShape window_shape(const Window& window, std::span<const int64_t> input) {
  WindowShape shape;
  const size_t spatial = input.size() - 2, lead = 3 - spatial;
  for (size_t i = 0; i < spatial; ++i) {
    shape.in[lead + i] = static_cast<int32_t>(input[i + 2]);
    shape.out[lead + i] = static_cast<int32_t>(window.output[i]);
    shape.kernel[lead + i] = static_cast<int32_t>(window.kernel[i]);
    shape.stride[lead + i] = static_cast<int32_t>(window.strides[i]);
    shape.dilation[lead + i] = static_cast<int32_t>(window.dilations[i]);
    shape.pad_begin[lead + i] = static_cast<int32_t>(window.pads_begin[i]);
    shape.pad_end[lead + i] = static_cast<int32_t>(window.pads_end[i]);
  }
  return shape;
}

}  // namespace mts::exec::cuda
