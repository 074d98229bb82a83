// Protobuf's wire format without protobuf: a bounds-checked reader with 64-bit offsets (protobuf itself
// refuses messages over 2 GB) and the few writing functions that go with it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace mts::onnxio {

using ByteSpan = std::span<const std::byte>;

enum class WireType : uint8_t { kVarint = 0, kFixed64 = 1, kLength = 2, kFixed32 = 5 };

struct WireField {
  uint32_t number = 0;
  WireType type = WireType::kVarint;
  ByteSpan payload;  // after the tag and, for kLength, the length
  ByteSpan whole;    // with them
};

class WireReader {
 public:
  explicit WireReader(ByteSpan data) : data_(data) {}

  // The next field; false at the end and where the data is malformed.
  bool next(WireField& field);
  // False once something malformed was met: a field beyond the end, a bad tag, a group.
  bool ok() const { return ok_; }
  size_t position() const { return position_; }

 private:
  bool read_varint(uint64_t& value);
  bool malformed() {
    ok_ = false;
    return false;
  }

  ByteSpan data_;
  size_t position_ = 0;
  bool ok_ = true;
};

// Takes one varint from the front of `data`; false when it is cut off or longer than ten bytes.
bool take_varint(ByteSpan& data, uint64_t& value);

size_t varint_size(uint64_t value);
void append_varint(std::string& out, uint64_t value);
void append_tag(std::string& out, uint32_t number, WireType type);
void append_bytes(std::string& out, ByteSpan bytes);
// A whole length-delimited field.
void append_field(std::string& out, uint32_t number, std::string_view content);

inline ByteSpan as_span(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string_view as_view(ByteSpan bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace mts::onnxio
