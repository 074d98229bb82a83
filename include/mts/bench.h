// Measuring: several ways of running the same models, interleaved in one process, reported with their spread.
#pragma once

#include <mts/error.h>
#include <mts/executor.h>
#include <mts/tensor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mts {

// One way of running the models: one session or several that run one after another.
struct Competitor {
  std::string name = {};                        // "fused", "sequential", "concat", "netfuse"
  std::vector<Session*> sessions = {};          // not owned
  std::vector<std::vector<Datum>> inputs = {};  // one list a session
  int64_t inferences = 1;  // of single models that one pass over all sessions makes: throughput counts these
  std::optional<bool> verified = {};  // outcome of its numeric check; nothing when it was not made
  std::string error = {};             // not empty: it cannot run, why; it becomes a row of its own
  uint64_t device_bytes = 0;          // what the device had less of after it was made; 0: not known
};

struct BenchOptions {
  double seconds = 3.0;         // time budget over all competitors, warm-up included
  int min_iterations = 10;      // of each, whatever the budget
  int max_iterations = 10'000;  // of each
  bool cold = false;            // on a device: also with cold caches
  // On the CPU: as many other bytes are read before each run, outside its time, and then its inputs. It finds
  // in the caches what a step of a network finds there whose weights take so many bytes.
  uint64_t evicted_bytes = 0;
  std::function<double()> clock = {};  // seconds; empty: the steady clock of this machine
};

struct LatencyStatistics {  // milliseconds of one pass over all models
  double p50 = 0, p90 = 0, p99 = 0, min = 0, mean = 0;
  double cv = 0;  // standard deviation / mean
};

struct BenchContext {
  std::string device = {};  // "cpu", "cuda:0 NVIDIA H100"
  std::string cpu = {};     // model name
  int cores = 0;            // that this process may use
  int threads = 0;
  std::string date = {};    // ISO 8601, UTC; empty: not recorded
  std::string target = {};  // the profile that the fused model was made for; empty: unknown
  std::string precision =
      {};                // in which float32 models ran, when not in float32: "tf32", "float16", "bfloat16"
  double tolerance = 0;  // of the numeric check in that precision
  std::vector<std::pair<std::string, std::string>> versions = {};  // mts, oneDNN, compiler, ...
};

// What only a device with memory of its own has. Times in milliseconds.
struct DeviceMeasures {
  LatencyStatistics wall = {};            // host: from enqueueing one replay to its end
  double queued_ms = 0;                   // of one replay among many enqueued back to back
  double upload_ms = 0, download_ms = 0;  // of all inputs and outputs, medians; not part of the latency
  std::optional<LatencyStatistics> cold =
      {};                     // with the device's caches filled with something else before each replay
  uint64_t bytes_in_use = 0;  // what the device had less of with it: weights, arena, workspace, graphs
  int host_steps = 0;         // steps without a kernel: then times are those of whole runs
};

// The time of a row beside the least that the device could take.
struct Roofline {
  struct Loss {
    std::string step;                       // operator and first node
    double milliseconds = 0, floor_ms = 0;  // measured alone; its arithmetic at the peak, or its bytes
    double lost_ms() const { return milliseconds > floor_ms ? milliseconds - floor_ms : 0; }
  };
  std::string profile;       // of the device, by name: its peaks and bandwidths
  double floor_ms = 0;       // all arithmetic at the peak, or weights, inputs and outputs moved once
  double share = 0;          // floor / median latency
  std::vector<Loss> losses;  // the largest first, at most 5
};

struct BenchRow {
  std::string name = {};
  std::optional<bool> verified = {};
  std::string error = {};  // not empty: nothing was measured
  int iterations = 0;
  LatencyStatistics latency_ms = {};
  double throughput = 0;  // inferences (of single models) a second, from the median
  MemoryUse memory = {};  // summed over the sessions
  // Median of the row "sequential" / own median. Nothing unless the numeric check of this row passed.
  std::optional<double> speedup_vs_sequential = {};
  std::optional<DeviceMeasures> device = {};
  std::optional<Roofline> roofline = {};
};

struct BenchReport {
  static constexpr int kSchemaVersion = 1;
  BenchContext context;
  std::vector<BenchRow> rows;  // in the order of the competitors

  const BenchRow* find(std::string_view name) const;
  const BenchRow* fastest()
      const;  // among the rows without an error whose check did not fail; null when there is none
};

// Runs the competitors in turn, in an order in which each follows every other equally often: first until
// their medians settle, then for the rest of the budget. A run that fails becomes its row's error; the others
// go on. kUsage: no competitors, two of one name, or inputs that do not fit the sessions.
Result<BenchReport> bench(const std::vector<Competitor>& competitors, const BenchOptions& options = {});

// The same for sessions on a device (as_device gives one for each): one replay a sample, timed by the
// device's events. At least 1,000 samples each, unless `min_iterations` says more.
Result<BenchReport> bench_on_device(const std::vector<Competitor>& competitors,
                                    const BenchOptions& options = {});

// Times each step of the competitor's only session, for about a second at most. `target`: a profile of the
// device, by name or file (see mts stitch --target); those of CPUs are scaled to the threads. `p50_ms`: of
// the whole. kUsage: several sessions, or no such profile; kUnsupported: the session runs no compiled plans.
Result<Roofline> measure_roofline(const Competitor& competitor, const std::string& target,
                                  const ExecutorOptions& executor, double p50_ms);

// Device, processor, cores and versions of this process; `options` tells the device and the threads.
BenchContext bench_context(const ExecutorOptions& options);

std::string to_json(const BenchReport& report);   // one line a row; see `mts bench --json`
std::string to_table(const BenchReport& report);  // plain text, 80 columns
std::string to_csv(const BenchReport& report);    // a header and one line a row

}  // namespace mts
