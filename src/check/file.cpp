#include "check/file.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace mts::check {
namespace {

auto io_error(const std::string& path, const char* what, int error) {
  return fail(ErrorCode::kIo, fmt::format("{}: {}", what, std::generic_category().message(error)),
              {path, {}, {}});
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  int close() {
    const int fd = fd_;
    fd_ = -1;
    return ::close(fd);
  }

 private:
  int fd_;
};

}  // namespace

Result<std::string> read_file(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return io_error(path, "cannot be opened", errno);
  std::string bytes;
  struct stat status {};
  if (::fstat(file.get(), &status) == 0 && status.st_size > 0)
    bytes.reserve(static_cast<size_t>(status.st_size));
  char block[1 << 16];
  while (true) {
    const ssize_t got = ::read(file.get(), block, sizeof block);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return io_error(path, "cannot be read", errno);
    if (got == 0) return bytes;
    bytes.append(block, static_cast<size_t>(got));
  }
}

Result<void> write_file(const std::string& path, std::string_view bytes) {
  // Devices and pipes (/dev/stdout, /dev/null) are written to as they are: a rename would replace them.
  std::error_code ignored;
  const auto kind = std::filesystem::status(path, ignored).type();
  const bool special =
      kind == std::filesystem::file_type::character || kind == std::filesystem::file_type::fifo;
  if (kind == std::filesystem::file_type::directory) return io_error(path, "cannot be written", EISDIR);
  const std::string temporary = special ? path : fmt::format("{}.tmp{}", path, ::getpid());
  const int flags = O_WRONLY | O_CLOEXEC | (special ? 0 : O_CREAT | O_EXCL);
  Descriptor file(::open(temporary.c_str(), flags, 0666));
  if (file.get() < 0) return io_error(path, "cannot be written", errno);
  int error = 0;
  while (!bytes.empty() && error == 0) {
    const ssize_t put = ::write(file.get(), bytes.data(), bytes.size());
    if (put >= 0) {
      bytes.remove_prefix(static_cast<size_t>(put));
    } else if (errno != EINTR) {
      error = errno;
    }
  }
  if (file.close() != 0 && error == 0) error = errno;
  if (error == 0 && !special && ::rename(temporary.c_str(), path.c_str()) != 0) error = errno;
  if (error != 0) {
    if (!special) ::unlink(temporary.c_str());
    return io_error(path, "cannot be written", error);
  }
  return {};
}

}  // namespace mts::check
