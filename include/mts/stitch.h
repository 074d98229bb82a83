// The whole rewriting: N models in, one model out.
#pragma once

#include <mts/error.h>
#include <mts/graph.h>
#include <mts/recover.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace mts {

struct StitchOptions {
  enum class Strategy {
    kAuto,     // what is predicted to be fastest under the no-duplication rule
    kStitch,   // stitched wherever that is legal
    kNetfuse,  // the paper's baseline: every aligned node grouped, shared weights duplicated
    kConcat,   // one graph, weights deduplicated, nothing stitched
  };
  enum class Objective { kBytes, kLatency };
  Strategy strategy = Strategy::kAuto;
  Objective objective = Objective::kBytes;
  std::vector<std::string> share_inputs;  // "NAME" or "image=a:x,b:input.1", as the user gave them
  bool independent_dims = false;          // equal symbols of different models are not taken to be equal
  bool keep_metadata = false;
  RecoverOptions recover;              // approximate sharing: off unless asked for
  std::string target = "generic-gpu";  // device profile: a name, or the path of one that ends in ".json"
};

struct Refusal {
  std::string op;
  int64_t count = 0;  // aligned sets
  std::string reason;
};

struct StitchReport {
  struct Input {
    std::string name, path, sha256;
    int64_t nodes = 0;
    uint64_t weight_bytes = 0;
  };
  struct Group {
    std::vector<std::string> models;
  };
  struct Predicted {  // by the cost model, for the target
    double latency_us_fused = 0;
    double latency_us_sequential = 0;
    uint64_t peak_memory_bytes = 0;
  };
  // Sharing below the tensor, and what the models would be without splitting weights for it. Only where there
  // is any (unique_bytes > 0).
  struct Partial {
    int64_t row_splits = 0, block_splits = 0;  // aligned sets of layers
    int64_t tables = 0;                        // embedding tables
    uint64_t unique_bytes = 0;
    double latency_us = 0;   // predicted
    bool everything = true;  // every row and block once; else, for latency, only pieces that are worth it
    bool chosen = false;
  };
  struct Whole {
    uint64_t unique_bytes = 0;
    double latency_us = 0;
  };
  Partial partial;
  Whole whole;
  std::vector<Input> inputs;
  int64_t output_nodes = 0;
  uint64_t output_weight_bytes = 0;
  uint64_t unique_weight_bytes = 0;  // content counted once over all inputs
  std::map<std::string, int64_t>
      strategies;  // once, batch, fan_out, group, partition, partial_rows, partial_blocks, apart
  std::vector<Refusal> refusals;
  std::vector<Recovered> recovered;  // weights that are not used as they were
  std::vector<std::string> assumptions;
  std::vector<Group> groups;
  Predicted predicted;
};

struct Stitched {
  Model model;
  StitchReport report;
};

// Canonicalises, finds what is shared, aligns, plans and stitches. kUsage for duplicate names, a bad
// share_inputs entry or target, kModel for a model that cannot be brought to the common opset.
Result<Stitched> stitch(std::vector<Model> models, const StitchOptions& options = {});

}  // namespace mts
