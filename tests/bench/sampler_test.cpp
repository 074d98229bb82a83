#include "bench/sampler.h"

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace mts::bench_detail {
namespace {

// Tasks that take known times on a clock of their own.
struct Stage {
  double now = 0;
  std::string order;
  Clock clock() {
    return [this] { return now; };
  }
  Task task(char name, double seconds) {
    return [this, name, seconds] {
      order += name;
      now += seconds;
      return true;
    };
  }
};

TEST(Sampler, TasksTakeTurns) {
  Stage stage;
  const Samples samples =
      sample({stage.task('a', 0.01), stage.task('b', 0.02)}, {.seconds = 3}, stage.clock());
  ASSERT_EQ(samples.seconds.size(), 2u);
  EXPECT_EQ(samples.seconds[0].size(), samples.seconds[1].size());
  for (size_t i = 0; i < stage.order.size(); ++i) EXPECT_EQ(stage.order[i], "abba"[i % 4]);
  for (double s : samples.seconds[1]) EXPECT_NEAR(s, 0.02, 1e-9);
}

TEST(Sampler, EveryTaskFollowsEveryOtherEquallyOften) {
  for (const size_t tasks : {1u, 2u, 3u, 4u, 5u, 8u}) {
    const size_t rounds = tasks % 2 == 0 ? tasks : 2 * tasks;
    std::map<std::pair<size_t, size_t>, size_t> followers;
    for (size_t round = 0; round < rounds; ++round) {
      const std::vector<size_t> order = order_of_round(round, tasks);
      EXPECT_EQ(std::set<size_t>(order.begin(), order.end()).size(), tasks) << "each once";
      EXPECT_EQ(order_of_round(round + rounds, tasks), order);
      for (size_t k = 1; k < tasks; ++k) ++followers[{order[k - 1], order[k]}];
    }
    EXPECT_EQ(followers.size(), tasks * (tasks - 1));
    for (const auto& [pair, times] : followers) EXPECT_EQ(times, rounds / tasks);
  }
}

TEST(Sampler, BudgetEndsIt) {
  Stage stage;
  const Samples samples = sample({stage.task('a', 0.01)}, {.seconds = 2}, stage.clock());
  EXPECT_NEAR(stage.now, 2, 0.02);
  EXPECT_EQ(samples.seconds[0].size() + static_cast<size_t>(samples.warm_up_rounds), stage.order.size());
}

TEST(Sampler, SlowTasksStillGetTheirMinimum) {
  Stage stage;
  const Samples samples = sample({stage.task('a', 10)}, {.seconds = 1, .min_iterations = 7}, stage.clock());
  EXPECT_EQ(samples.warm_up_rounds, kMinWarmUp);
  EXPECT_EQ(samples.seconds[0].size(), 7u);
}

TEST(Sampler, FastTasksStopAtTheMaximum) {
  Stage stage;
  const Samples samples =
      sample({stage.task('a', 1e-6)}, {.seconds = 1, .max_iterations = 50}, stage.clock());
  EXPECT_EQ(samples.seconds[0].size(), 50u);
}

TEST(Sampler, WarmUpLastsUntilTimesSettle) {
  Stage stage;
  int runs = 0;
  const Task slow_start = [&] {
    stage.now += runs++ < 20 ? 0.01 * (30 - runs) : 0.01;
    return true;
  };
  const Samples samples = sample({slow_start}, {.seconds = 100}, stage.clock());
  EXPECT_GE(samples.warm_up_rounds, 20);
  for (double s : samples.seconds[0]) EXPECT_NEAR(s, 0.01, 1e-9);
}

TEST(Sampler, WarmUpGivesUpOnRestlessTimes) {
  Stage stage;
  int runs = 0;
  const Task restless = [&] {
    stage.now += ++runs / kWindow % 2 == 0 ? 0.1 : 0.2;
    return true;
  };
  const Samples samples = sample({restless}, {.seconds = 8}, stage.clock());
  EXPECT_LE(samples.warm_up_rounds, 21);
  EXPECT_FALSE(samples.seconds[0].empty());
}

TEST(Sampler, AFailedTaskIsNotRunAgain) {
  Stage stage;
  int calls = 0;
  const Task broken = [&] {
    ++calls;
    return false;
  };
  const Samples samples = sample({broken, stage.task('b', 0.1)}, {.seconds = 3}, stage.clock());
  EXPECT_EQ(calls, 1);
  EXPECT_TRUE(samples.seconds[0].empty());
  EXPECT_GE(samples.seconds[1].size(), 10u);
  EXPECT_TRUE(sample({broken}, {}, stage.clock()).seconds[0].empty());
}

}  // namespace
}  // namespace mts::bench_detail
