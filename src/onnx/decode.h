// ModelProto (a skeleton without local functions) -> Model. Names become ids; what subgraphs take from
// outside becomes explicit captures; nodes are sorted.
#pragma once

#include "onnx/tensor_decode.h"

#include <mts/error.h>
#include <mts/graph.h>

#include <string>

namespace onnx {
class ModelProto;
}

namespace mts::onnxio {

// kModel for what no valid model contains: see the messages. `name` and `path` go into the model.
Result<Model> decode_model(const onnx::ModelProto& proto, TensorSource& source, std::string name,
                           std::string path);

}  // namespace mts::onnxio
