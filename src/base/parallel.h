// Work on independent items on all cores. What comes out does not depend on the number of cores.
#pragma once

#include <mts/error.h>

#include <cstddef>
#include <cstdint>
#include <functional>

namespace mts {

size_t core_count();  // those that this process may use, at least 1

// All cores, or 1 where threads would take longer to start than to read that many bytes.
size_t threads_for(uint64_t bytes);

// Calls `work(i)` for every i in [0, count), in no particular order, in at most so many threads, this one
// among them. An exception of `work` comes out, the one of the smallest i.
void for_each_parallel(size_t count, size_t threads, const std::function<void(size_t)>& work);

// The same on all cores, for work that may fail and log: as if the items had been taken in order up to the
// first that fails. Its error comes out, and what is logged is what that item and those before it say, in
// their order.
Result<void> try_each_parallel(size_t count, const std::function<Result<void>(size_t)>& work);

}  // namespace mts
