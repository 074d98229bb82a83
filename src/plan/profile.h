// What the cost model knows of a device.
#pragma once

#include <mts/error.h>

#include <span>
#include <string>
#include <string_view>

namespace mts {

struct DeviceProfile {
  std::string_view name;
  double flops = 0;               // peak of float32, per second
  double memory_bandwidth = 0;    // bytes per second from DRAM
  double cache_bandwidth = 0;     // bytes per second from the last-level cache
  double cache_bytes = 0;         // last-level cache
  double launch_seconds = 0;      // fixed cost of a node
  double saturation = 0;          // output elements from which on the device is fully used
  double grouped_efficiency = 1;  // of a grouped convolution, relative to a dense one
  bool is_cpu = false;
};

std::span<const DeviceProfile> profiles();
// kUsage with the known names when there is none of that name.
Result<DeviceProfile> find_profile(std::string_view name);

}  // namespace mts
