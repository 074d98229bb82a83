#include <mts/bench.h>

#include <chrono>
#include <thread>

#include <gtest/gtest.h>

namespace mts {
namespace {

class Sleeper final : public Session {
 public:
  explicit Sleeper(int milliseconds, bool works = true) : milliseconds_(milliseconds), works_(works) {}
  Result<std::vector<Datum>> run(std::span<const Datum>) override {
    if (!works_) return fail(ErrorCode::kUnsupported, "no such operator");
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds_));
    return std::vector<Datum>{};
  }
  MemoryUse memory() const override { return {.weights = 100, .arena = 20, .workspace = 3}; }

 private:
  int milliseconds_;
  bool works_;
};

Competitor competitor(std::string name, std::vector<Session*> sessions, std::optional<bool> verified) {
  Competitor result{.name = std::move(name), .sessions = sessions, .verified = verified};
  result.inputs.resize(sessions.size());
  result.inferences = 4;
  return result;
}

TEST(Bench, SpeedupIsOverSequential) {
  Sleeper slow(4), fast(2);
  const auto report = bench(
      {competitor("fused", {&fast}, true), competitor("sequential", {&slow, &slow}, true)}, {.seconds = 0.3});
  ASSERT_TRUE(report.has_value());
  const BenchRow& fused = report->rows[0];
  ASSERT_TRUE(fused.speedup_vs_sequential.has_value());
  EXPECT_GT(*fused.speedup_vs_sequential, 2);
  EXPECT_LT(*fused.speedup_vs_sequential, 5);
  EXPECT_DOUBLE_EQ(*report->rows[1].speedup_vs_sequential, 1);
  EXPECT_DOUBLE_EQ(fused.throughput, 4000 / fused.latency_ms.p50);
  EXPECT_GE(fused.iterations, 10);
  EXPECT_EQ(report->rows[1].memory.peak(), 246u);
  EXPECT_EQ(report->fastest()->name, "fused");
}

TEST(Bench, NoCheckNoSpeedup) {
  Sleeper session(1);
  const auto report =
      bench({competitor("sequential", {&session}, true), competitor("fused", {&session}, std::nullopt),
             competitor("concat", {&session}, false)},
            {.seconds = 0.05});
  ASSERT_TRUE(report.has_value());
  EXPECT_FALSE(report->rows[1].speedup_vs_sequential.has_value());
  EXPECT_FALSE(report->rows[2].speedup_vs_sequential.has_value());
  EXPECT_NE(report->fastest()->name, "concat");
}

TEST(Bench, AFailureIsARow) {
  Sleeper good(1), bad(1, false);
  Competitor absent{.name = "netfuse"};
  absent.error = "cannot be made";
  const auto report =
      bench({competitor("sequential", {&good}, true), competitor("fused", {&bad}, true), absent},
            {.seconds = 0.05});
  ASSERT_TRUE(report.has_value());
  EXPECT_TRUE(report->rows[0].error.empty());
  EXPECT_NE(report->rows[1].error.find("no such operator"), std::string::npos);
  EXPECT_FALSE(report->rows[1].speedup_vs_sequential.has_value());
  EXPECT_EQ(report->rows[2].error, "cannot be made");
}

TEST(Bench, MisuseIsRefused) {
  Sleeper session(1);
  EXPECT_EQ(bench({}).error().code, ErrorCode::kUsage);
  EXPECT_EQ(bench({competitor("a", {&session}, true), competitor("a", {&session}, true)}).error().code,
            ErrorCode::kUsage);
  Competitor uneven{.name = "a", .sessions = {&session}};
  EXPECT_EQ(bench({uneven}).error().code, ErrorCode::kUsage);
}

TEST(Bench, ContextNamesTheMachine) {
  const BenchContext context = bench_context({.device = "cpu", .threads = 1});
  EXPECT_EQ(context.device, "cpu");
  EXPECT_EQ(context.threads, 1);
  EXPECT_GE(context.cores, 1);
  ASSERT_EQ(context.versions.size(), 3u);
  EXPECT_EQ(context.versions[1].first, "oneDNN");
  EXPECT_FALSE(context.versions[1].second.empty());
}

}  // namespace
}  // namespace mts
