// MaxPool and AveragePool over up to three spatial axes, and LRN over channels; row-major.
#pragma once

#include "exec/cuda/kernels/float_type.h"
#include "exec/cuda/kernels/index.h"
#include "exec/cuda/kernels/scalar_type.h"
#include "exec/cuda/kernels/stream.h"

#include <cstdint>

namespace mts::exec::cuda {

// A sliding window over three axes; fewer are led by axes of length 1.
struct WindowShape {
  int32_t in[3] = {1, 1, 1}, out[3] = {1, 1, 1}, kernel[3] = {1, 1, 1}, stride[3] = {1, 1, 1},
          dilation[3] = {1, 1, 1}, pad_begin[3] = {}, pad_end[3] = {};
};

// input [planes, in...] -> output [planes, out...]. The average counts elements inside the input, or with
// count_padding those inside the padded input. A window without elements has the maximum -infinity.
struct PoolArgs {
  const void* input = nullptr;
  void* output = nullptr;
  int64_t* indices = nullptr;  // MaxPool: of the element in the whole input; null: not wanted
  int64_t planes = 0;
  WindowShape window;
  bool maximum = true, count_padding = false;
  ScalarType type = ScalarType::kFloat32;  // floats, int8 and uint8 (maximum only)
};
LaunchError launch_pool(const PoolArgs& args, StreamHandle stream);

// y = x / (bias + alpha / size * sum of squares of `size` channels around)^beta; [batch, channels, pixels].
struct LrnArgs {
  const void* input = nullptr;
  void* output = nullptr;
  int64_t batch = 0;
  int32_t channels = 0, pixels = 0, size = 1;
  float alpha = 0.f, beta = 0.f, bias = 1.f;
  FloatType type = FloatType::kFloat32;
};
LaunchError launch_lrn(const LrnArgs& args, StreamHandle stream);

}  // namespace mts::exec::cuda
