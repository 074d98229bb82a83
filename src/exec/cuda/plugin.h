// The border between the program and libmts_cuda.so: one C symbol, mts_cuda_plugin, which gives this table.
// Both sides must be built from one source by one compiler: `build` says which, and the program compares
// before it calls.
#pragma once

#include "exec/backend.h"

#include <mts/error.h>
#include <mts/executor.h>
#include <mts/version.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace mts::exec {

inline std::string plugin_build() {
  return "mts " + std::string(version()) + " plugin 1, compiler " + __VERSION__;
}

struct CudaPlugin {
  std::string build;
  Result<std::unique_ptr<Backend>> (*make_backend)(const ExecutorOptions& options);
  std::vector<std::pair<std::string, std::string>> (*versions)();
};
using GetCudaPlugin = const CudaPlugin*();

}  // namespace mts::exec
