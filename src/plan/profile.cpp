#include "plan/profile.h"

#include "base/mmap.h"
#include "plan/embedded_profiles.h"

#include <algorithm>
#include <cmath>

namespace mts {

double DeviceProfile::computed_inputs(double channels) const {
  return channels < input_block ? channels : std::ceil(channels / input_block) * input_block;
}

double DeviceProfile::computed_outputs(double channels) const {
  return std::ceil(channels / output_block) * output_block;
}

double DeviceProfile::flops_of(DType dtype) const {
  const auto it = flops.find(dtype);
  if (it != flops.end()) return it->second;
  const auto single = flops.find(DType::kFloat32);
  return single != flops.end() ? single->second : 1;
}

size_t DeviceProfile::cache_level(double bytes) const {
  const auto holds = [bytes](const CacheLevel& level) { return bytes <= level.bytes; };
  return static_cast<size_t>(std::ranges::find_if(caches, holds) - caches.begin());
}

const Bandwidth& DeviceProfile::bandwidth(double bytes) const {
  const size_t level = cache_level(bytes);
  return level < caches.size() ? caches[level].bandwidth : memory_bandwidth;
}

double efficiency_at(const EfficiencyCurve& curve, double channels) {
  const auto above =
      std::ranges::find_if(curve, [&](const EfficiencyPoint& p) { return p.channels > channels; });
  if (above == curve.begin()) return curve.front().efficiency;
  if (above == curve.end()) return curve.back().efficiency;
  const EfficiencyPoint& below = *(above - 1);
  return below.efficiency + (above->efficiency - below.efficiency) * (channels - below.channels) /
                                (above->channels - below.channels);
}

std::span<const std::string_view> profile_names() { return embedded::profile_names(); }

Result<DeviceProfile> find_profile(std::string_view name) {
  const auto names = profile_names();
  const auto it = std::ranges::find(names, name);
  if (it != names.end())
    return parse_profile(embedded::profile_texts()[static_cast<size_t>(it - names.begin())],
                         std::string(name));
  std::string known;
  for (const std::string_view each : names) known += (known.empty() ? "" : ", ") + std::string(each);
  return fail(ErrorCode::kUsage, "there is no device profile \"" + std::string(name) + "\"; known ones: " +
                                     known + "; or the path of a profile that ends in .json");
}

Result<DeviceProfile> load_profile(const std::string& target) {
  if (!target.ends_with(".json")) return find_profile(target);
  MTS_ASSIGN(const auto file, map_file(target));
  const auto bytes = file->data();
  return parse_profile({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, target);
}

}  // namespace mts
