#include "onnx/tensor_pb.h"

#include "base/mmap.h"
#include "onnx/tensor_decode.h"

#include <limits>

#include <onnx/onnx-data.pb.h>
#include <onnx/onnx_pb.h>

namespace mts {
namespace {

Result<Datum> decode(const onnx::TensorProto& proto) {
  onnxio::TensorSource source;
  MTS_ASSIGN(const WeightPtr weight, onnxio::decode_tensor(proto, source));
  return Datum(Tensor::from_weight(*weight));
}

Result<Datum> decode(const onnx::OptionalProto& proto);

Result<Datum> decode(const onnx::SequenceProto& proto) {
  Sequence sequence;
  const auto append = [&](const auto& values) -> Result<void> {
    for (const auto& value : values) {
      MTS_ASSIGN(Datum element, decode(value));
      sequence.push_back(std::move(element));
    }
    return {};
  };
  if (proto.map_values_size() > 0 || proto.sparse_tensor_values_size() > 0)
    return fail(ErrorCode::kUnsupported, "a sequence of maps or sparse tensors");
  MTS_TRY(append(proto.tensor_values()));
  MTS_TRY(append(proto.sequence_values()));
  MTS_TRY(append(proto.optional_values()));
  return Datum(std::move(sequence));
}

Result<Datum> decode(const onnx::OptionalProto& proto) {
  if (proto.has_tensor_value()) return decode(proto.tensor_value());
  if (proto.has_sequence_value()) return decode(proto.sequence_value());
  if (proto.has_optional_value()) return decode(proto.optional_value());
  if (proto.has_map_value() || proto.has_sparse_tensor_value())
    return fail(ErrorCode::kUnsupported, "an optional map or sparse tensor");
  return Datum();
}

template <class Proto>
Result<Datum> parse(const std::string& path, std::span<const std::byte> bytes) {
  Proto proto;
  const bool fits = bytes.size() <= static_cast<size_t>(std::numeric_limits<int>::max());
  if (!fits || !proto.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return fail(ErrorCode::kModel, "it is no serialised " + proto.GetTypeName(), Where{path, {}, {}});
  Result<Datum> result = decode(proto);
  if (!result && result.error().where.file.empty()) result.error().where.file = path;
  return result;
}

}  // namespace

Result<Datum> load_datum_pb(const std::string& path, const Type& type) {
  MTS_ASSIGN(const std::shared_ptr<const MappedFile> file, map_file(path));
  const std::span<const std::byte> bytes = file->data();
  if (type.is_tensor()) return parse<onnx::TensorProto>(path, bytes);
  onnx::TypeProto proto;
  if (!proto.ParseFromString(type.encoded))
    return fail(ErrorCode::kModel, "its type is malformed", Where{path, {}, {}});
  switch (proto.value_case()) {
    case onnx::TypeProto::kTensorType:
      return parse<onnx::TensorProto>(path, bytes);
    case onnx::TypeProto::kSequenceType:
      return parse<onnx::SequenceProto>(path, bytes);
    case onnx::TypeProto::kOptionalType:
      return parse<onnx::OptionalProto>(path, bytes);
    default:
      return fail(ErrorCode::kUnsupported, "a value that is no tensor, sequence or optional",
                  Where{path, {}, {}});
  }
}

Result<Tensor> load_tensor_pb(const std::string& path) {
  MTS_ASSIGN(Datum datum, load_datum_pb(path, Type::tensor(DType::kUndefined)));
  return *datum.tensor();
}

}  // namespace mts
