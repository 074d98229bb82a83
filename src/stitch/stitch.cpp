#include "base/log.h"
#include "plan/plan.h"
#include "plan/profile.h"
#include "stitch/emit.h"
#include "stitch/report.h"
#include "stitch/shared_inputs.h"

#include <mts/align.h>
#include <mts/canonicalise.h>
#include <mts/model_io.h>
#include <mts/share.h>
#include <mts/stitch.h>

#include <algorithm>
#include <map>
#include <set>

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

}  // namespace

Result<Stitched> stitch(std::vector<Model> models, const StitchOptions& options) {
  if (models.empty()) return fail(ErrorCode::kUsage, "there is no model to stitch");
  using Mode = StitchOptions::Strategy;
  MTS_TRY(check_names(models));
  MTS_ASSIGN(const DeviceProfile profile, find_profile(options.target));
  Stitched stitched;
  StitchReport& report = stitched.report;
  report.inputs = describe_inputs(models);
  for (size_t m = 0; m < models.size(); ++m)
    if (!models[m].path.empty()) {
      MTS_ASSIGN(report.inputs[m].sha256, sha256_of_file(models[m].path));
    }
  report.unique_weight_bytes = unique_weight_bytes(models);
  MTS_ASSIGN(const std::vector<SharedInput> shared_inputs,
             resolve_shared_inputs(models, options.share_inputs));
  MTS_TRY(check_input_names(models, shared_inputs));
  MTS_TRY(canonicalise(models, {.keep_metadata = options.keep_metadata}));
  if (options.recover.any()) {
    MTS_ASSIGN(RecoverReport recovered, recover(models, options.recover));
    report.recovered = std::move(recovered.weights);
  }
  if (!options.independent_dims) report.assumptions = assumptions_of(models);
  std::vector<ShapeFacts> facts;
  for (Model& model : models) {
    MTS_ASSIGN(facts.emplace_back(), infer_types(model));
  }
  Metadata metadata = fused_metadata(models, shared_inputs, options, report);
  const SymbolicShapes shapes =
      options.independent_dims ? SymbolicShapes{} : replace_symbolic_shapes(models, facts);
  std::vector<SharedInput> common = shared_inputs;
  common.insert(common.end(), shapes.inputs.begin(), shapes.inputs.end());

  const WeightClasses classes = classify_weights(models);
  const bool merge = options.strategy == Mode::kAuto || options.strategy == Mode::kStitch;
  const Numbering numbering =
      number_values(models, classes, common, {.merge_nodes = merge, .merge_constants = true});
  const Alignment alignment = align(models, classes, numbering);
  const Program program =
      make_program(models, alignment, numbering, {.independent_dims = options.independent_dims});
  const bool duplicates = options.strategy == Mode::kNetfuse;
  const CostModel cost(profile);
  const Plan plan = make_plan(program, cost, {.strategy = options.strategy, .allow_duplicates = duplicates});

  Model& fused = stitched.model;
  fused.name = "fused";
  fused.producer_name = "mts";
  for (const Model& model : models) {
    fused.ir_version = std::max(fused.ir_version, model.ir_version);
    for (const auto& [domain, version] : model.opsets)
      fused.opsets[domain] = std::max(fused.opsets[domain], version);
  }
  fused.graph = emit(program, plan, numbering, shared_inputs, shapes,
                     {.allow_duplicates = duplicates,
                      .keep_metadata = options.keep_metadata,
                      .independent_dims = options.independent_dims});
  MTS_TRY(fused.graph.sort());
  MTS_TRY(verify_ir(fused));
  describe_plan(program, plan, report);
  fused.metadata = std::move(metadata);
  report.output_nodes = static_cast<int64_t>(fused.graph.order().size());
  report.output_weight_bytes = weight_bytes(fused);
  return stitched;
}

}  // namespace mts
