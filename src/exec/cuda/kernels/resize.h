// Resize of images along their last two axes, nearest or linear, with the taps made on the host.
#pragma once

#include "exec/cuda/kernels/float_type.h"
#include "exec/cuda/kernels/stream.h"

#include <cstdint>

namespace mts::exec::cuda {

// Which two input positions make an output position, and how much of the second.
struct ResizeTap {
  int32_t first = 0, second = 0;
  float weight = 0.f;
};

// input [planes, height, width] -> output [planes, rows, columns].
struct ResizeArgs {
  const void* input = nullptr;
  void* output = nullptr;
  const ResizeTap* row_taps = nullptr;     // one an output row, in device memory
  const ResizeTap* column_taps = nullptr;  // one an output column
  int64_t planes = 0;
  int32_t height = 1, width = 1, rows = 1, columns = 1;
  bool linear = false;
  FloatType type = FloatType::kFloat32;
};
LaunchError launch_resize(const ResizeArgs& args, StreamHandle stream);

}  // namespace mts::exec::cuda
