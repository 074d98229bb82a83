// The whole rewriting: N models in, one model out.
#pragma once

#include <mts/error.h>
#include <mts/graph.h>
#include <mts/recover.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mts {

// Measures models on a device, for plans that are chosen by measuring.
struct Tuner {
  // Seconds that a run of each takes, the models in turn; about `seconds` are spent on each of them. Before
  // each run as many other bytes as `evicted` pass through the caches, where the device can do that.
  std::function<Result<std::vector<double>>(std::span<const Model* const>, double seconds, uint64_t evicted)>
      measure;
  std::string device;                   // what results hold for: device, processor, threads, versions, dims
  std::string cache;                    // a folder for results; empty: they are not kept
  std::map<std::string, int64_t> dims;  // sizes of dynamic dimensions that it measures with; others are 1
  double budget = 120;            // seconds for all measuring: what is begun when they are gone is ended
  std::function<double()> clock;  // seconds; empty: that of the machine
};

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
  // Models in groups that run one after another. By default, with kAuto, as many groups as are predicted to
  // be fastest.
  int64_t groups = 0;                     // how many; 0: not asked for
  std::optional<uint64_t> memory_budget;  // bytes, weights and activations: the least latency within it
  std::optional<double> latency_budget;   // seconds: the least memory within it
  // A plan that Stitched::plan held: it is carried out as it is; target, groups and budgets do not count.
  std::string plan;
  std::string plan_file;         // for messages
  bool explain = false;          // StitchReport::regions
  const Tuner* tuner = nullptr;  // plans are proposed by prices and chosen by measuring (kAuto only)
};

std::string_view name_of(StitchOptions::Strategy strategy);    // "auto", "stitch", ...
std::string_view name_of(StitchOptions::Objective objective);  // "bytes", "latency"

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
  // Neighbouring sets of corresponding nodes that run alike.
  struct Region {
    size_t group = 0;
    int64_t sets = 0;
    int64_t models = 0;       // nodes in a set, those that are one for several models counted once
    std::string first, last;  // "model:node" of the first and the last set
    std::string strategy;     // once, batch, ..., apart
    std::string why;          // of the sets that are apart
    std::map<std::string, double> predicted_us;  // by strategy, where all its sets allow it
    // The same with the measured price of each set that was measured; empty where none was.
    std::map<std::string, double> measured_us;
  };
  struct Measured {  // by the tuner
    std::string plan;
    double latency_us = 0;
    double predicted_us = 0;  // by the device profile alone
    double by_layers_us = 0;  // with measured prices of layers in place of predicted ones
  };
  struct Predicted {  // by the cost model, for the target
    double latency_us_fused = 0;
    double latency_us_sequential = 0;
    uint64_t peak_memory_bytes = 0;
    double floor_us = 0;  // no plan is faster: arithmetic at the peak, each weight read once; 0: not known
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
  std::vector<Measured> measured;  // plans tried by the tuner; the last one is that of the model
  std::vector<Region> regions;     // with StitchOptions::explain
  Predicted predicted;
};

struct Stitched {
  Model model;
  StitchReport report;
  std::string plan;  // JSON, to be replayed by StitchOptions::plan
};

// What a plan file says of itself, without the models: groups, predicted and measured latency, peak memory
// and regions. `file` is for messages. kUsage when it is malformed, or carries no alternatives
// (Stitched::plan does with StitchOptions::explain, and when it was tuned).
Result<StitchReport> explain_plan(std::string_view plan, const std::string& file);

// Canonicalises, finds what is shared, aligns, plans and stitches. kUsage for duplicate names, a bad
// share_inputs entry or target, kModel for a model that cannot be brought to the common opset.
Result<Stitched> stitch(std::vector<Model> models, const StitchOptions& options = {});

}  // namespace mts
