#include "bench/rows.h"
#include "bench/sampler.h"
#include "bench/statistics.h"

#include <mts/bench.h>

#include <algorithm>
#include <optional>
#include <set>
#include <span>
#include <vector>

namespace mts {
namespace bench_detail {

Result<void> check_competitors(const std::vector<Competitor>& competitors) {
  if (competitors.empty()) return fail(ErrorCode::kUsage, "nothing to measure");
  std::set<std::string> names;
  for (const Competitor& c : competitors) {
    if (!names.insert(c.name).second)
      return fail(ErrorCode::kUsage, "two competitors are called '" + c.name + "'");
    if (!c.error.empty()) continue;
    if (c.sessions.empty() || c.sessions.size() != c.inputs.size()) {
      return fail(ErrorCode::kUsage, "'" + c.name + "' needs one list of inputs for each of its sessions");
    }
  }
  return {};
}

MemoryUse memory_of(const Competitor& competitor) {
  MemoryUse total;
  for (const Session* session : competitor.sessions) {
    const MemoryUse use = session->memory();
    total.weights += use.weights;
    total.arena += use.arena;
    total.arena_lower_bound += use.arena_lower_bound;
    total.workspace += use.workspace;
  }
  return total;
}

void fill_speedups(BenchReport& report) {
  const BenchRow* const sequential = report.find("sequential");
  if (sequential == nullptr || !sequential->error.empty()) return;
  const double baseline = sequential->latency_ms.p50;
  for (BenchRow& row : report.rows) {
    if (row.error.empty() && row.verified == true && row.latency_ms.p50 > 0)
      row.speedup_vs_sequential = baseline / row.latency_ms.p50;
  }
}

}  // namespace bench_detail
namespace {

using bench_detail::memory_of;

// One pass over all sessions; false, with the error kept, when one fails.
bool run_once(const Competitor& competitor, std::string& error) {
  for (size_t i = 0; i < competitor.sessions.size(); ++i) {
    const auto outputs = competitor.sessions[i]->run(competitor.inputs[i]);
    if (!outputs) {
      error = outputs.error().to_string();
      return false;
    }
  }
  return true;
}

// Reads bytes, so that the caches hold them and less of anything else.
class Reader {
 public:
  explicit Reader(uint64_t bytes) : others_(bytes / sizeof(uint64_t), 1) {}
  void read_others() { read(std::as_bytes(std::span(others_))); }
  void read(std::span<const std::byte> bytes) {
    constexpr size_t kLine = 64;
    for (size_t i = 0; i < bytes.size(); i += kLine) sum_ = sum_ + static_cast<unsigned>(bytes[i]);
  }

 private:
  std::vector<uint64_t> others_;
  volatile unsigned sum_ = 0;  // or nothing would be read
};

bench_detail::Samples sample_evicted(const std::vector<bench_detail::Task>& tasks,
                                     const std::vector<Competitor>& competitors, const BenchOptions& options,
                                     const bench_detail::Clock& clock) {
  Reader reader(options.evicted_bytes);
  std::vector<bench_detail::TimedTask> timed;
  for (size_t i = 0; i < tasks.size(); ++i)
    timed.push_back([&, i]() -> std::optional<double> {
      reader.read_others();
      for (const auto& inputs : competitors[i].inputs)
        for (const Datum& input : inputs)
          if (const Tensor* tensor = input.tensor(); tensor != nullptr && tensor->data() != nullptr)
            reader.read({tensor->data(), tensor->byte_size()});
      const double start = clock();
      if (!tasks[i]()) return std::nullopt;
      return clock() - start;
    });
  return bench_detail::sample_timed(timed, options, clock);
}

}  // namespace

const BenchRow* BenchReport::find(std::string_view name) const {
  const auto found =
      std::find_if(rows.begin(), rows.end(), [&](const BenchRow& row) { return row.name == name; });
  return found == rows.end() ? nullptr : &*found;
}

const BenchRow* BenchReport::fastest() const {
  const BenchRow* best = nullptr;
  for (const BenchRow& row : rows) {
    if (!row.error.empty() || row.verified == false) continue;
    // What was checked beats what was not, however fast.
    const bool checked = row.verified.has_value(),
               best_checked = best != nullptr && best->verified.has_value();
    const bool better =
        best == nullptr || (checked != best_checked ? checked : row.latency_ms.p50 < best->latency_ms.p50);
    if (better) best = &row;
  }
  return best;
}

Result<BenchReport> bench(const std::vector<Competitor>& competitors, const BenchOptions& options) {
  MTS_TRY(bench_detail::check_competitors(competitors));
  BenchReport report;
  std::vector<bench_detail::Task> tasks;
  for (const Competitor& competitor : competitors) {
    report.rows.push_back(
        BenchRow{.name = competitor.name, .verified = competitor.verified, .error = competitor.error});
  }
  for (size_t i = 0; i < competitors.size(); ++i) {
    tasks.push_back(
        [&, i] { return report.rows[i].error.empty() && run_once(competitors[i], report.rows[i].error); });
  }
  const bench_detail::Clock clock = options.clock ? options.clock : bench_detail::steady_clock();
  const bench_detail::Samples samples = options.evicted_bytes > 0
                                            ? sample_evicted(tasks, competitors, options, clock)
                                            : bench_detail::sample(tasks, options, clock);
  for (size_t i = 0; i < competitors.size(); ++i) {
    BenchRow& row = report.rows[i];
    if (!row.error.empty()) continue;
    std::vector<double> milliseconds;
    for (double seconds : samples.seconds[i]) milliseconds.push_back(seconds * 1e3);
    row.iterations = static_cast<int>(milliseconds.size());
    row.latency_ms = bench_detail::statistics(milliseconds);
    row.throughput = row.latency_ms.p50 > 0
                         ? static_cast<double>(competitors[i].inferences) * 1e3 / row.latency_ms.p50
                         : 0;
    row.memory = memory_of(competitors[i]);
  }
  bench_detail::fill_speedups(report);
  return report;
}

}  // namespace mts
