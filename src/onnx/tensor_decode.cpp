#include "onnx/tensor_decode.h"

#include <bit>
#include <charconv>
#include <cstring>
#include <limits>
#include <optional>

#include <onnx/onnx_pb.h>

static_assert(std::endian::native == std::endian::little, "raw_data is little endian and is used as it is");

namespace mts::onnxio {
namespace {

tl::unexpected<Error> refuse(std::string message) { return fail(ErrorCode::kModel, std::move(message)); }

Result<Dims> decode_dims(const onnx::TensorProto& tensor, int bits) {
  Dims dims(tensor.dims().begin(), tensor.dims().end());
  int64_t count = 1;
  bool empty = false;
  for (const int64_t d : dims) {
    if (d < 0) return refuse("it has a negative dimension");
    empty = empty || d == 0;
  }
  if (empty) return dims;
  for (const int64_t d : dims)
    if (__builtin_mul_overflow(count, d, &count)) return refuse("its element count overflows");
  if (count > std::numeric_limits<int64_t>::max() / 2 / std::max(bits, 1))
    return refuse("its element count overflows");
  return dims;
}

// The field that holds typed data of a dtype.
uint32_t typed_field(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
    case DType::kComplex64:
      return tensor_field::kFloat;
    case DType::kFloat64:
    case DType::kComplex128:
      return tensor_field::kDouble;
    case DType::kInt64:
      return tensor_field::kInt64;
    case DType::kUint32:
    case DType::kUint64:
      return tensor_field::kUint64;
    default:
      return tensor_field::kInt32;
  }
}

// Bytes that one entry of the typed field becomes: 1 for the sub-byte types, whose entries are packed bytes.
size_t entry_bytes(DType dtype) {
  return dtype == DType::kComplex64    ? 4
         : dtype == DType::kComplex128 ? 8
                                       : static_cast<size_t>(std::max(bit_width(dtype), 8)) / 8;
}

void append_entry(std::string& out, DType dtype, uint64_t value, size_t bytes) {
  if (dtype == DType::kBool) value = value != 0 ? 1 : 0;
  char buffer[sizeof value];
  std::memcpy(buffer, &value, sizeof value);
  out.append(buffer, bytes);
}

std::optional<size_t> marker_of(const onnx::TensorProto& tensor) {
  for (int i = tensor.external_data_size() - 1; i >= 0; --i) {
    const auto& entry = tensor.external_data(i);
    if (entry.key() != kMarkerKey) continue;
    size_t marker = 0;
    std::from_chars(entry.value().data(), entry.value().data() + entry.value().size(), marker);
    return marker;
  }
  return std::nullopt;
}

bool has_inline_data(const onnx::TensorProto& tensor) {
  return tensor.has_raw_data() || tensor.float_data_size() > 0 || tensor.int32_data_size() > 0 ||
         tensor.int64_data_size() > 0 || tensor.double_data_size() > 0 || tensor.uint64_data_size() > 0;
}

// Typed entries, at most `expected` bytes of them and a little more.
Result<std::string> convert_payload(const Payload& payload, DType dtype, size_t expected) {
  if (payload.field != typed_field(dtype))
    return refuse("its data is in a field that does not belong to its element type");
  const bool varints = payload.field == tensor_field::kInt32 || payload.field == tensor_field::kInt64 ||
                       payload.field == tensor_field::kUint64;
  std::string out;
  const size_t bytes = entry_bytes(dtype);
  size_t entries = 0;  // at most: a varint has at least one byte
  for (const ByteSpan piece : payload.pieces) entries += piece.size();
  out.reserve(std::min(expected, entries * bytes));
  for (ByteSpan piece : payload.pieces) {
    if (!varints) {
      append_bytes(out, piece);
      continue;
    }
    uint64_t value = 0;
    while (!piece.empty()) {
      if (!take_varint(piece, value)) return refuse("its data is malformed");
      append_entry(out, dtype, value, bytes);
      if (out.size() > expected) return out;
    }
  }
  return out;
}

Result<std::string> convert_inline(const onnx::TensorProto& tensor, DType dtype) {
  std::string out;
  const size_t bytes = entry_bytes(dtype);
  const auto append_all = [&](const auto& values) {
    for (const auto value : values) append_entry(out, dtype, static_cast<uint64_t>(value), bytes);
  };
  switch (typed_field(dtype)) {
    case tensor_field::kFloat:
      out.assign(reinterpret_cast<const char*>(tensor.float_data().data()),
                 static_cast<size_t>(tensor.float_data_size()) * sizeof(float));
      break;
    case tensor_field::kDouble:
      out.assign(reinterpret_cast<const char*>(tensor.double_data().data()),
                 static_cast<size_t>(tensor.double_data_size()) * sizeof(double));
      break;
    case tensor_field::kInt64:
      append_all(tensor.int64_data());
      break;
    case tensor_field::kUint64:
      append_all(tensor.uint64_data());
      break;
    default:
      append_all(tensor.int32_data());
      break;
  }
  return out;
}

Result<Bytes> find_content(const onnx::TensorProto& tensor, DType dtype, size_t expected,
                           TensorSource& source) {
  if (tensor.data_location() == onnx::TensorProto::EXTERNAL) return source.external.find(tensor, expected);
  if (const auto marker = marker_of(tensor)) {
    if (*marker >= source.payloads.size() || has_inline_data(tensor))
      return refuse("its data is stored in more than one way");
    const Payload& payload = source.payloads[*marker];
    const bool raw = payload.field == tensor_field::kRaw;
    const bool as_raw =
        raw || ((payload.field == tensor_field::kFloat || payload.field == tensor_field::kDouble) &&
                payload.field == typed_field(dtype));
    if (as_raw && payload.pieces.size() == 1) return Bytes{source.owner, payload.pieces.front()};
    MTS_ASSIGN(std::string converted, convert_payload(payload, dtype, expected));
    return own_bytes(std::move(converted));
  }
  if (tensor.has_raw_data()) return own_bytes(tensor.raw_data());
  MTS_ASSIGN(std::string converted, convert_inline(tensor, dtype));
  return own_bytes(std::move(converted));
}

}  // namespace

Result<WeightPtr> decode_tensor(const onnx::TensorProto& tensor, TensorSource& source) {
  const auto dtype = static_cast<DType>(tensor.data_type());
  if (tensor.has_segment()) return refuse("it is one segment of a tensor, which mts does not read");
  MTS_ASSIGN(Dims dims, decode_dims(tensor, bit_width(dtype)));
  const int64_t count = element_count(dims);
  if (dtype == DType::kString) {
    if (tensor.data_location() == onnx::TensorProto::EXTERNAL || tensor.has_raw_data())
      return refuse("strings must be in string_data");
    if (tensor.string_data_size() != count)
      return refuse("it has " + std::to_string(tensor.string_data_size()) + " strings, but its shape needs " +
                    std::to_string(count));
    return Weight::from_strings(std::move(dims), {tensor.string_data().begin(), tensor.string_data().end()});
  }
  if (bit_width(dtype) == 0)
    return refuse("its element type " + std::to_string(tensor.data_type()) + " is not known");
  const size_t expected = byte_size(dtype, count);
  if (expected == 0) return Weight::from_bytes(dtype, std::move(dims), own_bytes({}));
  MTS_ASSIGN(Bytes bytes, find_content(tensor, dtype, expected, source));
  if (bytes.data.size() != expected)
    return refuse("it has " +
                  (bytes.data.size() > expected ? "more than " + std::to_string(expected)
                                                : std::to_string(bytes.data.size())) +
                  " bytes of data, but its type and shape need " + std::to_string(expected));
  return Weight::from_bytes(dtype, std::move(dims), std::move(bytes));
}

Result<void> make_inline(onnx::TensorProto& tensor, TensorSource& source) {
  if (tensor.data_location() != onnx::TensorProto::EXTERNAL) return {};
  MTS_ASSIGN(const WeightPtr weight, decode_tensor(tensor, source));
  tensor.clear_external_data();
  tensor.clear_data_location();
  tensor.mutable_raw_data()->resize(weight->byte_size());
  weight->read({reinterpret_cast<std::byte*>(tensor.mutable_raw_data()->data()), weight->byte_size()});
  return {};
}

}  // namespace mts::onnxio
