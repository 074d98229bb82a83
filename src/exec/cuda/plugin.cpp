#include "exec/cuda/plugin.h"

#include "exec/cuda/backend.h"
#include "exec/cuda/cuda_runtime.h"
#include "exec/cuda/nvidia_libraries.h"
#include "exec/cuda/own_kernels.h"

#include <cstdlib>

namespace mts::exec::cuda {
namespace {

// Where the environment names a file for what was measured.
std::unique_ptr<Autotuner> make_autotuner(DeviceRuntime& runtime) {
  const char* const file = std::getenv("MTS_CUDA_AUTOTUNE");
  if (file == nullptr || *file == '\0') return nullptr;
  const std::string machine = runtime.name() + ", CUDA " + cuda_version() + ", cuDNN " + cudnn_version() +
                              ", cuBLASLt " + cublaslt_version();
  return std::make_unique<Autotuner>(runtime, AlgorithmCache(file, machine));
}

Result<std::unique_ptr<Backend>> make_plugin_backend(const ExecutorOptions& options) {
  BackendParts parts;
  MTS_ASSIGN(parts.runtime, make_cuda_runtime());
  MTS_ASSIGN(std::unique_ptr<CudnnGraphs> graphs, cudnn_graphs());
  MTS_ASSIGN(std::unique_ptr<CublasLtProducts> products, cublaslt_products());
  parts.libraries =
      make_nvidia_libraries(std::move(graphs), std::move(products), make_autotuner(*parts.runtime));
  const Math math = options.precision == Precision::kTf32 ? Math::kFast : Math::kStrict;
  MTS_ASSIGN(parts.own, make_own_kernels(*parts.runtime, math == Math::kFast));
  const DType held = options.precision == Precision::kFloat16    ? DType::kFloat16
                     : options.precision == Precision::kBfloat16 ? DType::kBfloat16
                                                                 : DType::kFloat32;
  return make_backend(std::move(parts), math, held);
}

std::vector<std::pair<std::string, std::string>> plugin_versions() {
  return {{"CUDA", cuda_version()}, {"cuDNN", cudnn_version()}, {"cuBLASLt", cublaslt_version()}};
}

}  // namespace
}  // namespace mts::exec::cuda

extern "C" __attribute__((visibility("default"))) const mts::exec::CudaPlugin* mts_cuda_plugin() {
  static const mts::exec::CudaPlugin plugin{mts::exec::plugin_build(), mts::exec::cuda::make_plugin_backend,
                                            mts::exec::cuda::plugin_versions};
  return &plugin;
}
