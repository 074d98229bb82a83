#include "plan/profile.h"

#include <algorithm>
#include <array>

namespace mts {
namespace {

// GPU figures are those of the vendors' data sheets (FP32 without tensor cores); launch costs are those of a
// kernel in a CUDA graph. CPU figures are for two cores of the class, measured with ONNX Runtime on
// ResNet-18.
constexpr std::array kProfiles{
    DeviceProfile{.name = "generic-gpu",
                  .flops = 20e12,
                  .memory_bandwidth = 1e12,
                  .cache_bandwidth = 4e12,
                  .cache_bytes = 40e6,
                  .launch_seconds = 4e-6,
                  .saturation = 200e3,
                  .grouped_efficiency = 0.5,
                  .is_cpu = false},
    DeviceProfile{.name = "h200",
                  .flops = 67e12,
                  .memory_bandwidth = 4.8e12,
                  .cache_bandwidth = 10e12,
                  .cache_bytes = 50e6,
                  .launch_seconds = 2.5e-6,
                  .saturation = 270e3,
                  .grouped_efficiency = 0.5,
                  .is_cpu = false},
    DeviceProfile{.name = "h100",
                  .flops = 67e12,
                  .memory_bandwidth = 3.35e12,
                  .cache_bandwidth = 10e12,
                  .cache_bytes = 50e6,
                  .launch_seconds = 2.5e-6,
                  .saturation = 270e3,
                  .grouped_efficiency = 0.5,
                  .is_cpu = false},
    DeviceProfile{.name = "a100",
                  .flops = 19.5e12,
                  .memory_bandwidth = 1.555e12,
                  .cache_bandwidth = 5e12,
                  .cache_bytes = 40e6,
                  .launch_seconds = 3e-6,
                  .saturation = 220e3,
                  .grouped_efficiency = 0.5,
                  .is_cpu = false},
    DeviceProfile{.name = "cpu-avx512",
                  .flops = 150e9,
                  .memory_bandwidth = 20e9,
                  .cache_bandwidth = 100e9,
                  .cache_bytes = 4e6,
                  .launch_seconds = 3e-6,
                  .saturation = 1e3,
                  .grouped_efficiency = 0.9,
                  .is_cpu = true},
    DeviceProfile{.name = "cpu-avx2",
                  .flops = 80e9,
                  .memory_bandwidth = 20e9,
                  .cache_bandwidth = 80e9,
                  .cache_bytes = 4e6,
                  .launch_seconds = 3e-6,
                  .saturation = 1e3,
                  .grouped_efficiency = 0.9,
                  .is_cpu = true},
};

}  // namespace

std::span<const DeviceProfile> profiles() { return kProfiles; }

Result<DeviceProfile> find_profile(std::string_view name) {
  const auto it = std::ranges::find(kProfiles, name, &DeviceProfile::name);
  if (it != kProfiles.end()) return *it;
  std::string known;
  for (const DeviceProfile& profile : kProfiles)
    known += (known.empty() ? "" : ", ") + std::string(profile.name);
  return fail(ErrorCode::kUsage,
              "there is no device profile \"" + std::string(name) + "\"; known ones: " + known);
}

}  // namespace mts
