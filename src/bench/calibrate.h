// Measures a machine for the cost model: tiny generated models (probes.h) run in the bundled executor. Each
// figure is the difference of two lengths of a chain of equal nodes, run in turn; of the times of a run the
// lower quartile, since other programs only ever slow it down.
//
// Out: a profile for `mts stitch --target`. Takes `seconds` in all, about.
#pragma once

#include "bench/probes.h"
#include "plan/profile.h"

#include <mts/error.h>
#include <mts/executor.h>

#include <functional>
#include <string>
#include <vector>

namespace mts {

namespace calibration {

// Seconds of one run of each of the models, measured in turn.
using Measure = std::function<Result<std::vector<double>>(const std::vector<Probe>& probes)>;
Measure measure_by_running(const ExecutorOptions& executor, double seconds_each);

// Figures from `measure`; name, sources and threads are filled in by calibrate(). `progress` gets what is
// measured next, and how much is done of how much.
using Progress = std::function<void(const std::string& what, size_t done, size_t total)>;
Result<DeviceProfile> fit(const Measure& measure, const Progress& progress);

}  // namespace calibration

struct CalibrateOptions {
  ExecutorOptions executor;
  double seconds = 40;
  calibration::Progress progress = {};
};
// The profile is called "cpu-calibrated". kDevice for a device that is not there, kUsage for "ref".
Result<DeviceProfile> calibrate(const CalibrateOptions& options);

}  // namespace mts
