// The device "cuda-shim" of the tests: whole plans through the CUDA kernels, on the host.
#pragma once

#include "exec/backend.h"

#include <mts/executor.h>
#include <mts/graph.h>

#include <memory>

namespace mts::exec::cuda {

// Kernels read and write host memory. launch gives kModel for an index out of range.
std::unique_ptr<Backend> make_shim_backend();
Result<std::unique_ptr<Session>> make_shim_session(const Model& model);

}  // namespace mts::exec::cuda
