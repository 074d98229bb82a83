// A file that appears under its name only when it is complete: written under a temporary name in the same
// folder, then renamed. What was not committed is removed.
#pragma once

#include <mts/error.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace mts::onnxio {

class OutputFile {
 public:
  static Result<std::unique_ptr<OutputFile>> create(const std::string& path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  // Appends; small pieces are gathered.
  Result<void> write(std::span<const std::byte> bytes);
  Result<void> write(std::string_view text);
  // Zeros up to this offset, which is not before the end.
  Result<void> pad_to(uint64_t offset);
  Result<void> commit();
  uint64_t size() const { return size_; }

 private:
  OutputFile(std::string path, std::string temporary, int descriptor)
      : path_(std::move(path)), temporary_(std::move(temporary)), descriptor_(descriptor) {}
  Result<void> flush();
  Result<void> write_out(const char* data, size_t size);
  tl::unexpected<Error> io_error(const char* what) const;

  std::string path_, temporary_;
  int descriptor_;
  std::string buffer_;
  uint64_t size_ = 0;
};

}  // namespace mts::onnxio
