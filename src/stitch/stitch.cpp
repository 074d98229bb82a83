#include "base/parallel.h"
#include "partial/partial.h"
#include "plan/plan_json.h"
#include "plan/profile.h"
#include "stitch/candidate.h"
#include "stitch/emit.h"
#include "stitch/regions.h"
#include "stitch/report.h"
#include "stitch/shared_inputs.h"
#include "stitch/split_price.h"
#include "stitch/tune.h"

#include <mts/canonicalise.h>
#include <mts/model_io.h>
#include <mts/stitch.h>

#include <algorithm>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>

namespace mts {
namespace {

Result<void> check_names(const std::vector<Model>& models) {
  std::set<std::string> names;
  for (const Model& model : models) {
    if (model.name.empty())
      return fail(ErrorCode::kUsage, "a model has no name; write name=path",
                  {.file = model.path, .node = {}, .value = {}});
    if (!names.insert(model.name).second)
      return fail(ErrorCode::kUsage,
                  "two models are called \"" + model.name + "\"; write name=path to name them apart",
                  {.file = model.path, .node = {}, .value = {}});
  }
  return {};
}

// SHA-256 of the models' files, for the metadata. They are read whole for it: on all cores, and beside all
// that is done meanwhile, of which a good part runs on one.
class FileDigests {
 public:
  FileDigests(const std::vector<Model>& models, const StitchReport& report) {
    uint64_t bytes = 0;
    for (const StitchReport::Input& input : report.inputs) bytes += input.weight_bytes;
    std::vector<std::string> paths;
    for (const Model& model : models) paths.push_back(model.path);
    const size_t threads = threads_for(bytes);
    const auto digest = [paths = std::move(paths), threads] {
      std::vector<Result<std::string>> digests(paths.size());
      for_each_parallel(paths.size(), threads, [&](size_t m) {
        if (!paths[m].empty()) digests[m] = sha256_of_file(paths[m]);
      });
      return digests;
    };
    digests_ = std::async(threads > 1 ? std::launch::async : std::launch::deferred, digest);
  }

  // Waits. The error is that of the first file that cannot be read.
  Result<void> write_to(StitchReport& report) {
    std::vector<Result<std::string>> digests = digests_.get();
    for (size_t m = 0; m < digests.size(); ++m) {
      MTS_ASSIGN(report.inputs[m].sha256, std::move(digests[m]));
    }
    return {};
  }

 private:
  std::future<std::vector<Result<std::string>>> digests_;
};

Result<std::vector<ShapeFacts>> infer_all(std::vector<Model>& models) {
  std::vector<ShapeFacts> facts(models.size());
  const auto infer = [&](size_t m) -> Result<void> {
    MTS_ASSIGN(facts[m], infer_types(models[m]));
    return {};
  };
  MTS_TRY(try_each_parallel(models.size(), infer));
  return facts;
}

// Input names of the fused graph must be unique too: a shared NAME may collide with `model/input`.
Result<void> check_input_names(const std::vector<Model>& models,
                               const std::vector<SharedInput>& shared_inputs) {
  std::set<ValueRef> shared;
  for (const SharedInput& input : shared_inputs) shared.insert(input.members.begin(), input.members.end());
  std::set<std::string> names;
  for (const SharedInput& input : shared_inputs) names.insert(input.name);
  for (uint32_t m = 0; m < models.size(); ++m) {
    for (const ValueId id : models[m].graph.inputs())
      if (!shared.contains({m, id}) &&
          !names.insert(models[m].name + "/" + models[m].graph.value(id).name).second)
        return fail(ErrorCode::kUsage, "two inputs of the fused model would be called \"" + models[m].name +
                                           "/" + models[m].graph.value(id).name + "\"");
    for (const ValueId id : models[m].graph.outputs())
      if (const bool echoed = models[m].graph.is_input(id) && !shared.contains({m, id});
          !echoed && !names.insert(models[m].name + "/" + models[m].graph.value(id).name).second)
        return fail(ErrorCode::kUsage,
                    "an output of the fused model would have the name of another value: \"" + models[m].name +
                        "/" + models[m].graph.value(id).name + "\"");
  }
  return {};
}

// Equal symbols of different models are taken to be equal sizes; the user is told which.
std::vector<std::string> assumptions_of(const std::vector<Model>& models) {
  std::map<std::string, std::vector<std::string>> readers;
  for (const Model& model : models) {
    std::set<std::string> symbols;
    for (const ValueId id : model.graph.inputs())
      if (const Type& type = model.graph.value(id).type; type.has_rank())
        for (const Dim& dim : *type.shape)
          if (dim.is_symbolic()) symbols.insert(dim.symbol);
    for (const std::string& symbol : symbols) readers[symbol].push_back(model.name);
  }
  std::vector<std::string> assumptions;
  for (const auto& [symbol, names] : readers) {
    if (names.size() < 2) continue;
    std::string list;
    for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
    assumptions.push_back("the dimension \"" + symbol + "\" has one size at run time in " + list);
  }
  return assumptions;
}

// Bytes first, or predicted latency.
std::pair<int64_t, int64_t> rank(const Candidate& candidate, const StitchOptions& options) {
  const auto bytes = static_cast<int64_t>(candidate.unique_bytes);
  return options.objective == StitchOptions::Objective::kBytes ? std::pair(bytes, candidate.plan.predicted)
                                                               : std::pair(candidate.plan.predicted, bytes);
}

// How far weights are taken apart: all the way, for latency as far as it pays, or as the recorded plan says.
std::vector<partial::Splitting> splittings_to_try(const std::vector<Model>& models,
                                                  const std::vector<SharedInput>& shared_inputs,
                                                  const Planner& planner, const StitchOptions& options) {
  using partial::Depth;
  if (planner.recorded != nullptr) {
    const auto recorded = partial::splitting_of(planner.recorded->flags.partial);
    return recorded ? std::vector{*recorded} : std::vector<partial::Splitting>{};
  }
  if (options.strategy != StitchOptions::Strategy::kAuto &&
      options.strategy != StitchOptions::Strategy::kStitch)
    return {};
  if (options.objective == StitchOptions::Objective::kBytes) return {{Depth::kFull}};
  partial::Splitting layers{Depth::kLayers};
  bool all = true;
  for (const partial::LayerSplit& split : partial::possible_splits(models, shared_inputs)) {
    if (pays(split, models, planner.cost))
      layers.layers.push_back(split.set);
    else
      all = false;
  }
  std::vector<partial::Splitting> splittings = {{Depth::kFull}, {Depth::kBySharers}, {Depth::kLarge}};
  if (!all && !layers.layers.empty()) splittings.push_back(std::move(layers));
  return splittings;
}

std::vector<Model> clones_of(const std::vector<Model>& models) {
  std::vector<Model> clones;
  for (const Model& model : models) clones.push_back(model.clone());
  return clones;
}

// With what is shared inside weights split off. nullptr where nothing is shared.
Result<std::unique_ptr<Candidate>> best_split(std::vector<Model> models,
                                              const std::vector<SharedInput>& shared_inputs,
                                              const Planner& planner, const StitchOptions& options,
                                              StitchReport& report) {
  std::unique_ptr<Candidate> best;
  const std::vector<partial::Splitting> splittings =
      splittings_to_try(models, shared_inputs, planner, options);
  for (const partial::Splitting& splitting : splittings) {
    std::vector<Model> copies = &splitting == &splittings.back() ? std::move(models) : clones_of(models);
    MTS_ASSIGN(const partial::Report parts, partial::split_shared_parts(copies, shared_inputs, splitting));
    if (!parts.changed) continue;
    MTS_ASSIGN(const std::vector<ShapeFacts> facts, infer_all(copies));
    MTS_ASSIGN(std::unique_ptr<Candidate> split,
               make_candidate(std::move(copies), facts, shared_inputs, planner, options));
    if (best != nullptr && rank(*best, options) <= rank(*split, options)) continue;
    report.partial = {.row_splits = parts.row_splits,
                      .block_splits = parts.block_splits,
                      .tables = parts.tables,
                      .unique_bytes = split->unique_bytes,
                      .latency_us = static_cast<double>(split->plan.predicted) / 1000,
                      .everything = splitting.depth == partial::Depth::kFull};
    split->partial = partial::name_of(splitting);
    best = std::move(split);
  }
  return best;
}

// Weights whole, or with what is shared inside them split off: by bytes, then by predicted latency, or the
// other way round; or what the recorded plan says.
Result<std::unique_ptr<Candidate>> choose_candidate(std::vector<Model> models, std::vector<ShapeFacts> facts,
                                                    const std::vector<SharedInput>& shared_inputs,
                                                    const Planner& planner, const StitchOptions& options,
                                                    StitchReport& report) {
  std::unique_ptr<Candidate> split, whole;
  std::vector<Model> copies = clones_of(models);
  const auto find_split = [&]() -> Result<void> {
    MTS_ASSIGN(split, best_split(std::move(copies), shared_inputs, planner, options, report));
    return {};
  };
  const auto find_whole = [&]() -> Result<void> {
    MTS_ASSIGN(whole, make_candidate(std::move(models), facts, shared_inputs, planner, options));
    return {};
  };
  if (planner.recorded != nullptr) {  // one of the two
    MTS_TRY(find_split());
    report.partial.chosen = split != nullptr;
    if (split != nullptr) return split;
    MTS_TRY(find_whole());
    return whole;
  }
  MTS_TRY(try_each_parallel(2, [&](size_t i) { return i == 0 ? find_split() : find_whole(); }));
  if (split == nullptr) return whole;
  split->plan.predicted_sequential = whole->plan.predicted_sequential;  // of the models as they were given
  report.whole = {.unique_bytes = whole->unique_bytes,
                  .latency_us = static_cast<double>(whole->plan.predicted) / 1000};
  report.partial.chosen = rank(*split, options) <= rank(*whole, options);
  if (report.partial.chosen) return split;
  report.partial.row_splits = report.partial.block_splits = report.partial.tables = 0;
  return whole;
}

// The recorded plan that the options ask for; its flags that decide what is planned must be those given.
Result<std::optional<RecordedPlan>> recorded_plan(const StitchOptions& options) {
  if (options.plan.empty()) return std::nullopt;
  MTS_ASSIGN(RecordedPlan recorded, parse_plan(options.plan, options.plan_file));
  const auto differs = [&](const std::string& flag) {
    return fail(ErrorCode::kUsage, "the plan was made with another " + flag,
                {.file = options.plan_file, .node = {}, .value = {}});
  };
  if (recorded.flags.share_inputs != options.share_inputs) return differs("--share-input");
  if (recorded.flags.independent_dims != options.independent_dims) return differs("--independent-dims");
  return recorded;
}

// The fused model of a plan, without metadata.
Result<Model> fused_model(const Candidate& candidate, const Program& program, const Plan& plan,
                          const std::vector<SharedInput>& shared_inputs, const StitchOptions& options) {
  Model fused;
  fused.name = "fused";
  fused.producer_name = "mts";
  for (const Model& model : candidate.models) {
    fused.ir_version = std::max(fused.ir_version, model.ir_version);
    for (const auto& [domain, version] : model.opsets)
      fused.opsets[domain] = std::max(fused.opsets[domain], version);
  }
  fused.graph = emit(program, plan, candidate.numbering, shared_inputs, candidate.shapes,
                     {.allow_duplicates = options.strategy == StitchOptions::Strategy::kNetfuse,
                      .keep_metadata = options.keep_metadata,
                      .independent_dims = options.independent_dims});
  MTS_TRY(fused.graph.sort());
  MTS_TRY(verify_ir(fused));
  return fused;
}

}  // namespace

Result<Stitched> stitch(std::vector<Model> models, const StitchOptions& given) {
  if (models.empty()) return fail(ErrorCode::kUsage, "there is no model to stitch");
  MTS_TRY(check_names(models));
  StitchOptions options = given;
  MTS_ASSIGN(const std::optional<RecordedPlan> recorded, recorded_plan(options));
  DeviceProfile profile;
  if (recorded) {
    profile.name = recorded->flags.target;
    options.strategy = recorded->flags.strategy;
    options.objective = recorded->flags.objective;
  } else {
    MTS_ASSIGN(profile, load_profile(options.target));
  }
  Stitched stitched;
  StitchReport& report = stitched.report;
  report.inputs = describe_inputs(models);
  FileDigests digests(models, report);
  report.unique_weight_bytes = unique_weight_bytes(classify_weights(models));
  MTS_ASSIGN(const std::vector<SharedInput> shared_inputs,
             resolve_shared_inputs(models, options.share_inputs));
  MTS_TRY(check_input_names(models, shared_inputs));
  MTS_TRY(canonicalise(models, {.keep_metadata = options.keep_metadata}));
  if (options.recover.any()) {
    MTS_ASSIGN(RecoverReport recovered, recover(models, options.recover));
    report.recovered = std::move(recovered.weights);
  }
  if (!options.independent_dims) report.assumptions = assumptions_of(models);
  MTS_ASSIGN(std::vector<ShapeFacts> facts, infer_all(models));
  const std::vector<Ports> ports = ports_of(models, shared_inputs);
  const CostModel cost = CostModel(profile).with_weights(static_cast<double>(report.unique_weight_bytes));
  MTS_ASSIGN(const std::unique_ptr<Candidate> chosen,
             choose_candidate(std::move(models), std::move(facts), shared_inputs,
                              {.cost = cost, .recorded = recorded ? &*recorded : nullptr}, options, report));
  MTS_TRY(digests.write_to(report));

  const PlanFlags flags{.target = profile.name,
                        .strategy = options.strategy,
                        .objective = options.objective,
                        .share_inputs = options.share_inputs,
                        .independent_dims = options.independent_dims,
                        .partial = chosen->partial};
  const auto build = [&](const Program& program, const Plan& plan) {
    return fused_model(*chosen, program, plan, shared_inputs, options);
  };
  if (options.tuner != nullptr && options.strategy == StitchOptions::Strategy::kAuto && !recorded) {
    MTS_ASSIGN(Tuned tuned, tune(chosen->program, cost, options, flags, build));
    chosen->program = std::move(tuned.program);
    chosen->plan = std::move(tuned.plan);
  }
  MTS_ASSIGN(stitched.model, build(chosen->program, chosen->plan));
  Model& fused = stitched.model;
  describe_plan(chosen->program, chosen->plan, report);
  if (options.explain)
    report.regions = regions_of(chosen->plan.columns, column_names(chosen->program, chosen->plan));
  stitched.plan = to_json(chosen->program, chosen->plan, flags);
  fused.metadata = fused_metadata(ports, options, profile.name, report);
  if (report.groups.size() > 1) fused.metadata.emplace_back("mts.groups", groups_text(report.groups));
  report.strategies["partial_rows"] = report.partial.row_splits;
  report.strategies["partial_blocks"] = report.partial.block_splits;
  report.output_nodes = static_cast<int64_t>(fused.graph.order().size());
  report.output_weight_bytes = weight_bytes(fused);
  return stitched;
}

}  // namespace mts
