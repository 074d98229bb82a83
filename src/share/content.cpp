#include "share/content.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <thread>

namespace mts::share {

namespace {

constexpr uint64_t kBytesWorthThreads = uint64_t{1} << 20;  // about 0.1 ms of digesting

}  // namespace

void for_each_parallel(size_t count, uint64_t bytes, const std::function<void(size_t)>& work) {
  const size_t cores = bytes < kBytesWorthThreads ? 1 : std::max(1U, std::thread::hardware_concurrency());
  const size_t workers = std::min(count, cores);
  std::atomic<size_t> next = 0;
  const auto run = [&] {
    for (size_t i = next++; i < count; i = next++) work(i);
  };
  std::vector<std::jthread> threads;
  for (size_t i = 1; i < workers; ++i) threads.emplace_back(run);
  run();
}

std::vector<uint32_t> group_by_content(std::span<const Digest> digests, uint64_t bytes,
                                       const std::function<bool(size_t, size_t)>& same) {
  // Nearly always equal digests mean equal content, so each item is compared with the first of its digest, in
  // parallel; what differs after all is sorted out afterwards, one by one.
  std::map<Digest, std::vector<size_t>> leaders;  // first item of each group
  std::vector<size_t> first(digests.size());
  for (size_t i = 0; i < digests.size(); ++i) {
    auto& bucket = leaders[digests[i]];
    if (bucket.empty()) bucket.push_back(i);
    first[i] = bucket.front();
  }
  std::vector<char> confirmed(digests.size());
  for_each_parallel(digests.size(), bytes,
                    [&](size_t i) { confirmed[i] = first[i] == i || same(first[i], i) ? 1 : 0; });

  std::vector<uint32_t> group(digests.size());
  uint32_t groups = 0;
  for (size_t i = 0; i < digests.size(); ++i) {
    size_t leader = first[i];
    if (confirmed[i] == 0) {
      auto& bucket = leaders[digests[i]];
      const auto it =
          std::find_if(bucket.begin() + 1, bucket.end(), [&](size_t other) { return same(other, i); });
      if (it == bucket.end()) {
        bucket.push_back(i);
        leader = i;
      } else {
        leader = *it;
      }
    }
    group[i] = leader == i ? groups++ : group[leader];
  }
  return group;
}

}  // namespace mts::share
