#include "onnx/type_proto.h"

#include <onnx/onnx_pb.h>

namespace mts::onnxio {

Dim decode_dim(bool has_value, int64_t value, const std::string& symbol) {
  // Old exporters write -1 for a dimension that they do not know.
  if (has_value) return value >= 0 ? Dim::known(value) : Dim::unknown();
  return symbol.empty() ? Dim::unknown() : Dim::symbolic(symbol);
}

Type decode_type(const onnx::TypeProto& proto) {
  if (proto.value_case() == onnx::TypeProto::VALUE_NOT_SET) return {};
  if (!proto.has_tensor_type()) {
    Type type;
    type.kind = Type::Kind::kOther;
    type.encoded = proto.SerializeAsString();
    return type;
  }
  const auto& tensor = proto.tensor_type();
  Type type = Type::tensor(static_cast<DType>(tensor.elem_type()));
  if (!tensor.has_shape()) return type;
  type.shape.emplace();
  for (const auto& dim : tensor.shape().dim())
    type.shape->push_back(decode_dim(dim.has_dim_value(), dim.dim_value(), dim.dim_param()));
  return type;
}

void encode_type(const Type& type, onnx::TypeProto& proto) {
  if (type.kind == Type::Kind::kOther) proto.ParseFromString(type.encoded);
  if (!type.is_tensor()) return;
  auto& tensor = *proto.mutable_tensor_type();
  tensor.set_elem_type(static_cast<int32_t>(type.dtype));
  if (!type.shape) return;
  auto& shape = *tensor.mutable_shape();
  for (const Dim& dim : *type.shape) {
    auto& out = *shape.add_dim();
    if (dim.is_known()) out.set_dim_value(dim.value);
    if (dim.is_symbolic()) out.set_dim_param(dim.symbol);
  }
}

Type merge_types(const Type& type, const Type& other) {
  if (type.kind == Type::Kind::kUnknown) return other;
  if (!type.is_tensor() || !other.is_tensor()) return type;
  Type merged = type;
  if (merged.dtype == DType::kUndefined) merged.dtype = other.dtype;
  if (merged.dtype != other.dtype) return merged;
  if (!merged.shape) {
    merged.shape = other.shape;
    return merged;
  }
  if (!other.shape || other.shape->size() != merged.shape->size()) return merged;
  for (size_t i = 0; i < merged.shape->size(); ++i) {
    Dim& dim = (*merged.shape)[i];
    const Dim& hint = (*other.shape)[i];
    if (!dim.is_known() && (hint.is_known() || !dim.is_symbolic())) dim = hint;
  }
  return merged;
}

}  // namespace mts::onnxio
