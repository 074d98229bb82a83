// Work split over the threads of the session (OpenMP's pool, the same that oneDNN uses).
#pragma once

#include <algorithm>
#include <cstdint>

#include <omp.h>

namespace mts::exec {

// Calls body(begin, end) on pieces of [0, count). `work`: elements touched in all; little work stays on this
// thread.
template <class Body>
void parallel(int64_t count, int64_t work, const Body& body) {
  constexpr int64_t kWorthwhile = 32768;
  const int64_t threads = std::min<int64_t>(omp_get_max_threads(), count);
  if (threads <= 1 || work < kWorthwhile) {
    if (count > 0) body(int64_t{0}, count);
    return;
  }
#pragma omp parallel num_threads(static_cast <int>(threads))
  {
    const int64_t n = omp_get_num_threads(), t = omp_get_thread_num();
    const int64_t begin = count * t / n, end = count * (t + 1) / n;
    if (begin < end) body(begin, end);
  }
}

}  // namespace mts::exec
