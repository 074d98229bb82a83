// Which input and output of a fused model belongs to which original, read from the metadata `mts.models`; for
// a fused model without it (made by another tool) from the names `model/input`.
#pragma once

#include <mts/error.h>
#include <mts/graph.h>

#include <map>
#include <string>
#include <vector>

namespace mts::check {

struct ModelEntry {
  std::string name;
  size_t position = 0;       // among the models of the fused one, whose inputs and outputs are in this order
  std::string sha256;        // of the file that was stitched; empty when not recorded
  std::string given_sha256;  // of the original's file as match() found it; empty when it has none
  std::map<std::string, std::string> inputs;  // original name -> fused name
  std::map<std::string, std::string> outputs;
  int64_t nodes = 0;
  uint64_t weight_bytes = 0;
};

const std::string* find_metadata(const Metadata& metadata, std::string_view key);

// The entries of `mts.models`; empty when there is none. kModel when it is malformed.
Result<std::vector<ModelEntry>> entries_of(const Model& fused);

// One entry an original, in their order. Matched by the content of the file, else by name. kUsage when an
// original is none of the fused model's or one of those is missing; kModel when the fused model lacks an
// input or output.
Result<std::vector<ModelEntry>> match(const Model& fused, const std::vector<Model>& originals);

}  // namespace mts::check
