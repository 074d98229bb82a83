#include "exec/device.h"

#include "exec/cpu/backend.h"
#include "ref/interpreter.h"

#include <string>

#include <dlfcn.h>

namespace mts::exec {
namespace {

// libmts_cuda.so exports `mts_make_cuda_backend`, a function of this type.
using MakePlugin = Result<std::unique_ptr<Backend>>();

Result<std::unique_ptr<Backend>> make_cuda_backend() {
  void* const library = dlopen("libmts_cuda.so", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    return fail(
        ErrorCode::kDevice,
        std::string("the CUDA device needs the plugin libmts_cuda.so, which cannot be loaded: ") + dlerror());
  }
  void* const symbol = dlsym(library, "mts_make_cuda_backend");
  if (symbol == nullptr)
    return fail(ErrorCode::kDevice, "libmts_cuda.so is not a plugin of this version of mts");
  return reinterpret_cast<MakePlugin*>(symbol)();
}

constexpr DeviceEntry kDevices[] = {
    {"cpu", nullptr, make_cpu_backend},
    {"ref", make_reference_session, nullptr},
    {"cuda", nullptr, make_cuda_backend},
};

}  // namespace

const DeviceEntry* find_device(std::string_view name) {
  for (const DeviceEntry& device : kDevices) {
    if (device.name == name) return &device;
  }
  return nullptr;
}

}  // namespace mts::exec

namespace mts {

std::vector<std::pair<std::string, std::string>> executor_versions() {
  return {{"oneDNN", exec::onednn_version()}};
}

}  // namespace mts
