#include "bench/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace mts::bench_detail {
namespace {

std::vector<double> sorted(std::span<const double> samples) {
  std::vector<double> result(samples.begin(), samples.end());
  std::sort(result.begin(), result.end());
  return result;
}

double nearest_rank(const std::vector<double>& ascending, double percent) {
  const double rank = std::ceil(percent / 100.0 * static_cast<double>(ascending.size()));
  const auto position = static_cast<size_t>(std::max(rank, 1.0)) - 1;
  return ascending[std::min(position, ascending.size() - 1)];
}

}  // namespace

double percentile(std::span<const double> samples, double percent) {
  return samples.empty() ? 0 : nearest_rank(sorted(samples), percent);
}

double median(std::span<const double> samples) {
  if (samples.empty()) return 0;
  const std::vector<double> ascending = sorted(samples);
  const size_t middle = ascending.size() / 2;
  return ascending.size() % 2 == 1 ? ascending[middle] : (ascending[middle - 1] + ascending[middle]) / 2;
}

LatencyStatistics statistics(std::span<const double> samples) {
  LatencyStatistics result;
  if (samples.empty()) return result;
  const std::vector<double> ascending = sorted(samples);
  const auto count = static_cast<double>(samples.size());
  result.p50 = median(samples);
  result.p90 = nearest_rank(ascending, 90);
  result.p99 = nearest_rank(ascending, 99);
  result.min = ascending.front();
  result.mean = std::accumulate(ascending.begin(), ascending.end(), 0.0) / count;
  double squares = 0;
  for (double sample : ascending) squares += (sample - result.mean) * (sample - result.mean);
  const double deviation = ascending.size() > 1 ? std::sqrt(squares / (count - 1)) : 0;
  result.cv = result.mean > 0 ? deviation / result.mean : 0;
  return result;
}

}  // namespace mts::bench_detail
