#include "stitch/candidate.h"

#include <mts/align.h>

#include <algorithm>

namespace mts {
namespace {

// Zeros or ones that a rewriting may have made up (contract 3): no reason against it.
constexpr size_t kGeneratedBytes = 1024;

bool is_fill(const Weight& weight) {
  if (weight.byte_size() > kGeneratedBytes || weight.element_count() < 2) return false;
  const std::vector<double> values = weight.as_doubles();
  return !values.empty() && (values.front() == 0 || values.front() == 1) &&
         std::ranges::all_of(values, [&](double value) { return value == values.front(); });
}

}  // namespace

std::unique_ptr<Candidate> make_candidate(std::vector<Model> models, const std::vector<ShapeFacts>& facts,
                                          const std::vector<SharedInput>& shared_inputs,
                                          const CostModel& cost, const StitchOptions& options) {
  using Mode = StitchOptions::Strategy;
  auto candidate = std::make_unique<Candidate>();
  candidate->models = std::move(models);
  if (!options.independent_dims) candidate->shapes = replace_symbolic_shapes(candidate->models, facts);
  std::vector<SharedInput> common = shared_inputs;
  common.insert(common.end(), candidate->shapes.inputs.begin(), candidate->shapes.inputs.end());
  const WeightClasses classes = classify_weights(candidate->models);
  const bool merge = options.strategy == Mode::kAuto || options.strategy == Mode::kStitch;
  candidate->numbering =
      number_values(candidate->models, classes, common, {.merge_nodes = merge, .merge_constants = true});
  const Alignment alignment = align(candidate->models, classes, candidate->numbering);
  candidate->program = make_program(candidate->models, alignment, candidate->numbering,
                                    {.independent_dims = options.independent_dims});
  candidate->plan =
      make_plan(candidate->program, cost,
                {.strategy = options.strategy, .allow_duplicates = options.strategy == Mode::kNetfuse});
  for (const WeightClasses::Class& one : classes.classes)
    if (is_weight(one.weight->dtype()) && !is_fill(*one.weight))
      candidate->unique_bytes += one.weight->byte_size();
  return candidate;
}

std::vector<Model> copy_models(const std::vector<Model>& models) {
  std::vector<Model> copies;
  for (const Model& model : models) {
    Model& copy = copies.emplace_back();
    copy.name = model.name;
    copy.path = model.path;
    copy.ir_version = model.ir_version;
    copy.opsets = model.opsets;
    copy.producer_name = model.producer_name;
    copy.producer_version = model.producer_version;
    copy.domain = model.domain;
    copy.doc = model.doc;
    copy.model_version = model.model_version;
    copy.metadata = model.metadata;
    copy.extra = model.extra;
    copy.graph = std::move(*model.graph.clone());
  }
  return copies;
}

}  // namespace mts
