// Model -> ModelProto, deterministic.
#pragma once

#include "onnx/skeleton.h"

#include <mts/error.h>
#include <mts/graph.h>

#include <cstdint>
#include <string>
#include <vector>

#include <onnx/onnx_pb.h>

namespace mts::onnxio {

inline constexpr size_t kPrintedTensor = 64 * 1024;  // bytes: larger ones are left out of textual models

struct EncodeOptions {
  size_t inline_limit = kSmallTensor;  // bytes: the content of larger tensors is not copied into the message
  // What stands in for it: a marker (see skeleton.h) or, when this names a file, its place in that file.
  std::string external_location = {};
};

struct EncodedModel {
  onnx::ModelProto proto;
  std::vector<WeightPtr> payloads;  // by marker, or in the order of their offsets
  std::vector<uint64_t> offsets;    // of the payloads in the external file
  uint64_t external_bytes = 0;      // size of that file
  uint64_t weight_bytes = 0;        // all initializers and tensors in attributes
};

// Constants that nothing uses are not written. kInternal for graphs without names for their inputs and
// outputs.
Result<EncodedModel> encode_model(const Model& model, const EncodeOptions& options = {});

// One attribute without subgraphs, its tensors inline.
onnx::AttributeProto encode_plain_attribute(const Attribute& attribute, size_t inline_limit);
// A tensor with its content inline when it is not larger than the limit, else without content.
onnx::TensorProto encode_plain_tensor(const Weight& weight, size_t inline_limit);

}  // namespace mts::onnxio
