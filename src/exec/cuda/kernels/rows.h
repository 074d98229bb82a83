// Softmax and the normalisations: what needs a whole row before it can write an element.
#pragma once

#include "exec/cuda/kernels/float_type.h"
#include "exec/cuda/kernels/stream.h"

#include <cstdint>

namespace mts::exec::cuda {

// Lines of `length` elements, `inner` apart: line (o, i) starts at o * length * inner + i.
struct SoftmaxArgs {
  const void* input = nullptr;
  void* output = nullptr;
  int64_t outer = 0;
  int32_t length = 0, inner = 1;
  bool logarithm = false;
  FloatType type = FloatType::kFloat32;
};
LaunchError launch_softmax(const SoftmaxArgs& args, StreamHandle stream);

// y = (x - mean) / sqrt(variance + epsilon) * scale[k] + bias[k] over rows of `length` neighbours, where
// k = (row % groups) * parameters_a_row + i / run. Layer and RMS: groups 1, run 1. Instance and group: a row
// is one (sample, group), run the pixels of a channel.
struct NormaliseArgs {
  const void* input = nullptr;
  const void* scale = nullptr;  // null: 1
  const void* bias = nullptr;   // null: 0
  void* output = nullptr;
  float* mean_output = nullptr;     // one a row; null: not wanted
  float* inverse_output = nullptr;  // 1 / standard deviation
  int64_t rows = 0;
  int32_t length = 0, groups = 1, parameters_a_row = 0, run = 1;
  float epsilon = 0.f;
  bool centred = true;  // else RMS: the mean counts as 0
  FloatType type = FloatType::kFloat32;
};
LaunchError launch_normalise(const NormaliseArgs& args, StreamHandle stream);

}  // namespace mts::exec::cuda
