#include "onnx/external.h"

#include <charconv>
#include <optional>

#include <onnx/checker.h>

namespace mts::onnxio {
namespace {

std::optional<uint64_t> to_number(const std::string& text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

}  // namespace

Result<std::shared_ptr<const MappedFile>> ExternalFiles::open(const std::string& location,
                                                              const std::string& tensor) {
  if (const auto it = files_.find(location); it != files_.end()) return it->second;
  int descriptor = -1;
  try {
    descriptor = static_cast<int>(onnx::checker::open_external_data(directory_, location, tensor, true));
  } catch (const std::exception& error) {
    return fail(ErrorCode::kModel, "its external data in '" + location + "' is refused: " + error.what());
  }
  auto file = map_descriptor(descriptor, directory_ + "/" + location);
  if (file) files_.emplace(location, *file);
  return file;
}

Result<Bytes> ExternalFiles::find(const onnx::TensorProto& tensor, uint64_t expected) {
  std::string location;
  uint64_t offset = 0;
  uint64_t length = expected;
  for (const auto& entry : tensor.external_data()) {
    if (entry.key() == "location") location = entry.value();
    if (entry.key() != "offset" && entry.key() != "length") continue;
    const auto number = to_number(entry.value());
    if (!number)
      return fail(ErrorCode::kModel, "its external data has a bad " + entry.key() + ": " + entry.value());
    (entry.key() == "offset" ? offset : length) = *number;
  }
  if (location.empty()) return fail(ErrorCode::kModel, "its external data has no location");
  if (directory_.empty())
    return fail(ErrorCode::kModel,
                "its data lies in the file " + location + ", but the model itself is not a file");
  MTS_ASSIGN(const auto file, open(location, tensor.name()));
  if (length != expected)
    return fail(ErrorCode::kModel, "its external data has " + std::to_string(length) +
                                       " bytes, but its type and shape need " + std::to_string(expected));
  const uint64_t size = file->data().size();
  if (offset > size || length > size - offset)
    return fail(ErrorCode::kModel, "its external data ends beyond the end of " + location + " (offset " +
                                       std::to_string(offset) + " + " + std::to_string(length) + " bytes > " +
                                       std::to_string(size) + ")");
  return bytes_of(file, offset, length);
}

}  // namespace mts::onnxio
