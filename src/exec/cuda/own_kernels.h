// mts's own kernels (own/families.h) as the backend asks for them, on a device of the runtime.
#pragma once

#include "exec/cuda/lowering.h"
#include "exec/runtime.h"

#include <memory>

namespace mts::exec::cuda {

// `runtime` must outlive the result and its kernels. `tf32`: float32 products may round their operands to it.
Result<std::unique_ptr<OwnKernels>> make_own_kernels(DeviceRuntime& runtime, bool tf32 = false);

}  // namespace mts::exec::cuda
