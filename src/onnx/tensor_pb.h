// Values in files: serialised TensorProto, SequenceProto and OptionalProto, as ONNX's test data and `--input
// x.pb` have them. Errors: kIo (cannot open), kModel (malformed, or not what the type says), both with the
// file.
#pragma once

#include <mts/error.h>
#include <mts/graph.h>
#include <mts/tensor.h>

#include <string>

namespace mts {

Result<Tensor> load_tensor_pb(const std::string& path);
// The message in the file depends on the type of the value: a tensor, a sequence or an optional. Maps are
// kUnsupported.
Result<Datum> load_datum_pb(const std::string& path, const Type& type);

}  // namespace mts
