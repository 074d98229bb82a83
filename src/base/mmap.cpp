#include "base/mmap.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace mts {

MappedFile::MappedFile(std::string path, const std::byte* data, size_t size)
    : path_(std::move(path)), data_(data), size_(size) {}

MappedFile::~MappedFile() {
  if (size_ > 0) ::munmap(const_cast<std::byte*>(data_), size_);
}

namespace {

tl::unexpected<Error> io_error(const std::string& path, const char* what) {
  return fail(ErrorCode::kIo, std::string(what) + ": " + std::strerror(errno),
              {.file = path, .node = {}, .value = {}});
}

}  // namespace

Result<std::shared_ptr<const MappedFile>> map_file(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return io_error(path, "cannot open");
  return map_descriptor(descriptor, path);
}

Result<std::shared_ptr<const MappedFile>> map_descriptor(int descriptor, const std::string& path) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) {
    ::close(descriptor);
    return io_error(path, "cannot read its size");
  }
  if (!S_ISREG(status.st_mode)) {
    ::close(descriptor);
    return fail(ErrorCode::kIo, "is not a regular file", {.file = path, .node = {}, .value = {}});
  }
  const auto size = static_cast<size_t>(status.st_size);
  const void* data = nullptr;
  if (size > 0) {
    data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (data == MAP_FAILED) {
      ::close(descriptor);
      return io_error(path, "cannot map");
    }
  }
  ::close(descriptor);
  return std::make_shared<const MappedFile>(path, static_cast<const std::byte*>(data), size);
}

Bytes bytes_of(const std::shared_ptr<const MappedFile>& file, size_t offset, size_t size) {
  return {file, file->data().subspan(offset, size)};
}

}  // namespace mts
