// mts's own kernels (own/families.h) as the backend asks for them, on a device of the runtime.
#pragma once

#include "exec/cuda/lowering.h"
#include "exec/runtime.h"

#include <memory>

namespace mts::exec::cuda {

// `runtime` must outlive the result and its kernels.
Result<std::unique_ptr<OwnKernels>> make_own_kernels(DeviceRuntime& runtime);

}  // namespace mts::exec::cuda
