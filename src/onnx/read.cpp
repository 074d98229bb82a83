// load_model, from_bytes: bytes -> skeleton -> protobuf -> functions inlined -> Model.
#include "base/mmap.h"
#include "onnx/decode.h"
#include "onnx/functions.h"
#include "onnx/limits.h"
#include "onnx/skeleton.h"

#include <mts/model_io.h>

#include <filesystem>

#include <google/protobuf/io/coded_stream.h>
#include <onnx/onnx_pb.h>

namespace mts {
namespace onnxio {
namespace {

Result<onnx::ModelProto> parse_skeleton(const std::string& bytes) {
  if (bytes.size() > kMaxSkeletonBytes)
    return fail(ErrorCode::kModel,
                "its structure alone takes more than " + std::to_string(kMaxSkeletonBytes) + " bytes");
  onnx::ModelProto proto;
  google::protobuf::io::CodedInputStream stream(reinterpret_cast<const uint8_t*>(bytes.data()),
                                                static_cast<int>(bytes.size()));
  stream.SetRecursionLimit(100);
  if (!proto.ParseFromCodedStream(&stream) || !stream.ConsumedEntireMessage())
    return fail(ErrorCode::kModel, "the file is truncated or is not an ONNX model");
  return proto;
}

Result<Model> read(Bytes bytes, std::string directory, std::string name, const std::string& path) {
  const std::string file = path.empty() ? name : path;
  const auto at_file = [&file](Error error) {
    if (error.where.file.empty()) error.where.file = file;
    return tl::unexpected(std::move(error));
  };
  try {
    if (bytes.data.empty()) return at_file({ErrorCode::kModel, "the file is empty", {}});
    auto skeleton = collapse(bytes.data);
    if (!skeleton) return at_file(std::move(skeleton).error());
    auto proto = parse_skeleton(skeleton->bytes);
    if (!proto) return at_file(std::move(proto).error());
    skeleton->bytes = {};
    MTS_TRY(inline_functions(*proto, file));
    TensorSource source{std::move(bytes.owner), std::move(skeleton->payloads),
                        ExternalFiles(std::move(directory))};
    return decode_model(*proto, source, std::move(name), path);
  } catch (const std::exception& error) {
    return at_file({ErrorCode::kModel, error.what(), {}});
  }
}

}  // namespace
}  // namespace onnxio

Result<Model> load_model(const std::string& path, std::string name) {
  MTS_ASSIGN(const auto file, map_file(path));
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return onnxio::read(bytes_of(file, 0, file->data().size()), folder.empty() ? "." : folder, std::move(name),
                      path);
}

Result<Model> from_bytes(std::string bytes, std::string name) {
  return onnxio::read(own_bytes(std::move(bytes)), {}, std::move(name), {});
}

}  // namespace mts
