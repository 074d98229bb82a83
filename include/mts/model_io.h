// Reading and writing ONNX files and textual ONNX. Structure is decoded; weight bytes stay where they lie
// (the mapped file or its external data). What mts does not understand survives the round trip. Models over 2
// GB work.
#pragma once

#include <mts/error.h>
#include <mts/graph.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mts {

// Reads a model. Local functions are inlined (nested ones too). Initializers that are also graph inputs
// become constants, with a warning on the log. Errors: kIo (cannot open), kModel (truncated, malformed,
// missing or escaping external data, IR version or opset out of range, ...), each with the file and, where
// there is one, the node. Nodes come sorted; sparse initializers become Constant nodes. Denotations of types
// and dims are not kept.
Result<Model> load_model(const std::string& path, std::string name);

struct SaveOptions {
  enum class External { kAuto, kNever, kAlways };
  External external = External::kAuto;          // kAuto: when the file would exceed external_threshold
  uint64_t external_threshold = 1'800'000'000;  // bytes
  bool digest = true;                           // SavedModel::sha256, at about 2 GB/s
};
struct SavedModel {
  uint64_t file_bytes = 0;      // the .onnx file
  uint64_t external_bytes = 0;  // the .data file beside it; 0 when there is none
  uint64_t weight_bytes = 0;    // bytes of all initializers and constant attributes written
  std::string sha256;           // of the .onnx file; empty without SaveOptions::digest
};
// Writes `path` (and `<path>.data`) through temporary files and renames; nothing is left behind on failure.
// Constants with the same content, dtype and dims are the caller's business: every constant value of the
// graph that something uses is written once. Inputs and outputs keep their names (kInternal when two of them
// share one); other names are made unique where they are not. kUsage for kNever with more than 2 GB.
Result<SavedModel> save_model(const Model& model, const std::string& path, const SaveOptions& options = {});

// Textual ONNX (onnx.parser syntax), for tests, goldens and `mts opt`.
Result<Model> parse_text(std::string_view text, std::string name = "model");
// The content of tensors over 64 KB is left out; parse_text refuses such a text.
Result<std::string> print_text(const Model& model);
// Serialised ModelProto, everything inline (tests, checker; < 2 GB).
Result<std::string> to_bytes(const Model& model);
Result<Model> from_bytes(std::string bytes, std::string name = "model");

// The onnx checker on a file (follows external data). kModel with the checker's words on failure.
Result<void> check_file(const std::string& path);

// What is known of the content of small integer tensors (shape arithmetic): one Dim an element; indexed by
// ValueId of the top graph, empty vector with `known[i] == false` when nothing is known.
struct ShapeFacts {
  std::vector<std::vector<Dim>> content;
  std::vector<bool> known;
};
// Runs shape inference with data propagation over the model and fills in the types of all values (subgraphs
// included) that it can derive. Sorts the top graph. What existing types say beyond the inferred ones is
// kept, so clear the types of values whose shape you have changed; where they contradict each other the
// inferred type wins, except for declared graph outputs. Dims are never given invented symbols. Nodes that
// are unknown or wrong only leave their own outputs open.
Result<ShapeFacts> infer_types(Model& model);

// sha256 of a file, hex.
Result<std::string> sha256_of_file(const std::string& path);

}  // namespace mts
