// Libraries on cuDNN and cuBLASLt; each call is prepared once.
#pragma once

#include "exec/cuda/cublaslt_products.h"
#include "exec/cuda/cudnn_graphs.h"

#include <memory>

namespace mts::exec::cuda {

std::unique_ptr<Libraries> make_nvidia_libraries(std::unique_ptr<CudnnGraphs> graphs,
                                                 std::unique_ptr<CublasLtProducts> products);

}  // namespace mts::exec::cuda
