// Statistics of measured times. In: samples in any order. Out: nearest-rank percentiles, minimum, mean,
// coefficient of variation. No samples give zeros.
#pragma once

#include <mts/bench.h>

#include <span>

namespace mts::bench_detail {

// The smallest sample that at least `percent` % of the samples do not exceed. Samples need not be sorted.
double percentile(std::span<const double> samples, double percent);
double median(std::span<const double> samples);  // mean of the middle two when their number is even
LatencyStatistics statistics(std::span<const double> samples);

}  // namespace mts::bench_detail
