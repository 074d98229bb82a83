#include "stitch/candidate.h"

#include "plan/group_search.h"

#include <mts/align.h>

#include <algorithm>
#include <utility>

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

// Divides `program` into groups where that is asked for, or predicted to be faster.
Result<Plan> plan_in_groups(Program& program, const CostModel& cost, const PlanOptions& plan_options,
                            const StitchOptions& options) {
  const bool asked = options.groups > 0 || options.memory_budget || options.latency_budget;
  GroupSearchOptions search;
  search.plan = plan_options;
  search.groups = options.groups;
  if (options.memory_budget) search.memory_budget = static_cast<double>(*options.memory_budget);
  if (options.latency_budget) search.latency_budget = *options.latency_budget * 1e9;
  const auto plan_for = [&](const Groups& groups) {
    Program divided = in_groups(program, groups);
    PlanOptions with_groups = plan_options;
    with_groups.groups = groups;
    Plan plan = make_plan(divided, cost, with_groups);
    return std::pair(std::move(divided), std::move(plan));
  };
  if (!asked) {
    Plan whole = make_plan(program, cost, plan_options);
    if (options.strategy != StitchOptions::Strategy::kAuto || program.models->size() < 2) return whole;
    search.whole = &whole;
    MTS_ASSIGN(const Groups groups, choose_groups(program, cost, search));
    if (groups.size() == 1) return whole;
    auto [divided, plan] = plan_for(groups);
    // Predictions are not as good as that: 16 ResNet-18 in fours, predicted to gain 2 %, lost 9 %.
    if (static_cast<double>(plan.predicted) > 0.97 * static_cast<double>(whole.predicted)) return whole;
    program = std::move(divided);
    return std::move(plan);
  }
  // What several groups need is held from one to the next: the pieces do not know of it.
  for (;;) {
    MTS_ASSIGN(const Groups groups, choose_groups(program, cost, search));
    auto [divided, plan] = plan_for(groups);
    const double over = options.memory_budget
                            ? plan.predicted_memory.peak() - static_cast<double>(*options.memory_budget)
                            : 0;
    if (over <= 0) {
      program = std::move(divided);
      return std::move(plan);
    }
    search.held += over;
  }
}

}  // namespace

Result<std::unique_ptr<Candidate>> make_candidate(std::vector<Model> models,
                                                  const std::vector<ShapeFacts>& facts,
                                                  const std::vector<SharedInput>& shared_inputs,
                                                  const Planner& planner, const StitchOptions& options) {
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
  const PlanOptions plan_options{.strategy = options.strategy,
                                 .allow_duplicates = options.strategy == Mode::kNetfuse,
                                 .explain = options.explain};
  if (planner.recorded != nullptr) {
    MTS_ASSIGN(const Groups groups,
               recorded_groups(*planner.recorded, candidate->program, options.plan_file));
    if (groups.size() > 1) candidate->program = in_groups(candidate->program, groups);
    MTS_ASSIGN(candidate->plan, replay(*planner.recorded, candidate->program, groups, options.plan_file));
  } else {
    // What is tuned is divided afterwards.
    if (options.tuner != nullptr) {
      candidate->plan = make_plan(candidate->program, planner.cost, plan_options);
    } else {
      MTS_ASSIGN(candidate->plan, plan_in_groups(candidate->program, planner.cost, plan_options, options));
    }
  }
  for (const WeightClasses::Class& one : classes.classes)
    if (is_weight(one.weight->dtype()) && !is_fill(*one.weight))
      candidate->unique_bytes += one.weight->byte_size();
  return candidate;
}

}  // namespace mts
