#include "bench/sampler.h"

#include "bench/statistics.h"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace mts::bench_detail {
namespace {

class Rounds {
 public:
  explicit Rounds(const std::vector<TimedTask>& tasks) : tasks_(tasks), failed_(tasks.size(), false) {}

  // Each task once; the times of those that succeeded are appended.
  void run(std::vector<std::vector<double>>& seconds) {
    for (const size_t i : order_of_round(round_++, tasks_.size())) {
      if (failed_[i]) continue;
      const std::optional<double> time = tasks_[i]();
      failed_[i] = !time.has_value();
      if (time) seconds[i].push_back(*time);
    }
  }
  bool all_failed() const {
    return std::all_of(failed_.begin(), failed_.end(), [](bool f) { return f; });
  }

 private:
  const std::vector<TimedTask>& tasks_;
  size_t round_ = 0;
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

Samples sample_rounds(Rounds rounds, size_t tasks, const BenchOptions& options, const Clock& clock) {
  Samples result;
  std::vector<std::vector<double>> warm_up(tasks);
  const double start = clock();
  const auto elapsed = [&] { return clock() - start; };
  while (!rounds.all_failed()) {
    rounds.run(warm_up);
    ++result.warm_up_rounds;
    if (result.warm_up_rounds < kMinWarmUp) continue;
    if (elapsed() > options.seconds / 4 || std::all_of(warm_up.begin(), warm_up.end(), is_settled)) break;
  }
  result.seconds.resize(tasks);
  for (int i = 0; i < options.max_iterations && !rounds.all_failed(); ++i) {
    if (i >= options.min_iterations && elapsed() > options.seconds) break;
    rounds.run(result.seconds);
  }
  return result;
}

}  // namespace

std::vector<size_t> order_of_round(size_t round, size_t tasks) {
  std::vector<size_t> order;
  for (size_t k = 0; k < tasks; ++k)  // 0, 1, n - 1, 2, n - 2, ...: every step has another length
    order.push_back(((k % 2 == 1 ? (k + 1) / 2 : tasks - k / 2) + round) % tasks);
  // With an odd number each of those steps goes one way only.
  if (tasks % 2 == 1 && round / tasks % 2 == 1) std::ranges::reverse(order);
  return order;
}

Samples sample(const std::vector<Task>& tasks, const BenchOptions& options, const Clock& clock) {
  std::vector<TimedTask> timed;
  for (const Task& task : tasks) {
    timed.push_back([&task, &clock]() -> std::optional<double> {
      const double start = clock();
      if (!task()) return std::nullopt;
      return clock() - start;
    });
  }
  return sample_rounds(Rounds(timed), tasks.size(), options, clock);
}

Samples sample_timed(const std::vector<TimedTask>& tasks, const BenchOptions& options, const Clock& clock) {
  return sample_rounds(Rounds(tasks), tasks.size(), options, clock);
}

Clock steady_clock() {
  return [] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  };
}

}  // namespace mts::bench_detail
