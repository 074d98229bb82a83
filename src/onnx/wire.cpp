#include "onnx/wire.h"

namespace mts::onnxio {

bool take_varint(ByteSpan& data, uint64_t& value) {
  value = 0;
  for (size_t i = 0; i < 10 && i < data.size(); ++i) {
    const auto byte = std::to_integer<uint64_t>(data[i]);
    value |= (byte & 0x7f) << (7 * i);
    if (byte < 0x80) {
      data = data.subspan(i + 1);
      return true;
    }
  }
  return false;
}

bool WireReader::read_varint(uint64_t& value) {
  ByteSpan rest = data_.subspan(position_);
  if (!take_varint(rest, value)) return malformed();
  position_ = data_.size() - rest.size();
  return true;
}

bool WireReader::next(WireField& field) {
  if (!ok_ || position_ == data_.size()) return false;
  const size_t start = position_;
  uint64_t tag = 0;
  if (!read_varint(tag)) return false;
  if (tag > 0xffffffffu || (tag >> 3) == 0) return malformed();
  field.number = static_cast<uint32_t>(tag >> 3);
  uint64_t length = 0;
  size_t content = position_;
  switch (tag & 7) {
    case 0: {
      uint64_t value = 0;
      if (!read_varint(value)) return false;
      length = position_ - content;
      break;
    }
    case 1:
      length = 8;
      break;
    case 2:
      if (!read_varint(length)) return false;
      content = position_;
      break;
    case 5:
      length = 4;
      break;
    default:  // groups, which no version of ONNX has used
      return malformed();
  }
  if (length > data_.size() - content) return malformed();
  field.type = static_cast<WireType>(tag & 7);
  field.payload = data_.subspan(content, length);
  position_ = content + length;
  field.whole = data_.subspan(start, position_ - start);
  return true;
}

size_t varint_size(uint64_t value) {
  size_t size = 1;
  while (value >= 0x80) {
    value >>= 7;
    ++size;
  }
  return size;
}

void append_varint(std::string& out, uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>((value & 0x7f) | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

void append_tag(std::string& out, uint32_t number, WireType type) {
  append_varint(out, (static_cast<uint64_t>(number) << 3) | static_cast<uint64_t>(type));
}

void append_bytes(std::string& out, ByteSpan bytes) { out.append(as_view(bytes)); }

void append_field(std::string& out, uint32_t number, std::string_view content) {
  append_tag(out, number, WireType::kLength);
  append_varint(out, content.size());
  out.append(content);
}

}  // namespace mts::onnxio
