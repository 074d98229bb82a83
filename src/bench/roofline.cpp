#include "bench/roofline.h"

#include "plan/profile.h"

#include <algorithm>

namespace mts {
namespace bench_detail {
namespace {

double seconds_through(const DeviceProfile& profile, double bytes) {
  return bytes / profile.bandwidth(bytes).streaming;
}

}  // namespace

Roofline roofline_of(std::span<const StepTime> steps, const DeviceProfile& profile, Precision precision,
                     double p50_ms) {
  Roofline result;
  result.profile = profile.name;
  const auto arithmetic = [&](const StepTime& step) {
    const bool tf32 = step.dtype == DType::kFloat32 && precision == Precision::kTf32;
    return step.flops / (tf32 ? profile.flops_of(DType::kFloat16) / 2 : profile.flops_of(step.dtype));
  };
  double seconds = 0, bytes = 0;
  for (const StepTime& step : steps) {
    const double compute = arithmetic(step);
    seconds += compute;
    bytes += step.outer_bytes;
    result.losses.push_back(
        {step.name, step.milliseconds, 1e3 * std::max(compute, seconds_through(profile, step.bytes))});
  }
  result.floor_ms = 1e3 * std::max(seconds, seconds_through(profile, bytes));
  result.share = p50_ms > 0 ? result.floor_ms / p50_ms : 0;
  std::stable_sort(result.losses.begin(), result.losses.end(),
                   [](const auto& a, const auto& b) { return a.lost_ms() > b.lost_ms(); });
  result.losses.resize(std::min(result.losses.size(), kLosses));
  return result;
}

}  // namespace bench_detail

Result<Roofline> measure_roofline(const Competitor& competitor, const std::string& target,
                                  const ExecutorOptions& executor, double p50_ms) {
  constexpr double kBudget = 1000, kMost = 20;  // milliseconds, repeats
  if (competitor.sessions.size() != 1)
    return fail(ErrorCode::kUsage, "the roofline of '" + competitor.name + "' needs one session");
  MTS_ASSIGN(DeviceProfile profile, load_profile(target));
  if (profile.is_cpu) {
    const double threads = bench_context(executor).threads;
    for (auto& [dtype, flops] : profile.flops) flops *= threads / profile.cores;
  }
  const double repeats = std::clamp(kBudget / std::max(p50_ms, 1e-3), 1.0, kMost);
  MTS_ASSIGN(const std::vector<StepTime> steps,
             time_steps(*competitor.sessions[0], competitor.inputs[0], static_cast<int>(repeats)));
  return bench_detail::roofline_of(steps, profile, executor.precision, p50_ms);
}

}  // namespace mts
