// The device "cuda-shim" of the tests: whole plans through the CUDA kernels, on the host.
#pragma once

#include "exec/backend.h"

#include <mts/executor.h>
#include <mts/graph.h>

#include <cstddef>
#include <map>
#include <memory>
#include <string>

namespace mts::exec::cuda {

// How often steps of an operator were offered to the kernels when plans were made.
struct StepCounts {
  size_t kernels = 0, host = 0;
  size_t only_cpu = 0;  // of `host`: the CPU backend has a kernel for the step
};

// Kernels read and write host memory. launch gives kModel for an index out of range. `counts`, by operator,
// is added to as plans are made; it outlives the backend. `held`: see Backend::held_as; `tf32`: float32
// products may round their operands.
std::unique_ptr<Backend> make_shim_backend(std::map<std::string, StepCounts>* counts = nullptr,
                                           DType held = DType::kFloat32, bool tf32 = false);
Result<std::unique_ptr<Session>> make_shim_session(const Model& model,
                                                   std::map<std::string, StepCounts>* counts = nullptr,
                                                   DType held = DType::kFloat32, bool tf32 = false);

}  // namespace mts::exec::cuda
