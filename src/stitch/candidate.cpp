#include "stitch/candidate.h"

#include <mts/align.h>

namespace mts {

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
    if (is_weight(one.weight->dtype())) candidate->unique_bytes += one.weight->byte_size();
  return candidate;
}

}  // namespace mts
