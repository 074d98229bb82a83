#include "stitch/tune.h"

#include "base/log.h"
#include "plan/group_search.h"
#include "plan/lane_cost.h"
#include "plan/lanes.h"
#include "plan/signature.h"
#include "plan/similarity.h"
#include "stitch/measure_layers.h"
#include "stitch/tune_cache.h"

#include <mts/version.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <numeric>
#include <optional>
#include <set>
#include <span>

#include <fmt/format.h>

namespace mts {
namespace {

using Mode = StitchOptions::Strategy;

constexpr size_t kAtOnce = 4;     // candidates measured beside the best one
constexpr double kBetter = 0.99;  // less is noise
constexpr size_t kParts = 8;      // of the columns
constexpr size_t kFinalists = 3;
constexpr int kFinalRounds = 3;

// Of the budget, for layers one by one; more of it would be missed by whole plans.
constexpr double kForLayers = 0.4;
constexpr LayerFigures::Scale kScale = LayerFigures::Scale::kRelative;
constexpr double kWholeSeconds = 0.5;  // for each plan that is measured

struct Trial {
  std::string name;
  Program program;
  Plan plan;
  double seconds = 0;
};

class Tuning {
 public:
  Tuning(const Program& program, const CostModel& cost, const CostModel& by_layers,
         const StitchOptions& options, const BuildModel& build, double end)
      : program_(program), cost_(cost), by_layers_(by_layers), options_(options), build_(build), end_(end) {}

  Result<Tuned> run();

 private:
  void propose(const std::string& name, const Groups& groups, PlanOptions options, const CostModel& cost);
  void propose_whole();
  void propose_parts();
  Groups in_pieces(const SimilarityOrder& order, size_t size) const;
  // Measures all that is proposed; the best becomes the best so far.
  Result<void> measure();
  // The best few once more, side by side: the least of many noisy figures flatters.
  Result<void> final_round();
  Result<std::vector<double>> seconds_of(std::span<const Trial* const> trials) const;
  // The decisions of the best one, priced by both models.
  Tuned explained() const;

  const Program& program_;
  const CostModel& cost_;
  const CostModel& by_layers_;  // with the figures of layers
  const StitchOptions& options_;
  const BuildModel& build_;
  double end_;  // of the tuner's clock
  std::vector<std::unique_ptr<Trial>> trials_;
  size_t measured_trials_ = 0;   // the first ones
  std::set<std::string> known_;  // plans that were proposed
  const Trial* best_ = nullptr;
};

void Tuning::propose(const std::string& name, const Groups& groups, PlanOptions options,
                     const CostModel& cost) {
  auto trial = std::make_unique<Trial>();
  trial->name = name;
  trial->program = in_groups(program_, groups);
  options.groups = groups;
  trial->plan = make_plan(trial->program, cost, options);
  if (options_.memory_budget &&
      trial->plan.predicted_memory.peak() > static_cast<double>(*options_.memory_budget))
    return;
  Plan decisions = trial->plan;  // without what they are predicted to cost
  decisions.predicted = decisions.predicted_apart = decisions.predicted_sequential = 0;
  if (!known_.insert(to_json(trial->program, decisions, {})).second) return;
  trials_.push_back(std::move(trial));
}

Groups Tuning::in_pieces(const SimilarityOrder& order, size_t size) const {
  Groups groups;
  for (size_t i = 0; i < order.models.size(); ++i) {
    if (groups.empty() || groups.back().size() == size || order.related[i] < 0.5) groups.emplace_back();
    groups.back().push_back(order.models[i]);
  }
  return groups;
}

void Tuning::propose_whole() {
  const size_t count = program_.models->size();
  GroupSearchOptions search;
  if (options_.memory_budget) search.memory_budget = static_cast<double>(*options_.memory_budget);
  if (const auto groups = choose_groups(program_, cost_, search)) propose("predicted", *groups, {}, cost_);
  if (by_layers_.figures() != nullptr)
    if (const auto groups = choose_groups(program_, by_layers_, search))
      propose("by layers", *groups, {}, by_layers_);
  propose("apart", one_group(count), {.strategy = Mode::kConcat}, cost_);
  const SimilarityOrder order = order_by_similarity(program_, cost_);
  for (size_t size = 1; size < 2 * count; size *= 2) {
    const Groups groups = size >= count ? one_group(count) : in_pieces(order, size);
    if (size > 1)
      propose(fmt::format("stitched, groups of {}", std::min(size, count)), groups,
              {.strategy = Mode::kStitch}, cost_);
    propose(fmt::format("where it pays, groups of {}", std::min(size, count)), groups, {}, by_layers_);
  }
}

void Tuning::propose_parts() {
  // Parts of about equal predicted time, in the order of the undivided columns.
  std::vector<double> prices(program_.columns.size(), 0);
  const Plan apart = make_plan(program_, cost_, {.strategy = Mode::kConcat, .explain = true});
  for (size_t c = 0; c < prices.size(); ++c)
    for (const Alternative& alternative : apart.columns[c].alternatives)
      prices[c] = static_cast<double>(alternative.cost);
  const double total = std::accumulate(prices.begin(), prices.end(), 0.0);
  std::vector<size_t> part_of(prices.size());
  double before = 0;
  for (size_t c = 0; c < prices.size(); ++c) {
    part_of[c] = std::min(kParts - 1, static_cast<size_t>(before / std::max(total, 1.0) * kParts));
    before += prices[c];
  }
  const Trial* const best = best_;
  const Groups groups = best->plan.groups;
  for (size_t part = 0; part < kParts; ++part)
    for (const Force force : {Force::kApart, Force::kStitched}) {
      // The rest stays as it is in the best plan: apart where all of a column is.
      PlanOptions options;
      options.forced.assign(prices.size(), Force::kApart);
      for (size_t c = 0; c < best->plan.columns.size(); ++c)
        if (best->plan.columns[c].strategy != Strategy::kApart)
          options.forced[best->program.columns[c].id] = Force::kNone;
      for (size_t c = 0; c < prices.size(); ++c)
        if (part_of[c] == part) options.forced[c] = force;
      propose(
          fmt::format("{}, part {} {}", best->name, part + 1, force == Force::kApart ? "apart" : "stitched"),
          groups, options, by_layers_);
    }
}

Result<std::vector<double>> Tuning::seconds_of(std::span<const Trial* const> trials) const {
  std::vector<Model> models;
  for (const Trial* trial : trials) {
    MTS_ASSIGN(models.emplace_back(), build_(trial->program, trial->plan));
  }
  std::vector<const Model*> pointers;
  for (const Model& model : models) pointers.push_back(&model);
  return options_.tuner->measure(pointers, kWholeSeconds, 0);
}

Result<void> Tuning::measure() {
  while (measured_trials_ < trials_.size()) {
    if (best_ != nullptr && options_.tuner->clock() >= end_) {
      log::debug("tuning: no time for {} plans", trials_.size() - measured_trials_);
      trials_.resize(measured_trials_);
      break;
    }
    std::vector<const Trial*> together;
    if (best_ != nullptr) together.push_back(best_);
    const size_t begin = measured_trials_, end = std::min(begin + kAtOnce, trials_.size());
    for (size_t i = begin; i < end; ++i) together.push_back(trials_[i].get());
    MTS_ASSIGN(const std::vector<double> seconds, seconds_of(together));
    // Relative to the best one so far, which was measured beside them.
    const double scale = best_ != nullptr ? best_->seconds / seconds.front() : 1;
    for (size_t i = begin; i < end; ++i) {
      trials_[i]->seconds = seconds[seconds.size() - (end - i)] * scale;
      log::debug("tuning: {}: {:.1f} us", trials_[i]->name, trials_[i]->seconds * 1e6);
    }
    for (size_t i = begin; i < end; ++i)
      if (best_ == nullptr || trials_[i]->seconds < kBetter * best_->seconds) best_ = trials_[i].get();
    measured_trials_ = end;
  }
  return {};
}

Result<void> Tuning::final_round() {
  std::vector<Trial*> finalists;
  for (const auto& trial : trials_) finalists.push_back(trial.get());
  std::ranges::stable_sort(finalists, {}, [](const Trial* trial) { return trial->seconds; });
  finalists.resize(std::min(finalists.size(), kFinalists));
  Trial* const predicted = trials_.front().get();
  if (std::ranges::find(finalists, predicted) == finalists.end()) finalists.push_back(predicted);
  const std::vector<const Trial*> together(finalists.begin(), finalists.end());
  std::vector<double> sums(finalists.size(), 0);
  for (int round = 0; round < kFinalRounds; ++round) {
    MTS_ASSIGN(const std::vector<double> seconds, seconds_of(together));
    for (size_t i = 0; i < sums.size(); ++i) sums[i] += seconds[i] / kFinalRounds;
  }
  for (size_t i = 0; i < sums.size(); ++i) finalists[i]->seconds = sums[i];
  // What prices propose stays unless something else is clearly faster.
  best_ = predicted;
  for (const Trial* trial : finalists)
    if (trial->seconds < (best_ == predicted ? kBetter : 1.0) * best_->seconds) best_ = trial;
  return {};
}

Result<Tuned> Tuning::run() {
  propose_whole();
  if (trials_.empty())
    return fail(ErrorCode::kCheckFailed,
                "no plan keeps the memory budget; mts stitch without --tune says why");
  MTS_TRY(measure());
  propose_parts();
  MTS_TRY(measure());
  MTS_TRY(final_round());
  return explained();
}

Tuned Tuning::explained() const {
  Tuned tuned{.program = best_->program, .plan = best_->plan};
  Plan& plan = tuned.plan;
  const auto priced = [&](const Trial& trial) {
    return MeasuredPlan{.name = trial.name,
                        .measured = std::llround(trial.seconds * 1e9),
                        .predicted = predicted_time(trial.program, cost_, trial.plan.columns),
                        .by_layers = predicted_time(trial.program, by_layers_, trial.plan.columns)};
  };
  for (const auto& trial : trials_) plan.measured.push_back(priced(*trial));
  plan.measured.push_back(priced(*best_));
  const Plan predicted = make_plan(tuned.program, cost_, {.strategy = Mode::kConcat});
  plan.predicted = plan.measured.back().predicted;
  plan.predicted_apart = predicted.predicted_apart;
  const Plan alternatives = make_plan(tuned.program, by_layers_, {.explain = true});
  for (size_t c = 0; c < plan.columns.size(); ++c) {
    ColumnPlan& column = plan.columns[c];
    column.alternatives = alternatives.columns[c].alternatives;
    if (std::ranges::find(column.alternatives, column.strategy, &Alternative::strategy) !=
        column.alternatives.end())
      continue;
    Alternative own{.strategy = column.strategy, .cost = 0, .measured = {}};
    for (const LanePlan& lane : column.lanes)
      own.cost += lane_cost(tuned.program, tuned.program.columns[c], cost_, lane);
    column.alternatives.push_back(own);
  }
  return tuned;
}

// ---- the cache ------------------------------------------------------------------------------------------

std::string cache_file(const Program& program, const StitchOptions& options, const PlanFlags& flags) {
  const Groups all = one_group(program.models->size());
  const Signature signature = Signatures(program).of(all.front());
  std::string key = fmt::format("{}|{}|{:x}{:x}|{}|{}", version(), options.tuner->device, signature.high,
                                signature.low, options.memory_budget.value_or(0), flags.target);
  for (const Model& model : *program.models) key += "|" + model.name;
  return cache_path(options.tuner->cache, key);
}

// A cache that cannot be read or does not fit is no error: it is measured again.
std::optional<Tuned> cached(const Program& program, const std::string& file) {
  const std::string text = cached_text(file);
  if (text.empty()) return std::nullopt;
  const auto recorded = parse_plan(text, file);
  if (!recorded) return std::nullopt;
  const auto groups = recorded_groups(*recorded, program, file);
  if (!groups) return std::nullopt;
  Tuned tuned;
  tuned.program = in_groups(program, *groups);
  auto plan = replay(*recorded, tuned.program, *groups, file);
  if (!plan) return std::nullopt;
  tuned.plan = std::move(*plan);
  return tuned;
}

double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

Result<Tuned> tune(const Program& program, const CostModel& cost, const StitchOptions& given,
                   const PlanFlags& flags, const BuildModel& build) {
  const bool caches = !given.tuner->cache.empty();
  const std::string file = caches ? cache_file(program, given, flags) : "";
  if (caches) {
    if (std::optional<Tuned> known = cached(program, file)) {
      log::debug("tuning: taken from {}", file);
      return std::move(*known);
    }
  }
  Tuner tuner = *given.tuner;
  if (!tuner.clock) tuner.clock = steady_seconds;
  StitchOptions options = given;
  options.tuner = &tuner;
  const double begin = tuner.clock();
  Program layered = program;
  MTS_ASSIGN(const MeasuredLayers layers, measure_layers(layered, cost, tuner, kForLayers * tuner.budget));
  log::debug("tuning: measured layers make up {:.0f} % of the predicted time", 100 * layers.covered);
  auto figures = std::make_shared<const LayerFigures>(layers.figures(kScale));
  // Types and sizes of the program as it was: only the measured ones have known sizes.
  layered.types = program.types;
  const CostModel by_layers = cost.with(figures->empty() ? nullptr : std::move(figures));
  MTS_ASSIGN(Tuned tuned, Tuning(layered, cost, by_layers, options, build, begin + tuner.budget).run());
  if (caches) keep_cached(file, to_json(tuned.program, tuned.plan, flags));
  return tuned;
}

}  // namespace mts
