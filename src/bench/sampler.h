// Interleaved sampling: which task runs next, and when to stop. Knows nothing of models, so that tests drive
// it with a clock and tasks of their own.
//
// In: tasks (return false when they failed: they are not run again) and a clock in seconds, or tasks that
// time themselves (a device's events; nothing when they failed). Out: seconds a task, in order. All tasks are
// run in turn, A B C A B C; timed ones there and back, A B C C B A. Warm-up rounds come first and do not
// count: at least kMinWarmUp, until every task's recent median is within kSettled of the one before, or a
// quarter of the budget is gone.
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
Samples sample(const std::vector<Task>& tasks, const BenchOptions& options, const Clock& clock);
Samples sample_timed(const std::vector<TimedTask>& tasks, const BenchOptions& options, const Clock& clock);

Clock steady_clock();

}  // namespace mts::bench_detail
