#include <mts/bench.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mts {
namespace {

// Sessions that take known times on a clock of their own: nothing depends on how busy the machine is.
class Stage {
 public:
  class Actor final : public Session {
   public:
    Actor(Stage& stage, double milliseconds, bool works)
        : stage_(stage), milliseconds_(milliseconds), works_(works) {}
    Result<std::vector<Datum>> run(std::span<const Datum>) override {
      if (!works_) return fail(ErrorCode::kUnsupported, "no such operator");
      stage_.now_ += milliseconds_ / 1e3;
      return std::vector<Datum>{};
    }
    MemoryUse memory() const override { return {.weights = 100, .arena = 20, .workspace = 3}; }

   private:
    Stage& stage_;
    double milliseconds_;
    bool works_;
  };

  Actor actor(double milliseconds, bool works = true) { return {*this, milliseconds, works}; }
  BenchOptions options(double seconds) {
    return {.seconds = seconds, .clock = [this] { return now_; }};
  }

 private:
  double now_ = 0;
};

Competitor competitor(std::string name, std::vector<Session*> sessions, std::optional<bool> verified) {
  Competitor result{.name = std::move(name), .sessions = sessions, .verified = verified};
  result.inputs.resize(sessions.size());
  result.inferences = 4;
  return result;
}

TEST(Bench, CachesAreEvictedOutsideOfWhatIsTimed) {
  Stage stage;
  auto works = stage.actor(2), breaks = stage.actor(2, false);
  BenchOptions options = stage.options(1);
  // The clock that the harness sees runs on between a run's end and the next one's start.
  double between = 0;
  options.clock = [&, own = options.clock] { return own() + (between += 1e-3); };
  options.evicted_bytes = 1 << 16;
  const auto report =
      bench({competitor("fused", {&works}, true), competitor("broken", {&breaks}, true)}, options);
  ASSERT_TRUE(report.has_value());
  EXPECT_NEAR(report->rows[0].latency_ms.p50, 3, 1e-9) << "2 ms and one look at the clock";
  EXPECT_GT(report->rows[0].iterations, 10);
  EXPECT_THAT(report->rows[1].error, testing::HasSubstr("no such operator"));
}

TEST(Bench, SpeedupIsOverSequential) {
  Stage stage;
  auto slow = stage.actor(4), fast = stage.actor(2);
  const auto report = bench(
      {competitor("fused", {&fast}, true), competitor("sequential", {&slow, &slow}, true)}, stage.options(3));
  ASSERT_TRUE(report.has_value());
  const BenchRow& fused = report->rows[0];
  EXPECT_NEAR(fused.latency_ms.p50, 2, 1e-9);
  EXPECT_NEAR(report->rows[1].latency_ms.p50, 8, 1e-9);
  ASSERT_TRUE(fused.speedup_vs_sequential.has_value());
  EXPECT_NEAR(*fused.speedup_vs_sequential, 4, 1e-9);
  EXPECT_DOUBLE_EQ(*report->rows[1].speedup_vs_sequential, 1);
  EXPECT_NEAR(fused.throughput, 2000, 1e-6) << "4 inferences in 2 ms";
  EXPECT_GT(fused.iterations, 250) << "3 s of 10 ms a round, less the warm-up";
  EXPECT_EQ(report->rows[1].memory.peak(), 246u);
  EXPECT_EQ(report->fastest()->name, "fused");
}

TEST(Bench, NoCheckNoSpeedup) {
  Stage stage;
  auto session = stage.actor(1);
  const auto report =
      bench({competitor("sequential", {&session}, true), competitor("fused", {&session}, std::nullopt),
             competitor("concat", {&session}, false)},
            stage.options(0.05));
  ASSERT_TRUE(report.has_value());
  EXPECT_FALSE(report->rows[1].speedup_vs_sequential.has_value());
  EXPECT_FALSE(report->rows[2].speedup_vs_sequential.has_value());
  EXPECT_NE(report->fastest()->name, "concat");
}

TEST(Bench, AFailureIsARow) {
  Stage stage;
  auto good = stage.actor(1), bad = stage.actor(1, false);
  Competitor absent{.name = "netfuse"};
  absent.error = "cannot be made";
  const auto report =
      bench({competitor("sequential", {&good}, true), competitor("fused", {&bad}, true), absent},
            stage.options(0.05));
  ASSERT_TRUE(report.has_value());
  EXPECT_TRUE(report->rows[0].error.empty());
  EXPECT_NE(report->rows[1].error.find("no such operator"), std::string::npos);
  EXPECT_FALSE(report->rows[1].speedup_vs_sequential.has_value());
  EXPECT_EQ(report->rows[2].error, "cannot be made");
}

TEST(Bench, MeasuresTimeWithoutAClockGiven) {
  Stage stage;
  auto session = stage.actor(1);
  const auto report = bench({competitor("sequential", {&session}, true)}, {.seconds = 0.01});
  ASSERT_TRUE(report.has_value());
  EXPECT_GE(report->rows[0].iterations, 10);
  EXPECT_GE(report->rows[0].latency_ms.min, 0);
}

TEST(Bench, MisuseIsRefused) {
  Stage stage;
  auto session = stage.actor(1);
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
