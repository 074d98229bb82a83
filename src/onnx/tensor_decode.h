// TensorProto -> Weight. Raw and external content stays where it lies; typed fields that are not already in
// the raw encoding become it, so that both encodings of one content are the same bytes. Sizes are checked
// against the dims.
#pragma once

#include "onnx/external.h"
#include "onnx/skeleton.h"

#include <mts/weight.h>

#include <memory>
#include <string>
#include <vector>

namespace mts::onnxio {

// What the tensors of one model refer to.
struct TensorSource {
  std::shared_ptr<const void> owner;  // keeps the bytes of the payloads alive
  std::vector<Payload> payloads;      // by marker
  ExternalFiles external{""};
};

// kModel when the dims are negative or overflow, the element type is unknown, there is no data or too much or
// too little of it.
Result<WeightPtr> decode_tensor(const onnx::TensorProto& tensor, TensorSource& source);

// Moves external content into raw_data, for tensors that are kept serialised.
Result<void> make_inline(onnx::TensorProto& tensor, TensorSource& source);

}  // namespace mts::onnxio
