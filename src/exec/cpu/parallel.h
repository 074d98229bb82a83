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

// While it lives, OpenMP regions of this thread stay on one thread if the work is small: starting the others
// would take longer than doing it. oneDNN plans for the thread count at creation, so it must see the same at
// creation and execution.
class SmallWork {
 public:
  // Of two threads' start, a few microseconds at some 50 GFLOP/s.
  static constexpr int64_t kWorthwhile = 400'000;
  static bool is_small(int64_t operations) { return operations < kWorthwhile; }

  explicit SmallWork(bool small) : small_(small), before_(small ? omp_get_max_threads() : 0) {
    if (small_) omp_set_num_threads(1);
  }
  ~SmallWork() {
    if (small_) omp_set_num_threads(before_);
  }
  SmallWork(const SmallWork&) = delete;
  SmallWork& operator=(const SmallWork&) = delete;

 private:
  bool small_;
  int before_;
};

}  // namespace mts::exec
