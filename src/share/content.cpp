#include "share/content.h"

#include "base/parallel.h"

#include <algorithm>
#include <map>

namespace mts::share {

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
  for_each_parallel(digests.size(), threads_for(bytes),
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
