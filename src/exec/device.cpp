#include "exec/device.h"

#include "exec/cpu/backend.h"
#include "exec/cuda/plugin.h"
#include "ref/interpreter.h"

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <dlfcn.h>

namespace mts::exec {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPluginName = "libmts_cuda.so";

// Where the plugin may lie: where the environment says, beside the program (a build tree), or in the library
// folder of the install tree that the program is in.
std::vector<fs::path> plugin_places() {
  if (const char* const path = std::getenv("MTS_CUDA_PLUGIN")) return {path};
  std::error_code error;
  const fs::path folder = fs::read_symlink("/proc/self/exe", error).parent_path();
  return {folder / kPluginName, folder / ".." / MTS_PLUGIN_FOLDER / kPluginName};
}

// Opened once and for all: its objects hold code of it.
Result<const CudaPlugin*> load_plugin() {
  std::error_code error;
  for (const fs::path& path : plugin_places()) {
    if (!fs::exists(path, error)) continue;
    void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
      const std::string why = dlerror();  // "libcudnn.so.9: cannot open shared object file: ..."
      return fail(ErrorCode::kDevice, "the CUDA plugin cannot be loaded: " + why);
    }
    void* const symbol = dlsym(library, "mts_cuda_plugin");
    const CudaPlugin* const plugin = symbol == nullptr ? nullptr : reinterpret_cast<GetCudaPlugin*>(symbol)();
    if (plugin == nullptr || plugin->build != plugin_build())
      return fail(ErrorCode::kDevice, path.string() + " belongs to another build of mts");
    return plugin;
  }
  return fail(
      ErrorCode::kDevice,
      std::string("the CUDA plugin ") + kPluginName +
          " is not beside the program: this mts was built without a CUDA toolkit, or moved without it");
}

Result<const CudaPlugin*> cuda_plugin() {
  static const Result<const CudaPlugin*> plugin = load_plugin();
  return plugin;
}

Result<std::unique_ptr<Backend>> make_cuda_backend(const ExecutorOptions& options) {
  MTS_ASSIGN(const CudaPlugin* const plugin, cuda_plugin());
  return plugin->make_backend(options);
}

constexpr DeviceEntry kDevices[] = {
    {"cpu", nullptr, [](const ExecutorOptions&) { return make_cpu_backend(); }},
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

std::string_view name_of(Precision precision) {
  constexpr std::string_view kNames[] = {"float32", "tf32", "float16", "bfloat16"};
  return kNames[static_cast<size_t>(precision)];
}

std::vector<std::pair<std::string, std::string>> executor_versions(const std::string& device) {
  if (device != "cuda") return {{"oneDNN", exec::onednn_version()}};
  const auto plugin = exec::cuda_plugin();
  return plugin ? (*plugin)->versions() : std::vector<std::pair<std::string, std::string>>();
}

}  // namespace mts
