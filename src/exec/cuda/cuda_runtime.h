// DeviceRuntime on CUDA: memory, staging, streams, and recordings as CUDA Graphs.
#pragma once

#include "exec/runtime.h"

#include <memory>
#include <string>

namespace mts::exec::cuda {

// The current device. kDevice, in one line: no driver, no device, one that the kernels were not compiled for.
Result<std::unique_ptr<DeviceRuntime>> make_cuda_runtime();
std::string cuda_version();  // of the runtime library

}  // namespace mts::exec::cuda
