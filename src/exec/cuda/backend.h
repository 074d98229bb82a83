// The CUDA backend: steps as library calls (cuDNN, cuBLASLt), own kernels for the rest. It knows neither CUDA
// nor the libraries: memory, streams and recordings come from a DeviceRuntime, calls are carried out by
// Libraries, kernels come from OwnKernels. The plugin gives it the real ones; tests give it plain loops on
// host memory, so that everything but the libraries themselves is checked without a GPU.
#pragma once

#include "exec/backend.h"
#include "exec/cuda/lowering.h"
#include "exec/runtime.h"

#include <memory>

namespace mts::exec::cuda {

struct BackendParts {
  std::unique_ptr<DeviceRuntime> runtime;
  std::unique_ptr<Libraries> libraries;
  std::unique_ptr<OwnKernels> own;
};
// `held`: float16 or bfloat16 to hold float32 models in 16 bits.
std::unique_ptr<Backend> make_backend(BackendParts parts, Math math, DType held = DType::kFloat32);

}  // namespace mts::exec::cuda
