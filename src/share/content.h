// In: which weights have equal digests, and a bytewise comparison. Out: groups of equal content.
// The grouping is apart from Weight so that tests can force digests to collide.
#pragma once

#include <mts/weight.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace mts::share {

// The group of each item: dense ids in order of first occurrence. Items of one group have equal digests and
// `same(i, j)` holds for them; `same` is called from several threads and must be an equivalence. `bytes`: of
// all items.
std::vector<uint32_t> group_by_content(std::span<const Digest> digests, uint64_t bytes,
                                       const std::function<bool(size_t, size_t)>& same);

}  // namespace mts::share
