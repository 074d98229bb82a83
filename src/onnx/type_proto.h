// TypeProto <-> Type. Tensor types are understood; everything else is kept serialised.
#pragma once

#include <mts/graph.h>

namespace onnx {
class TypeProto;
class TensorShapeProto;
}  // namespace onnx

namespace mts::onnxio {

Type decode_type(const onnx::TypeProto& proto);
void encode_type(const Type& type, onnx::TypeProto& proto);  // leaves `proto` empty for an unknown type
Dim decode_dim(bool has_value, int64_t value, const std::string& symbol);

// Of two types of one value, `type` with what it leaves open filled in from `other`. Where they contradict
// each other `type` wins.
Type merge_types(const Type& type, const Type& other);

}  // namespace mts::onnxio
