#include "base/parallel.h"

#include "base/log.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace mts {
namespace {

constexpr uint64_t kBytesWorthThreads = uint64_t{1} << 20;  // about 0.1 ms of digesting

}  // namespace

size_t core_count() { return std::max(1U, std::thread::hardware_concurrency()); }

size_t threads_for(uint64_t bytes) { return bytes < kBytesWorthThreads ? 1 : core_count(); }

void for_each_parallel(size_t count, size_t threads, const std::function<void(size_t)>& work) {
  std::atomic<size_t> next = 0;
  std::mutex mutex;
  std::exception_ptr thrown;  // guarded by the mutex, as is the next one
  size_t thrown_at = count;
  const auto run = [&] {
    for (size_t i = next++; i < count; i = next++) {
      try {
        work(i);
      } catch (...) {
        const std::scoped_lock lock(mutex);
        if (i < thrown_at) {
          thrown = std::current_exception();
          thrown_at = i;
        }
      }
    }
  };
  {
    std::vector<std::jthread> others;
    for (size_t i = 1; i < std::min(count, threads); ++i) others.emplace_back(run);
    run();
  }
  if (thrown) std::rethrow_exception(thrown);
}

Result<void> try_each_parallel(size_t count, const std::function<Result<void>(size_t)>& work) {
  struct Outcome {
    Result<void> result;
    std::vector<log::Line> lines;
  };
  std::vector<Outcome> outcomes(count);
  std::atomic<size_t> failed = count;  // the first known to
  for_each_parallel(count, core_count(), [&](size_t i) {
    if (i > failed) return;
    const log::Capture capture(outcomes[i].lines);
    outcomes[i].result = work(i);
    if (outcomes[i].result) return;
    for (size_t known = failed; i < known && !failed.compare_exchange_weak(known, i);) {
    }
  });
  for (Outcome& outcome : outcomes) {
    for (log::Line& line : outcome.lines) log::write(std::move(line));
    MTS_TRY(std::move(outcome.result));
  }
  return {};
}

}  // namespace mts
