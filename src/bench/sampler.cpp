#include "bench/sampler.h"

#include "bench/statistics.h"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace mts::bench_detail {
namespace {

class Rounds {
 public:
  Rounds(const std::vector<Task>& tasks, const Clock& clock)
      : tasks_(tasks), clock_(clock), failed_(tasks.size(), false) {}

  // Each task once; the times of those that succeeded are appended.
  void run(std::vector<std::vector<double>>& seconds) {
    for (size_t i = 0; i < tasks_.size(); ++i) {
      if (failed_[i]) continue;
      const double start = clock_();
      failed_[i] = !tasks_[i]();
      if (!failed_[i]) seconds[i].push_back(clock_() - start);
    }
  }
  bool all_failed() const {
    return std::all_of(failed_.begin(), failed_.end(), [](bool f) { return f; });
  }

 private:
  const std::vector<Task>& tasks_;
  const Clock& clock_;
  std::vector<bool> failed_;
};

bool is_settled(const std::vector<double>& seconds) {
  if (seconds.empty()) return true;  // it failed
  if (seconds.size() < 2 * kWindow) return false;
  const std::span<const double> all = seconds;
  const double now = median(all.last(kWindow)),
               before = median(all.subspan(all.size() - 2 * kWindow, kWindow));
  return std::abs(now - before) <= kSettled * before;
}

}  // namespace

Samples sample(const std::vector<Task>& tasks, const BenchOptions& options, const Clock& clock) {
  Rounds rounds(tasks, clock);
  Samples result;
  std::vector<std::vector<double>> warm_up(tasks.size());
  const double start = clock();
  const auto elapsed = [&] { return clock() - start; };
  while (!rounds.all_failed()) {
    rounds.run(warm_up);
    ++result.warm_up_rounds;
    if (result.warm_up_rounds < kMinWarmUp) continue;
    if (elapsed() > options.seconds / 4 || std::all_of(warm_up.begin(), warm_up.end(), is_settled)) break;
  }
  result.seconds.resize(tasks.size());
  for (int i = 0; i < options.max_iterations && !rounds.all_failed(); ++i) {
    if (i >= options.min_iterations && elapsed() > options.seconds) break;
    rounds.run(result.seconds);
  }
  return result;
}

Clock steady_clock() {
  return [] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  };
}

}  // namespace mts::bench_detail
