#include "stitch/report.h"

#include <algorithm>
#include <map>

#include <nlohmann/json.hpp>

namespace mts {
namespace {

uint64_t weight_bytes(const Graph& graph) {
  uint64_t bytes = 0;
  const auto add = [&bytes](const WeightPtr& weight) {
    if (weight != nullptr && is_weight(weight->dtype())) bytes += weight->byte_size();
  };
  for (size_t i = 0; i < graph.value_count(); ++i) add(graph.value(static_cast<ValueId>(i)).weight);
  for (const NodeId id : graph.order()) {
    for (const Attribute& attribute : graph.node(id).attributes)
      if (const auto* weight = std::get_if<WeightPtr>(&attribute.value)) add(*weight);
    for (const Graph* child : graph.node(id).subgraphs()) bytes += weight_bytes(*child);
  }
  return bytes;
}

}  // namespace

uint64_t weight_bytes(const Model& model) { return weight_bytes(model.graph); }

uint64_t unique_weight_bytes(const WeightClasses& classes) {
  uint64_t bytes = 0;
  for (const WeightClasses::Class& each : classes.classes)
    if (is_weight(each.weight->dtype())) bytes += each.weight->byte_size();
  return bytes;
}

std::vector<StitchReport::Input> describe_inputs(const std::vector<Model>& models) {
  std::vector<StitchReport::Input> inputs;
  for (const Model& model : models)
    inputs.push_back({.name = model.name,
                      .path = model.path,
                      .sha256 = {},
                      .nodes = static_cast<int64_t>(model.graph.order().size()),
                      .weight_bytes = weight_bytes(model)});
  return inputs;
}

void describe_plan(const Program& program, const Plan& plan, StitchReport& report) {
  for (int i = 0; i <= static_cast<int>(Strategy::kApart); ++i)
    report.strategies[std::string(name_of(static_cast<Strategy>(i)))] = 0;
  std::map<std::pair<std::string, std::string>, int64_t> refusals;
  for (size_t c = 0; c < program.columns.size(); ++c) {
    const Column& column = program.columns[c];
    if (column.members.size() == 1 && column.members.front().origins.size() == 1)
      continue;  // of one model only
    ++report.strategies[std::string(name_of(plan.columns[c].strategy))];
    if (plan.columns[c].refusal.empty()) continue;
    const Node& node = program.node(column.members.front());
    ++refusals[{node.domain.empty() ? node.op_type : node.domain + "::" + node.op_type,
                plan.columns[c].refusal}];
  }
  for (const auto& [key, count] : refusals)
    report.refusals.push_back({.op = key.first, .count = count, .reason = key.second});
  std::ranges::stable_sort(report.refusals, std::ranges::greater{}, &Refusal::count);
  for (const std::vector<uint32_t>& models : plan.groups) {
    StitchReport::Group& group = report.groups.emplace_back();
    for (const uint32_t model : models) group.models.push_back((*program.models)[model].name);
  }
  describe_prices(plan, report);
}

void describe_prices(const Plan& plan, StitchReport& report) {
  for (const MeasuredPlan& one : plan.measured)
    report.measured.push_back({.plan = one.name,
                               .latency_us = static_cast<double>(one.measured) / 1000,
                               .predicted_us = static_cast<double>(one.predicted) / 1000,
                               .by_layers_us = static_cast<double>(one.by_layers) / 1000});
  report.predicted.latency_us_fused = static_cast<double>(plan.predicted) / 1000;
  report.predicted.latency_us_sequential = static_cast<double>(plan.predicted_sequential) / 1000;
  report.predicted.floor_us = static_cast<double>(plan.floor) / 1000;
  report.predicted.peak_memory_bytes = static_cast<uint64_t>(plan.predicted_memory.peak());
}

std::string groups_text(const std::vector<StitchReport::Group>& groups) {
  nlohmann::json text = nlohmann::json::array();
  for (const StitchReport::Group& group : groups) text.push_back(group.models);
  return text.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::vector<Ports> ports_of(const std::vector<Model>& models, const std::vector<SharedInput>& shared_inputs) {
  std::map<ValueRef, std::string> shared;
  for (const SharedInput& input : shared_inputs)
    for (const ValueRef& member : input.members) shared[member] = input.name;
  std::vector<Ports> ports(models.size());
  for (uint32_t m = 0; m < models.size(); ++m) {
    const Graph& graph = models[m].graph;
    for (const ValueId id : graph.inputs()) {
      const auto it = shared.find({m, id});
      const std::string& name = graph.value(id).name;
      ports[m].inputs.emplace_back(name, it != shared.end() ? it->second : models[m].name + "/" + name);
    }
    for (const ValueId id : graph.outputs())
      ports[m].outputs.emplace_back(graph.value(id).name, models[m].name + "/" + graph.value(id).name);
  }
  return ports;
}

Metadata fused_metadata(const std::vector<Ports>& ports, const StitchOptions& options,
                        const std::string& target, const StitchReport& report) {
  nlohmann::ordered_json entries = nlohmann::ordered_json::array();
  for (size_t m = 0; m < ports.size(); ++m) {
    auto inputs = nlohmann::ordered_json::object(), outputs = nlohmann::ordered_json::object();
    for (const auto& [name, fused] : ports[m].inputs) inputs[name] = fused;
    for (const auto& [name, fused] : ports[m].outputs) outputs[name] = fused;
    entries.push_back({{"name", report.inputs[m].name},
                       {"sha256", report.inputs[m].sha256},
                       {"inputs", inputs},
                       {"outputs", outputs},
                       {"nodes", report.inputs[m].nodes},
                       {"weight_bytes", report.inputs[m].weight_bytes}});
  }
  Metadata metadata{{"mts.version", "1"},
                    {"mts.models", entries.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)},
                    {"mts.strategy", std::string(name_of(options.strategy))},
                    {"mts.target", target}};
  const bool duplicates = options.strategy == StitchOptions::Strategy::kNetfuse ||
                          options.objective == StitchOptions::Objective::kLatency;
  if (duplicates) metadata.emplace_back("mts.duplicates", "allowed");
  if (!report.recovered.empty()) {
    nlohmann::ordered_json recovered = nlohmann::ordered_json::array();
    for (const Recovered& weight : report.recovered)
      recovered.push_back({{"model", weight.model},
                           {"value", weight.value},
                           {"kind", name_of(weight.kind)},
                           {"rank", weight.rank},
                           {"error", weight.error}});
    metadata.emplace_back("mts.recovered",
                          recovered.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  }
  metadata.emplace_back(
      "mts.assumptions",
      nlohmann::json(report.assumptions).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  return metadata;
}

}  // namespace mts
