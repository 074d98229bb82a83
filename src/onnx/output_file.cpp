#include "onnx/output_file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <unistd.h>

namespace mts::onnxio {
namespace {

constexpr size_t kBuffer = size_t{1} << 20;

tl::unexpected<Error> error_at(const std::string& path, const char* what) {
  return fail(ErrorCode::kIo, std::string(what) + ": " + std::strerror(errno),
              {.file = path, .node = {}, .value = {}});
}

}  // namespace

tl::unexpected<Error> OutputFile::io_error(const char* what) const { return error_at(path_, what); }

Result<std::unique_ptr<OutputFile>> OutputFile::create(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    errno = EISDIR;
    return error_at(path, "cannot write");
  }
  const std::filesystem::path target(path);
  for (int attempt = 0;; ++attempt) {
    const std::filesystem::path temporary =
        target.parent_path() / ("." + target.filename().string() + "." + std::to_string(::getpid()) + "." +
                                std::to_string(attempt) + ".tmp");
    const int descriptor = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor >= 0)
      return std::unique_ptr<OutputFile>(new OutputFile(path, temporary.string(), descriptor));
    if (errno != EEXIST || attempt == 100) return error_at(path, "cannot write");
  }
}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Result<void> OutputFile::write_out(const char* data, size_t size) {
  while (size > 0) {
    const ssize_t written = ::write(descriptor_, data, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return io_error("cannot write");
    data += written;
    size -= static_cast<size_t>(written);
  }
  return {};
}

Result<void> OutputFile::flush() {
  MTS_TRY(write_out(buffer_.data(), buffer_.size()));
  buffer_.clear();
  return {};
}

Result<void> OutputFile::write(std::string_view text) {
  size_ += text.size();
  if (buffer_.size() + text.size() > kBuffer) MTS_TRY(flush());
  if (text.size() > kBuffer) return write_out(text.data(), text.size());
  buffer_.append(text);
  return {};
}

Result<void> OutputFile::write(std::span<const std::byte> bytes) {
  return write(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

Result<void> OutputFile::pad_to(uint64_t offset) {
  static constexpr char kZeros[4096] = {};
  while (size_ < offset)
    MTS_TRY(write(std::string_view(kZeros, std::min<uint64_t>(sizeof kZeros, offset - size_))));
  return {};
}

Result<void> OutputFile::commit() {
  MTS_TRY(flush());
  const int descriptor = std::exchange(descriptor_, -1);
  if (::close(descriptor) != 0) return io_error("cannot write");
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) return io_error("cannot write");
  temporary_.clear();
  return {};
}

}  // namespace mts::onnxio
