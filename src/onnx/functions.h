// Local functions of a model -> the nodes that they stand for, by ONNX's own inliner.
#pragma once

#include <mts/error.h>

#include <string>

namespace onnx {
class ModelProto;
}

namespace mts::onnxio {

// Before: a model with functions (nested, overloaded, with attribute references and default values, called in
// subgraphs too). After: the same model without any. A function written for another version of the standard
// operators is converted to the model's. kModel, naming the function: recursion, a version of another domain
// that differs, a call that does not fit, an expansion of more than kMaxInlinedNodes nodes.
Result<void> inline_functions(onnx::ModelProto& model, const std::string& file);

}  // namespace mts::onnxio
