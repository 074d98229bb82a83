// Libraries on cuDNN and cuBLASLt; each call is prepared once. With an autotuner, which may be null, as the
// fastest of the libraries' candidates and the further ones of own_candidates.h, else as their heuristics'
// first.
#pragma once

#include "exec/cuda/autotune.h"
#include "exec/cuda/cublaslt_products.h"
#include "exec/cuda/cudnn_graphs.h"

#include <memory>

namespace mts::exec::cuda {

std::unique_ptr<Libraries> make_nvidia_libraries(std::unique_ptr<CudnnGraphs> graphs,
                                                 std::unique_ptr<CublasLtProducts> products,
                                                 std::unique_ptr<Autotuner> autotuner);

}  // namespace mts::exec::cuda
