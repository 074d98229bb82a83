// What reports of hosts and of devices have in common.
#pragma once

#include <mts/bench.h>

#include <vector>

namespace mts::bench_detail {

// kUsage: no competitors, two of one name, or inputs that do not fit the sessions.
Result<void> check_competitors(const std::vector<Competitor>& competitors);
MemoryUse memory_of(const Competitor& competitor);
// From the medians of rows whose check passed, against the row "sequential".
void fill_speedups(BenchReport& report);

}  // namespace mts::bench_detail
