// Memory for tensors.
#pragma once

#include <cstddef>
#include <memory>

namespace mts {

// `bytes` (also 0), aligned to a cache line and the widest vector register, not initialised. Large blocks lie
// in huge pages where the system has them for the asking: an arena that leaves the caches spends 4 % of a
// CNN's time on misses of the TLB otherwise. Throws std::bad_alloc.
std::shared_ptr<std::byte> allocate(size_t bytes);

}  // namespace mts
