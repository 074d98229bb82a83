#include "onnx/skeleton.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

namespace mts::onnxio {
namespace {

enum class Message { kModel, kGraph, kNode, kAttribute, kTensor, kFunction };

// The messages that can hold a tensor, by field number.
std::optional<Message> child_of(Message message, uint32_t number) {
  switch (message) {
    case Message::kModel:
      if (number == 7) return Message::kGraph;
      if (number == 25) return Message::kFunction;
      return std::nullopt;
    case Message::kGraph:
      if (number == 1) return Message::kNode;
      if (number == 5) return Message::kTensor;
      return std::nullopt;
    case Message::kNode:
      if (number == 5) return Message::kAttribute;
      return std::nullopt;
    case Message::kAttribute:
      if (number == 5 || number == 10) return Message::kTensor;
      if (number == 6 || number == 11) return Message::kGraph;
      return std::nullopt;
    case Message::kFunction:
      if (number == 7) return Message::kNode;
      if (number == 11) return Message::kAttribute;
      return std::nullopt;
    case Message::kTensor:
      return std::nullopt;
  }
  return std::nullopt;
}

bool is_payload(uint32_t number) {
  using namespace tensor_field;
  return number == kFloat || number == kInt32 || number == kInt64 || number == kRaw || number == kDouble ||
         number == kUint64;
}

constexpr int kMaxDepth = 100;  // protobuf's own limit

class Collapser {
 public:
  Skeleton result;

  bool copy(ByteSpan data, Message kind, int depth, std::string& out) {
    if (depth > kMaxDepth) return refuse("messages are nested more than 100 deep");
    if (kind == Message::kTensor) return copy_tensor(data, out);
    WireReader reader(data);
    WireField field;
    std::string child;
    while (reader.next(field)) {
      const auto child_kind = child_of(kind, field.number);
      if (!child_kind || field.type != WireType::kLength || field.payload.size() <= kSmallTensor) {
        append_bytes(out, field.whole);
        continue;
      }
      child.clear();
      if (!copy(field.payload, *child_kind, depth + 1, child)) return false;
      append_field(out, field.number, child);
    }
    return reader.ok() || refuse("the file is truncated or is not an ONNX model");
  }

  const std::string& error() const { return error_; }

 private:
  bool refuse(std::string message) {
    error_ = std::move(message);
    return false;
  }

  bool copy_tensor(ByteSpan data, std::string& out) {
    WireReader reader(data);
    WireField field;
    Payload payload;
    while (reader.next(field)) {
      if (!is_payload(field.number) || field.type != WireType::kLength) {
        append_bytes(out, field.whole);
        continue;
      }
      if (field.payload.empty()) continue;
      if (!payload.pieces.empty() && payload.field != field.number)
        return refuse("a tensor has more than one kind of data");
      payload.field = field.number;
      if (field.number == tensor_field::kRaw) payload.pieces.clear();  // not repeated: the last one counts
      payload.pieces.push_back(field.payload);
    }
    if (!reader.ok()) return refuse("the file is truncated or is not an ONNX model");
    if (payload.pieces.empty()) return true;
    std::string entry;
    append_field(entry, 1, kMarkerKey);
    append_field(entry, 2, std::to_string(result.payloads.size()));
    append_field(out, tensor_field::kExternal, entry);
    result.payloads.push_back(std::move(payload));
    return true;
  }

  std::string error_;
};

// The marker's index, when the external_data entry is one.
std::optional<size_t> marker_of(ByteSpan entry) {
  WireReader reader(entry);
  WireField field;
  std::string_view key, value;
  while (reader.next(field)) (field.number == 1 ? key : value) = as_view(field.payload);
  size_t marker = 0;
  if (key != kMarkerKey) return std::nullopt;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), marker);
  return error == std::errc() && end == value.data() + value.size() ? std::optional(marker) : std::nullopt;
}

}  // namespace

Result<Skeleton> collapse(ByteSpan model) {
  Collapser collapser;
  if (!collapser.copy(model, Message::kModel, 0, collapser.result.bytes))
    return fail(ErrorCode::kModel, collapser.error());
  return std::move(collapser.result);
}

namespace {

struct Rope {
  std::vector<std::pair<std::string, int64_t>> pieces;  // text, payload after it (-1: none)
  uint64_t size = 0;
  std::string tail;  // text after the last payload

  bool is_plain() const { return pieces.empty(); }
  void add_text(std::string_view text) {
    tail.append(text);
    size += text.size();
  }
  void add_payload(size_t marker, uint64_t bytes) {
    pieces.emplace_back(std::exchange(tail, {}), static_cast<int64_t>(marker));
    size += bytes;
  }
  void add(Rope&& other) {
    size += other.size;
    for (auto& piece : other.pieces) {
      tail += piece.first;
      pieces.emplace_back(std::exchange(tail, {}), piece.second);
    }
    tail += other.tail;
  }
};

Rope expand(ByteSpan data, Message kind, const std::function<uint64_t(size_t)>& size_of) {
  Rope rope;
  WireReader reader(data);
  WireField field;
  std::string head;
  while (reader.next(field)) {
    const auto child_kind = child_of(kind, field.number);
    head.clear();
    if (child_kind && field.type == WireType::kLength) {
      Rope child = expand(field.payload, *child_kind, size_of);
      if (!child.is_plain()) {
        append_tag(head, field.number, WireType::kLength);
        append_varint(head, child.size);
        rope.add_text(head);
        rope.add(std::move(child));
        continue;
      }
    }
    if (kind == Message::kTensor && field.number == tensor_field::kExternal) {
      if (const auto marker = marker_of(field.payload)) {
        const uint64_t bytes = size_of(*marker);
        append_tag(head, tensor_field::kRaw, WireType::kLength);
        append_varint(head, bytes);
        rope.add_text(head);
        rope.add_payload(*marker, bytes);
        continue;
      }
    }
    rope.add_text(as_view(field.whole));
  }
  return rope;
}

}  // namespace

Expansion::Expansion(const std::string& skeleton, const std::function<uint64_t(size_t)>& size_of) {
  Rope rope = expand(as_span(skeleton), Message::kModel, size_of);
  size_ = rope.size;
  pieces_.reserve(rope.pieces.size() + 1);
  for (auto& [text, payload] : rope.pieces) pieces_.push_back({std::move(text), payload});
  pieces_.push_back({std::move(rope.tail), -1});
}

Result<void> Expansion::write(const std::function<Result<void>(std::string_view)>& text,
                              const std::function<Result<void>(size_t)>& payload) const {
  for (const Piece& piece : pieces_) {
    MTS_TRY(text(piece.text));
    if (piece.payload >= 0) MTS_TRY(payload(static_cast<size_t>(piece.payload)));
  }
  return {};
}

}  // namespace mts::onnxio
