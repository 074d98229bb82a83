#include "base/resident.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>

#include <sys/mman.h>
#include <unistd.h>

namespace mts {

FileMappings FileMappings::of_this_process() {
  // "7f0a-7f0b r--p 00000000 fe:00 131 /models/a.onnx": addresses, rights, offset, device, inode, path.
  FileMappings result;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    std::istringstream fields(line);
    uintptr_t begin = 0, end = 0;
    char dash = 0;
    std::string rights, offset, device;
    uint64_t inode = 0;
    fields >> std::hex >> begin >> dash >> end >> rights >> offset >> device >> std::dec >> inode;
    if (fields && inode != 0 && rights.starts_with("r--")) result.ranges_.push_back({begin, end});
  }
  return result;
}

void FileMappings::release(std::span<const std::byte> bytes) const {
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto first = reinterpret_cast<uintptr_t>(bytes.data());
  const uintptr_t begin = (first + page - 1) / page * page, end = (first + bytes.size()) / page * page;
  for (const Range& range : ranges_) {
    const uintptr_t from = std::max(begin, range.begin), to = std::min(end, range.end);
    // Best effort: what cannot be given back stays.
    if (from < to) (void)::madvise(reinterpret_cast<void*>(from), to - from, MADV_DONTNEED);
  }
}

}  // namespace mts
