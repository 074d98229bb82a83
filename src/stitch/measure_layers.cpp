#include "stitch/measure_layers.h"

#include "base/log.h"
#include "plan/lane_cost.h"
#include "plan/lanes.h"
#include "stitch/layer_model.h"
#include "stitch/tune_cache.h"

#include <mts/version.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace mts {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kSchemaVersion = 1;
// Of one tiny model: less is noise, more is wasted.
constexpr double kLeastSeconds = 0.01, kMostSeconds = 0.2;
// Enough for the caches of any processor, and read in some ten milliseconds.
constexpr double kMostEvicted = 96e6;

// A layer in one way, as large as it occurs.
struct Way {
  const Column* column = nullptr;
  LanePlan lane;  // of all its members; the option counts where it is stitched
  Strategy strategy = Strategy::kApart;
};

std::string text_of(const Way& way) {
  std::string text(name_of(way.strategy));
  if (way.strategy == Strategy::kApart) return text;
  for (const auto* forms : {&way.lane.option.operands, &way.lane.option.outputs})
    for (const Form& form : *forms) text += " " + to_string(form);
  return fmt::format("{} {}", text, way.lane.option.variant);
}

// 2, 4, ... and all. Nodes that are apart run model by model, each after all layers of the one before: many
// take as many times as long as one.
std::set<size_t> sizes_of(const Way& way) {
  if (way.strategy == Strategy::kApart) return {1};
  const size_t all = way.lane.members.size();
  std::set<size_t> sizes{all};
  for (size_t size = 2; size < all; size *= 2) sizes.insert(size);
  return sizes;
}

// The first `size` members in that way; no lanes where the rule does not offer it for so few.
std::vector<LanePlan> lanes_of(const Way& way, size_t size, const Program& program,
                               const WeightUse& weights) {
  const auto begin = way.lane.members.begin();
  const std::vector<uint32_t> members(begin, begin + static_cast<std::ptrdiff_t>(size));
  if (way.strategy == Strategy::kApart) return apart_lanes(members);
  if (size == way.lane.members.size()) return {way.lane};
  const auto& operands = way.lane.option.operands;
  const Proposal proposal = propose_lane(program, *way.column, members, weights, false,
                                         [&](size_t operand) -> std::vector<Placement> {
                                           if (operand >= operands.size() || !operands[operand].is_fused())
                                             return {};
                                           return {operands[operand].placement};
                                         });
  for (const Option& option : proposal.options)
    if (option.strategy == way.strategy && option.operands == operands) return {{members, option}};
  return {};
}

class Layers {
 public:
  Layers(Program& program, const CostModel& cost, const Tuner& tuner, double seconds)
      : program_(program),
        cost_(cost),
        tuner_(tuner),
        seconds_(seconds),
        weights_(program, false),
        result_{.layers = number_layers(program, tuner.dims), .measurements = {}} {
    double constants = 0;
    for (const WeightPtr& weight : program.weights)
      if (weight != nullptr) constants += static_cast<double>(weight->byte_size());
    evicted_ = static_cast<uint64_t>(std::min(constants, kMostEvicted));
  }

  Result<MeasuredLayers> run();

 private:
  struct Measurable {
    double price = 0;  // predicted nanoseconds of all its nodes apart
    std::map<Strategy, Way> ways;
  };
  struct Candidate {
    std::string text;
    Strategy strategy;
    size_t members;
    std::vector<LanePlan> lanes;
    const Column* column;
  };
  void find_ways();
  void add_way(const Column& column, LanePlan lane, Strategy strategy);
  double predicted(const Candidate& candidate) const;  // seconds
  Result<void> measure(uint32_t layer, double seconds);

  Program& program_;
  const CostModel& cost_;
  const Tuner& tuner_;
  double seconds_;
  uint64_t evicted_ = 0;  // bytes of the other layers' weights
  WeightUse weights_;
  MeasuredLayers result_;
  std::map<uint32_t, Measurable> layers_;
  double price_ = 0;  // of everything apart
};

void Layers::add_way(const Column& column, LanePlan lane, Strategy strategy) {
  const uint32_t layer = column.members[lane.members.front()].layer;
  Way& way = layers_[layer].ways[strategy];
  if (way.column == nullptr || way.lane.members.size() < lane.members.size())
    way = {&column, std::move(lane), strategy};
}

void Layers::find_ways() {
  const auto is_layer = [&](const Column& column, std::span<const uint32_t> members) {
    const Member& first = column.members[members.front()];
    return first.layer != kNoLayer && !runs_inside_producer(program_, first, cost_) &&
           std::ranges::all_of(members, [&](uint32_t m) { return column.members[m].layer == first.layer; });
  };
  // What prices would stitch, and what can be stitched at all.
  std::vector<Plan> plans;
  for (const auto strategy : {StitchOptions::Strategy::kAuto, StitchOptions::Strategy::kStitch})
    plans.push_back(make_plan(program_, cost_, {.strategy = strategy}));
  for (size_t c = 0; c < program_.columns.size(); ++c) {
    const Column& column = program_.columns[c];
    for (const Member& member : column.members)
      price_ += static_cast<double>(member_cost(program_, member, cost_));
    if (column.members.size() < 2) continue;
    for (const Plan& plan : plans)
      for (const LanePlan& lane : plan.columns[c].lanes)
        if (lane.fused() && is_layer(column, lane.members)) add_way(column, lane, lane.option.strategy);
    std::map<uint32_t, std::vector<uint32_t>> alike;
    for (uint32_t m = 0; m < column.members.size(); ++m) {
      const uint32_t one[] = {m};
      if (is_layer(column, one)) alike[column.members[m].layer].push_back(m);
    }
    for (auto& [layer, members] : alike) {
      for (const uint32_t m : members)
        layers_[layer].price += static_cast<double>(member_cost(program_, column.members[m], cost_));
      add_way(column, {std::move(members), {}}, Strategy::kApart);
    }
  }
  // What nothing would stitch needs no figures.
  std::erase_if(layers_, [](const auto& one) { return one.second.ways.size() < 2; });
}

// Of the tiny model: with what bringing images into the device's own layout and back takes there.
double Layers::predicted(const Candidate& candidate) const {
  Nanoseconds sum = cost_.run();
  for (const LanePlan& lane : candidate.lanes) {
    sum += lane_cost(program_, *candidate.column, cost_, lane);
    std::set<Number> images;
    for (const uint32_t m : lane.members) {
      const Member& member = candidate.column->members[m];
      for (const auto* numbers : {&member.operands, &member.outputs})
        for (const Number number : *numbers)
          if (number != kNoNumber && program_.weights[number] == nullptr) images.insert(number);
    }
    double bytes = 0;
    const Type* type = nullptr;
    for (const Number number : images)
      if (program_.types[number].has_rank() && program_.types[number].rank() >= 4) {
        bytes += program_.bytes[number];
        type = &program_.types[number];
      }
    if (type != nullptr) sum += cost_.view(*type, bytes);
  }
  return static_cast<double>(sum) / 1e9;
}

Result<void> Layers::measure(uint32_t layer, double seconds) {
  std::vector<Candidate> candidates;
  for (const auto& [strategy, way] : layers_.at(layer).ways)
    for (const size_t size : sizes_of(way)) {
      if (auto lanes = lanes_of(way, size, program_, weights_); !lanes.empty())
        candidates.push_back(
            {fmt::format("{} x{}", text_of(way), size), strategy, size, std::move(lanes), way.column});
    }
  const std::string key =
      fmt::format("{}|{} MB before|{}|{}", result_.layers[layer], evicted_ >> 20, version(), tuner_.device);
  const std::string file = tuner_.cache.empty() ? "" : cache_path(tuner_.cache + "/layers", key);
  std::map<std::string, double> known;  // seconds
  const Json cached = Json::parse(cached_text(file), nullptr, false);
  const bool fits = cached.is_object() && cached.contains("schema_version") && cached.contains("layer") &&
                    cached.contains("seconds") && cached["schema_version"] == kSchemaVersion &&
                    cached["layer"] == key && cached["seconds"].is_object();
  if (fits)
    for (const auto& [text, value] : cached["seconds"].items())
      if (value.is_number() && value.get<double>() > 0) known[text] = value.get<double>();

  std::vector<Model> models;
  std::vector<std::string> texts;
  for (const Candidate& candidate : candidates) {
    if (known.contains(candidate.text)) continue;
    MTS_ASSIGN(models.emplace_back(), layer_model(program_, *candidate.column, candidate.lanes));
    texts.push_back(candidate.text);
  }
  if (!models.empty() && seconds <= 0) return {};  // too late
  if (!models.empty()) {
    std::vector<const Model*> pointers;
    for (const Model& model : models) pointers.push_back(&model);
    const double each = std::clamp(seconds / static_cast<double>(models.size()), kLeastSeconds, kMostSeconds);
    const auto measured = tuner_.measure(pointers, each, evicted_);
    if (!measured) {
      if (measured.error().code != ErrorCode::kUnsupported) return tl::unexpected(measured.error());
      log::debug("tuning: {} cannot be measured: {}", result_.layers[layer], measured.error().message);
      return {};
    }
    const auto is_time = [](double one) { return std::isfinite(one) && one > 0; };
    if (!std::ranges::all_of(*measured, is_time)) return {};
    for (size_t i = 0; i < texts.size(); ++i) known[texts[i]] = (*measured)[i];
    if (!file.empty())
      keep_cached(file, Json{{"schema_version", kSchemaVersion}, {"layer", key}, {"seconds", known}}.dump(
                            1, ' ', false, Json::error_handler_t::replace));
  }
  for (const Candidate& candidate : candidates) {
    const LayerMeasurement one{.layer = layer,
                               .strategy = candidate.strategy,
                               .members = candidate.members,
                               .predicted = predicted(candidate),
                               .measured = known.at(candidate.text)};
    log::debug("tuning: layer {} {}: {:.1f} us, predicted {:.1f}", result_.layers[layer], candidate.text,
               one.measured * 1e6, one.predicted * 1e6);
    result_.measurements.push_back(one);
  }
  result_.covered += layers_.at(layer).price / price_;
  return {};
}

Result<MeasuredLayers> Layers::run() {
  find_ways();
  std::vector<uint32_t> order;
  double total = 0;
  for (const auto& [layer, what] : layers_) {
    order.push_back(layer);
    total += what.price;
  }
  std::ranges::stable_sort(order, std::ranges::greater{}, [&](uint32_t l) { return layers_.at(l).price; });
  const double end = tuner_.clock() + seconds_;
  for (const uint32_t layer : order) {
    const bool late = tuner_.clock() >= end;
    MTS_TRY(measure(layer, late ? 0 : seconds_ * layers_.at(layer).price / total));
  }
  return std::move(result_);
}

}  // namespace

LayerFigures MeasuredLayers::figures(LayerFigures::Scale scale) const {
  LayerFigures figures(scale);
  for (const LayerMeasurement& one : measurements)
    figures.add(one.layer, one.strategy, one.members, one.predicted, one.measured);
  return figures;
}

Result<MeasuredLayers> measure_layers(Program& program, const CostModel& cost, const Tuner& tuner,
                                      double seconds) {
  return Layers(program, cost, tuner, seconds).run();
}

}  // namespace mts
