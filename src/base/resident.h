// Giving back memory that holds pages of mapped files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace mts {

inline constexpr size_t kWorthReleasing = 64 * 1024;  // bytes: less is not worth a system call

// The read-only mappings of files that the process had when it asked.
class FileMappings {
 public:
  // Nothing is known, and nothing released, where the system does not say (no /proc).
  static FileMappings of_this_process();

  // Lets go of the whole pages of `bytes` that lie in such a mapping; others, and all other memory, stay as
  // they are. The content does not change: a page that is read again comes back from the file.
  // Precondition: nobody wrote there before it became read-only (a loader's relocations would be lost).
  void release(std::span<const std::byte> bytes) const;

 private:
  struct Range {
    uintptr_t begin, end;
  };
  std::vector<Range> ranges_;  // ascending
};

}  // namespace mts
