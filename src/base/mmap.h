// Read-only file mappings: bytes are paged in by the kernel when they are touched and never count as
// anonymous memory.
#pragma once

#include <mts/error.h>
#include <mts/weight.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace mts {

class MappedFile {
 public:
  MappedFile(std::string path, const std::byte* data, size_t size);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::string& path() const { return path_; }
  std::span<const std::byte> data() const { return {data_, size_}; }

 private:
  std::string path_;
  const std::byte* data_;
  size_t size_;
};

// kIo when the file cannot be opened, is a directory, or cannot be mapped. An empty file gives empty data.
Result<std::shared_ptr<const MappedFile>> map_file(const std::string& path);

// The same of an open file; the descriptor is closed in any case. `path` is for messages.
Result<std::shared_ptr<const MappedFile>> map_descriptor(int descriptor, const std::string& path);

// A range of the file that keeps the mapping alive; the range must lie inside.
Bytes bytes_of(const std::shared_ptr<const MappedFile>& file, size_t offset, size_t size);

}  // namespace mts
