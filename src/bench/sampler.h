// Interleaved sampling: which task runs next, and when to stop. Knows nothing of models, so that tests drive
// it with a clock and tasks of their own.
//
// In: tasks (return false when they failed: they are not run again) and a clock in seconds, or tasks that
// time themselves (a device's events; nothing when they failed). Out: seconds a task, in order. A round runs
// each task once, in an order that changes from round to round (order_of_round()). Warm-up rounds come first
// and do not count: at least kMinWarmUp, until every task's recent median is within kSettled of the one
// before, or a quarter of the budget is gone.
#pragma once

#include <mts/bench.h>

#include <functional>
#include <optional>
#include <vector>

namespace mts::bench_detail {

inline constexpr int kMinWarmUp = 3, kWindow = 4;
inline constexpr double kSettled = 0.03;

using Task = std::function<bool()>;
using TimedTask = std::function<std::optional<double>()>;  // seconds
using Clock = std::function<double()>;

struct Samples {
  std::vector<std::vector<double>> seconds;  // one list a task
  int warm_up_rounds = 0;
};
// A task leaves caches and clocks in the state that the next one finds. So each one follows every other
// equally often: over `tasks` rounds, twice that where their number is odd. Two tasks make A B B A. A
// Williams design: E. J. Williams, Australian Journal of Scientific Research A 2, 149 (1949).
std::vector<size_t> order_of_round(size_t round, size_t tasks);

Samples sample(const std::vector<Task>& tasks, const BenchOptions& options, const Clock& clock);
Samples sample_timed(const std::vector<TimedTask>& tasks, const BenchOptions& options, const Clock& clock);

Clock steady_clock();

}  // namespace mts::bench_detail
