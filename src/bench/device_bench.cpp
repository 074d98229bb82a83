// Measuring on a device: replays of recordings, timed by the device itself.
#include "bench/rows.h"
#include "bench/sampler.h"
#include "bench/statistics.h"

#include <mts/bench.h>
#include <mts/device_session.h>

#include <algorithm>

namespace mts {
namespace {

constexpr int kMinReplays = 1000;
constexpr int kQueued = 100;  // replays enqueued back to back for the throughput
constexpr int kTransfers = 20;
constexpr int kCold = 100;

// One competitor's sessions, loaded.
class Racer {
 public:
  Racer(const Competitor& competitor, BenchRow& row, const bench_detail::Clock& clock)
      : competitor_(competitor), row_(row), clock_(clock) {}

  Result<void> load() {
    for (size_t i = 0; i < competitor_.sessions.size(); ++i) {
      DeviceSession* const session = as_device(*competitor_.sessions[i]);
      if (session == nullptr)
        return fail(ErrorCode::kUsage, "the session of a competitor is not on a device");
      MTS_TRY(session->load(competitor_.inputs[i]));
      row_.device->host_steps += session->host_steps();
      sessions_.push_back(session);
    }
    return {};
  }

  // Milliseconds of one pass: one replay, or a whole run where steps run on the host.
  Result<double> pass() {
    const double start = clock_();
    double device = 0;
    if (row_.device->host_steps > 0) {
      for (size_t i = 0; i < sessions_.size(); ++i) MTS_TRY(sessions_[i]->run(competitor_.inputs[i]));
      device = (clock_() - start) * 1e3;
    } else {
      MTS_ASSIGN(device, sessions_.front()->time([&] { return enqueue(); }));
    }
    wall_.push_back((clock_() - start) * 1e3);
    return device;
  }

  Result<void> measure_rest(bool cold) {
    DeviceMeasures& measures = *row_.device;
    measures.wall = bench_detail::statistics(wall_);
    measures.bytes_in_use = competitor_.device_bytes;
    std::vector<double> up, down;
    for (int k = 0; k < kTransfers; ++k) {
      const double start = clock_();
      for (size_t i = 0; i < sessions_.size(); ++i) MTS_TRY(sessions_[i]->load(competitor_.inputs[i]));
      const double loaded = clock_();
      up.push_back((loaded - start) * 1e3);
      if (measures.host_steps > 0) continue;  // outputs may be on the host
      for (DeviceSession* session : sessions_) MTS_TRY(session->unload());
      down.push_back((clock_() - loaded) * 1e3);
    }
    measures.upload_ms = bench_detail::median(up);
    measures.download_ms = down.empty() ? 0 : bench_detail::median(down);
    if (measures.host_steps > 0) return {};
    MTS_ASSIGN(const double together, sessions_.front()->time([&]() -> Result<void> {
      for (int k = 0; k < kQueued; ++k) MTS_TRY(enqueue());
      return {};
    }));
    measures.queued_ms = together / kQueued;
    if (!cold) return {};
    std::vector<double> times;
    for (int k = 0; k < kCold; ++k) {
      MTS_TRY(sessions_.front()->flush_caches());
      MTS_ASSIGN(times.emplace_back(), sessions_.front()->time([&] { return enqueue(); }));
    }
    measures.cold = bench_detail::statistics(times);
    return {};
  }

 private:
  Result<void> enqueue() {
    for (DeviceSession* session : sessions_) MTS_TRY(session->enqueue());
    return {};
  }

  const Competitor& competitor_;
  BenchRow& row_;
  const bench_detail::Clock& clock_;
  std::vector<DeviceSession*> sessions_;
  std::vector<double> wall_;
};

}  // namespace

Result<BenchReport> bench_on_device(const std::vector<Competitor>& competitors, const BenchOptions& given) {
  MTS_TRY(bench_detail::check_competitors(competitors));
  BenchOptions options = given;
  options.min_iterations = std::max(given.min_iterations, kMinReplays);
  options.max_iterations = std::max(given.max_iterations, 1'000'000);
  const bench_detail::Clock clock = options.clock ? options.clock : bench_detail::steady_clock();
  BenchReport report;
  for (const Competitor& competitor : competitors) {
    report.rows.push_back(
        BenchRow{.name = competitor.name, .verified = competitor.verified, .error = competitor.error});
    report.rows.back().device.emplace();
  }
  std::vector<Racer> racers;
  std::vector<bench_detail::TimedTask> tasks;
  racers.reserve(competitors.size());
  for (size_t i = 0; i < competitors.size(); ++i) {
    BenchRow& row = report.rows[i];
    Racer& racer = racers.emplace_back(competitors[i], row, clock);
    if (row.error.empty()) {
      if (const Result<void> loaded = racer.load(); !loaded) row.error = loaded.error().to_string();
    }
    tasks.push_back([&racer, &row]() -> std::optional<double> {
      if (!row.error.empty()) return std::nullopt;
      const Result<double> milliseconds = racer.pass();
      if (!milliseconds) row.error = milliseconds.error().to_string();
      return milliseconds ? std::optional<double>(*milliseconds / 1e3) : std::nullopt;
    });
  }
  const bench_detail::Samples samples = bench_detail::sample_timed(tasks, options, clock);
  for (size_t i = 0; i < competitors.size(); ++i) {
    BenchRow& row = report.rows[i];
    if (row.error.empty()) {
      if (const Result<void> rest = racers[i].measure_rest(options.cold); !rest)
        row.error = rest.error().to_string();
    }
    if (!row.error.empty()) continue;
    std::vector<double> milliseconds;
    for (double seconds : samples.seconds[i]) milliseconds.push_back(seconds * 1e3);
    row.iterations = static_cast<int>(milliseconds.size());
    row.latency_ms = bench_detail::statistics(milliseconds);
    const double each = row.device->queued_ms > 0 ? row.device->queued_ms : row.latency_ms.p50;
    row.throughput = each > 0 ? static_cast<double>(competitors[i].inferences) * 1e3 / each : 0;
    row.memory = bench_detail::memory_of(competitors[i]);
  }
  bench_detail::fill_speedups(report);
  return report;
}

}  // namespace mts
