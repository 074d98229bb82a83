#include "tuner.h"

#include "competitors.h"

#include <mts/bench.h>

#include <cstdlib>
#include <deque>
#include <string>
#include <vector>

#include <fmt/format.h>

namespace mts::tool {
namespace {

std::string cache_folder() {
  if (const char* const cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache != '\0')
    return std::string(cache) + "/mts/tune";
  if (const char* const home = std::getenv("HOME"); home != nullptr && *home != '\0')
    return std::string(home) + "/.cache/mts/tune";
  return {};
}

// What a result holds for, besides the models.
std::string device_text(const TunerOptions& options) {
  const BenchContext context = bench_context(options.executor);
  std::string text =
      fmt::format("{}|{}|{} cores|{} threads", context.device, context.cpu, context.cores, context.threads);
  for (const auto& [name, version] : context.versions) text += fmt::format("|{} {}", name, version);
  for (const auto& [symbol, size] : options.dims) text += fmt::format("|{}={}", symbol, size);
  return text;
}

Result<std::vector<double>> measure(std::span<const Model* const> models, double seconds_each,
                                    uint64_t evicted, const TunerOptions& options) {
  CompetitionOptions competition;
  competition.executor = options.executor;
  competition.dims = options.dims;
  std::deque<Competition> held;  // the sessions live in them
  std::vector<Competitor> competitors;
  for (const Model* model : models) {
    MTS_ASSIGN(held.emplace_back(), Competition::create(*model, {}, competition));
    competitors.push_back(held.back().competitors().front());
    competitors.back().name = fmt::format("{}", competitors.size());
  }
  BenchOptions bench_options;
  bench_options.seconds = seconds_each * static_cast<double>(models.size());
  bench_options.min_iterations = 3;
  bench_options.evicted_bytes = evicted;
  MTS_ASSIGN(const BenchReport report, bench(competitors, bench_options));
  std::vector<double> seconds;
  for (const BenchRow& row : report.rows) {
    if (!row.error.empty()) return fail(ErrorCode::kUnsupported, "a plan cannot be measured: " + row.error);
    seconds.push_back(row.latency_ms.p50 / 1e3);
  }
  return seconds;
}

}  // namespace

Tuner make_tuner(const TunerOptions& options) {
  size_t measured = 0;
  return Tuner{.measure =
                   [options, measured](std::span<const Model* const> models, double seconds,
                                       uint64_t evicted) mutable {
                     measured += models.size();
                     if (options.progress) options.progress(measured);
                     return measure(models, seconds, evicted, options);
                   },
               .device = device_text(options),
               .cache = cache_folder(),
               .dims = options.dims,
               .budget = options.budget,
               .clock = {}};
}

}  // namespace mts::tool
