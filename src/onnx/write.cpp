// save_model, to_bytes: Model -> skeleton by protobuf, with the weights streamed into it or into the file
// beside it.
#include "base/parallel.h"
#include "onnx/encode.h"
#include "onnx/limits.h"
#include "onnx/output_file.h"
#include "onnx/sha256.h"
#include "onnx/skeleton.h"

#include <mts/model_io.h>

#include <filesystem>

namespace mts {
namespace onnxio {
namespace {

// Bytes of a weight that are digested while they are written: a thread for less takes longer.
constexpr size_t kDigestedApart = size_t{256} << 10;

Result<std::string> serialise(const onnx::ModelProto& proto) {
  std::string bytes;
  if (proto.ByteSizeLong() > kMaxSkeletonBytes || !proto.SerializeToString(&bytes))
    return fail(ErrorCode::kInternal, "the structure of the model is too large for protobuf");
  return bytes;
}

// Streams a weight into `write`, which may fail. The size is what was announced.
Result<void> stream_weight(const Weight& weight, const std::function<Result<void>(ByteSpan)>& write) {
  Result<void> result;
  uint64_t written = 0;
  weight.stream([&](ByteSpan bytes) {
    written += bytes.size();
    if (result) result = write(bytes);
  });
  if (result && written != weight.byte_size())
    return fail(ErrorCode::kInternal, "a weight has produced " + std::to_string(written) +
                                          " bytes instead of " + std::to_string(weight.byte_size()));
  return result;
}

Result<void> write_expansion(const Expansion& expansion, const std::vector<WeightPtr>& payloads,
                             const std::function<Result<void>(ByteSpan)>& write) {
  return expansion.write([&](std::string_view text) { return write(as_span(text)); },
                         [&](size_t marker) { return stream_weight(*payloads[marker], write); });
}

Result<std::unique_ptr<OutputFile>> write_external(const EncodedModel& encoded, const std::string& path) {
  MTS_ASSIGN(auto file, OutputFile::create(path));
  for (size_t i = 0; i < encoded.payloads.size(); ++i) {
    MTS_TRY(file->pad_to(encoded.offsets[i]));
    MTS_TRY(stream_weight(*encoded.payloads[i], [&](ByteSpan bytes) { return file->write(bytes); }));
  }
  return file;
}

// Weights inline where the options and protobuf allow it, else their places in the external file.
Result<EncodedModel> encode_for_file(const Model& model, const std::string& path,
                                     const SaveOptions& options) {
  using External = SaveOptions::External;
  if (options.external != External::kAlways) {
    MTS_ASSIGN(EncodedModel encoded, encode_model(model));
    uint64_t size = encoded.proto.ByteSizeLong();
    for (const WeightPtr& weight : encoded.payloads) size += weight->byte_size();
    const bool never = options.external == External::kNever;
    if (never && size > kMaxProtobufBytes)
      return fail(ErrorCode::kUsage,
                  "the model takes " + std::to_string(size) +
                      " bytes; more than 2 GB cannot be read from one file: allow external data");
    if (never || size <= std::min(options.external_threshold, kMaxProtobufBytes)) return encoded;
  }
  return encode_model(model,
                      {.external_location = std::filesystem::path(path).filename().string() + ".data"});
}

Result<SavedModel> save(const Model& model, const std::string& path, const SaveOptions& options) {
  MTS_ASSIGN(const EncodedModel encoded, encode_for_file(model, path, options));
  MTS_ASSIGN(const std::string skeleton, serialise(encoded.proto));
  SavedModel saved;
  saved.weight_bytes = encoded.weight_bytes;
  saved.external_bytes = encoded.external_bytes;
  const bool external = encoded.external_bytes > 0;
  const Expansion expansion(skeleton,
                            [&](size_t marker) -> uint64_t { return encoded.payloads[marker]->byte_size(); });

  std::unique_ptr<OutputFile> data;
  const std::string data_path = path + ".data";
  if (external) {
    MTS_ASSIGN(data, write_external(encoded, data_path));
  }
  MTS_ASSIGN(const auto file, OutputFile::create(path));
  Sha256 sha;
  MTS_TRY(write_expansion(expansion, encoded.payloads, [&](ByteSpan bytes) {
    Result<void> written;
    for_each_parallel(options.digest ? 2 : 1, bytes.size() < kDigestedApart ? 1 : 2, [&](size_t i) {
      if (i == 0) {
        written = file->write(bytes);
      } else {
        sha.update(bytes);
      }
    });
    return written;
  }));
  saved.file_bytes = file->size();
  if (options.digest) saved.sha256 = sha.hex();
  if (external) MTS_TRY(data->commit());
  auto committed = file->commit();
  if (!committed) {
    std::error_code ignored;
    if (external) std::filesystem::remove(data_path, ignored);
    return tl::unexpected(std::move(committed).error());
  }
  return saved;
}

}  // namespace
}  // namespace onnxio

Result<SavedModel> save_model(const Model& model, const std::string& path, const SaveOptions& options) {
  try {
    auto saved = onnxio::save(model, path, options);
    if (!saved && saved.error().where.file.empty()) {
      Error error = std::move(saved).error();
      error.where.file = path;
      return tl::unexpected(std::move(error));
    }
    return saved;
  } catch (const std::exception& error) {
    return fail(ErrorCode::kInternal, std::string("the model cannot be written: ") + error.what(),
                {.file = path, .node = {}, .value = {}});
  }
}

Result<std::string> to_bytes(const Model& model) {
  try {
    MTS_ASSIGN(const onnxio::EncodedModel encoded, onnxio::encode_model(model));
    MTS_ASSIGN(const std::string skeleton, onnxio::serialise(encoded.proto));
    const onnxio::Expansion expansion(
        skeleton, [&](size_t marker) -> uint64_t { return encoded.payloads[marker]->byte_size(); });
    if (expansion.size() > onnxio::kMaxProtobufBytes)
      return fail(ErrorCode::kUsage, "the model takes more than 2 GB and does not fit in one message");
    std::string bytes;
    bytes.reserve(expansion.size());
    MTS_TRY(onnxio::write_expansion(expansion, encoded.payloads, [&](onnxio::ByteSpan piece) -> Result<void> {
      onnxio::append_bytes(bytes, piece);
      return {};
    }));
    return bytes;
  } catch (const std::exception& error) {
    return fail(ErrorCode::kInternal, std::string("the model cannot be serialised: ") + error.what());
  }
}

}  // namespace mts
