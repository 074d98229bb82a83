// parse_text, print_text: ONNX's textual form.
#include "onnx/decode.h"
#include "onnx/encode.h"
#include "onnx/functions.h"

#include <mts/model_io.h>

#include <onnx/defs/parser.h>
#include <onnx/defs/printer.h>

namespace mts {

Result<Model> parse_text(std::string_view text, std::string name) {
  try {
    onnx::ModelProto proto;
    const std::string copy(text);
    if (const auto status = onnx::OnnxParser::Parse(proto, copy.c_str()); !status.IsOK())
      return fail(ErrorCode::kModel, status.ErrorMessage(), {.file = name, .node = {}, .value = {}});
    MTS_TRY(onnxio::inline_functions(proto, name));
    onnxio::TensorSource source;
    return onnxio::decode_model(proto, source, std::move(name), {});
  } catch (const std::exception& error) {
    return fail(ErrorCode::kModel, error.what(), {.file = name, .node = {}, .value = {}});
  }
}

Result<std::string> print_text(const Model& model) {
  try {
    // The location says why the content is not there, and makes parse_text refuse such a text.
    MTS_ASSIGN(onnxio::EncodedModel encoded,
               onnxio::encode_model(
                   model, {.inline_limit = onnxio::kPrintedTensor, .external_location = "(left out)"}));
    return onnx::ProtoToString(encoded.proto) + "\n";
  } catch (const std::exception& error) {
    return fail(ErrorCode::kInternal, std::string("the model cannot be printed: ") + error.what());
  }
}

}  // namespace mts
