// Measured times beside what the device could do at best.
//
// In: the steps' times and work, a device profile, and the median time of the whole. Out: the floor of the
// whole (all arithmetic at the peaks of its types, or all weights, inputs and outputs moved once through the
// smallest memory that holds them, whichever takes longer), and the steps that lose most against their own
// floors (their arithmetic, or all their bytes through the smallest memory that holds these). Source: the
// roofline model (Williams, Waterman, Patterson 2009). Floors are as good as the profile: a share above 1
// says that its figures are too low for the machine.
#pragma once

#include "plan/profile.h"

#include <mts/bench.h>
#include <mts/device_session.h>

#include <span>

namespace mts::bench_detail {

inline constexpr size_t kLosses = 5;

// TF32 products have half the peak of float16 (NVIDIA's data sheets, all tensor cores that know TF32).
Roofline roofline_of(std::span<const StepTime> steps, const DeviceProfile& profile, Precision precision,
                     double p50_ms);

}  // namespace mts::bench_detail
