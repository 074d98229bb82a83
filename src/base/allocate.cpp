#include "base/allocate.h"

#include <algorithm>
#include <cstdlib>
#include <new>

#include <sys/mman.h>

namespace mts {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kHugePage = size_t{2} << 20;

}  // namespace

std::shared_ptr<std::byte> allocate(size_t bytes) {
  const bool large = bytes >= 2 * kHugePage;
  const size_t alignment = large ? kHugePage : kAlignment;
  const size_t rounded = std::max<size_t>(1, (bytes + kAlignment - 1) / kAlignment) * kAlignment;
  void* memory = nullptr;
  if (posix_memalign(&memory, alignment, rounded) != 0) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
  // A wish: systems without huge pages refuse it, and nothing is lost. The last, broken page stays small.
  if (large) static_cast<void>(madvise(memory, rounded / kHugePage * kHugePage, MADV_HUGEPAGE));
#endif
  return {static_cast<std::byte*>(memory), [](std::byte* p) { std::free(p); }};
}

}  // namespace mts
