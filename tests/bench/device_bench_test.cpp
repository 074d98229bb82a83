// Measuring on a device, with sessions that take known times on a clock of their own.
#include "bench/sampler.h"

#include <mts/bench.h>
#include <mts/device_session.h>

#include <gtest/gtest.h>

namespace mts {
namespace {

struct Device {
  double now = 0, work = 0;  // seconds: the host's clock, and what the device took since it was asked last
};

class Replayed final : public DeviceSession {
 public:
  Replayed(Device& device, double milliseconds, int host_steps = 0)
      : device_(device), milliseconds_(milliseconds), host_steps_(host_steps) {}
  bool is_on_device() const override { return true; }
  void set_max_streams(int) override {}
  Result<std::vector<Datum>> run(std::span<const Datum>) override {
    device_.now += 2 * milliseconds_ / 1e3;
    return std::vector<Datum>{};
  }
  MemoryUse memory() const override { return {.weights = 7}; }
  Result<void> load(std::span<const Datum>) override {
    device_.now += 3e-3;
    return {};
  }
  Result<void> enqueue() override {
    if (host_steps_ > 0) return fail(ErrorCode::kUnsupported, "host steps");
    device_.work += (cold_ ? 10 : 1) * milliseconds_ / 1e3;
    cold_ = false;
    return {};
  }
  Result<void> wait() override { return {}; }
  Result<std::vector<Datum>> unload() override {
    device_.now += 5e-3;
    return std::vector<Datum>{};
  }
  Result<double> time(const std::function<Result<void>()>& work) override {
    device_.work = 0;
    MTS_TRY(work());
    device_.now += device_.work + 1e-3;  // the host learns of it later
    return device_.work * 1e3;
  }
  Result<void> flush_caches() override {
    cold_ = true;
    return {};
  }
  std::string device_name() const override { return "stage"; }
  Result<uint64_t> device_bytes_in_use() override { return uint64_t{0}; }
  int host_steps() const override { return host_steps_; }
  Result<std::vector<StepTime>> time_steps(std::span<const Datum>, int) override {
    return std::vector<StepTime>{};
  }

 private:
  Device& device_;
  double milliseconds_;
  int host_steps_;
  bool cold_ = false;
};

Competitor competitor(std::string name, std::vector<Session*> sessions) {
  Competitor result{.name = std::move(name), .sessions = sessions, .verified = true};
  result.inputs.resize(sessions.size());
  result.inferences = 4;
  result.device_bytes = 1234;
  return result;
}

TEST(DeviceBench, TellsDeviceHostTransfersAndCachesApart) {
  Device device;
  Replayed slow(device, 4), fast(device, 2);
  BenchOptions options{.seconds = 0.1, .cold = true, .clock = [&] { return device.now; }};
  const auto report =
      bench_on_device({competitor("fused", {&fast}), competitor("sequential", {&slow, &slow})}, options);
  ASSERT_TRUE(report.has_value()) << report.error().to_string();
  const BenchRow& fused = report->rows[0];
  EXPECT_TRUE(fused.error.empty()) << fused.error;
  EXPECT_GE(fused.iterations, 1000);
  EXPECT_NEAR(fused.latency_ms.p50, 2, 1e-9);
  EXPECT_NEAR(report->rows[1].latency_ms.p50, 8, 1e-9) << "one graph a model, one after another";
  EXPECT_NEAR(*fused.speedup_vs_sequential, 4, 1e-9);
  ASSERT_TRUE(fused.device.has_value());
  EXPECT_NEAR(fused.device->wall.p50, 3, 1e-6) << "device time and what the host waits besides";
  EXPECT_NEAR(fused.device->queued_ms, 2, 1e-9);
  EXPECT_NEAR(fused.device->upload_ms, 3, 1e-6);
  EXPECT_NEAR(fused.device->download_ms, 5, 1e-6);
  ASSERT_TRUE(fused.device->cold.has_value());
  EXPECT_NEAR(fused.device->cold->p50, 20, 1e-9);
  EXPECT_EQ(fused.device->bytes_in_use, 1234u);
  EXPECT_NEAR(fused.throughput, 2000, 1e-6) << "4 inferences in 2 ms";
  EXPECT_NE(to_table(*report).find("1.21 KiB"), std::string::npos);
  EXPECT_NE(to_json(*report).find("\"queued_ms\""), std::string::npos);
}

TEST(DeviceBench, HostStepsAreMeasuredInWholeRuns) {
  Device device;
  Replayed mixed(device, 2, 3);
  BenchOptions options{.seconds = 0.1, .clock = [&] { return device.now; }};
  const auto report = bench_on_device({competitor("fused", {&mixed})}, options);
  ASSERT_TRUE(report.has_value());
  EXPECT_TRUE(report->rows[0].error.empty()) << report->rows[0].error;
  EXPECT_EQ(report->rows[0].device->host_steps, 3);
  EXPECT_NEAR(report->rows[0].latency_ms.p50, 4, 1e-6);
}

TEST(Sampler, TimedTasksTakeTurnsToo) {
  std::string order;
  std::vector<bench_detail::TimedTask> tasks;
  for (const char name : {'a', 'b', 'c'}) {
    tasks.push_back([&order, name]() -> std::optional<double> {
      order += name;
      return 1.0;
    });
  }
  BenchOptions options{.seconds = 1, .min_iterations = 4, .max_iterations = 4};
  double now = 0;
  const auto samples = bench_detail::sample_timed(tasks, options, [&now] { return now += 1; });
  EXPECT_EQ(samples.seconds[0].size(), 4u);
  EXPECT_EQ(order.substr(0, 12), "abcbcacabcba");
}

}  // namespace
}  // namespace mts
