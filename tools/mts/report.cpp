#include "report.h"

#include "terminal.h"

#include <algorithm>
#include <array>
#include <map>

#include <fmt/format.h>

namespace mts::tool {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kSchemaVersion = 1;
constexpr std::ptrdiff_t kRecoveredShown = 24;  // recovered weights in the summary for people
// In the order in which they are shown.
constexpr std::array kStrategies = {"once",      "batch",        "fan_out",        "group",
                                    "partition", "partial_rows", "partial_blocks", "apart"};

int64_t count_of(const StitchReport& report, const char* strategy) {
  const auto found = report.strategies.find(strategy);
  return found != report.strategies.end() ? found->second : 0;
}

// "20.1 MB -> 5.4 MB (27 %)"
std::string change(double before, double after, const std::string& was, const std::string& is) {
  return before > 0 ? fmt::format("{} -> {} ({:.0f} %)", was, is, 100 * after / before)
                    : fmt::format("{} -> {}", was, is);
}

// A line a kind; then the weights, where that is not too long for people.
std::string recovered_text(const std::vector<Recovered>& weights, size_t width) {
  struct Sum {
    size_t count = 0;
    double error = 0;
    uint64_t before = 0, after = 0;
  };
  std::map<Recovered::Kind, Sum> kinds;
  Table table({{"weight"},
               {"how"},
               {"error", Table::Align::kRight},
               {"bytes", Table::Align::kRight},
               {"is now", Table::Align::kRight}});
  for (const Recovered& weight : weights) {
    Sum& sum = kinds[weight.kind];
    ++sum.count;
    sum.error = std::max(sum.error, weight.error);
    sum.before += weight.bytes_before;
    sum.after += weight.bytes_after;
    if (&weight - weights.data() >= kRecoveredShown) continue;
    const bool lowrank = weight.kind == Recovered::Kind::kLowrank;
    table.add({weight.model + "/" + weight.value,
               lowrank ? fmt::format("rank {}", weight.rank) : std::string(name_of(weight.kind)),
               fmt::format("{:.1e}", weight.error), human_bytes(static_cast<double>(weight.bytes_before)),
               human_bytes(static_cast<double>(weight.bytes_after))});
  }
  Table summary({{"recovered"},
                 {"weights", Table::Align::kRight},
                 {"worst error", Table::Align::kRight},
                 {"bytes", Table::Align::kRight},
                 {"are now", Table::Align::kRight}});
  for (const auto& [kind, sum] : kinds) {
    summary.add({std::string(name_of(kind)), fmt::format("{}", sum.count), fmt::format("{:.1e}", sum.error),
                 human_bytes(static_cast<double>(sum.before)), human_bytes(static_cast<double>(sum.after))});
  }
  std::string text = summary.render(width) + "\n" + table.render(width);
  if (std::ssize(weights) > kRecoveredShown)
    text += fmt::format("... {} more; --report and --json list all\n", std::ssize(weights) - kRecoveredShown);
  return text;
}

}  // namespace

Json report_json(const StitchReport& report, const std::string& path, const SavedModel& output) {
  Json json;
  json["schema_version"] = kSchemaVersion;
  json["inputs"] = Json::array();
  for (const StitchReport::Input& input : report.inputs) {
    json["inputs"].push_back({{"name", input.name},
                              {"path", input.path},
                              {"sha256", input.sha256},
                              {"nodes", input.nodes},
                              {"weight_bytes", input.weight_bytes}});
  }
  Json& out = json["output"];
  out["path"] = path.empty() ? Json() : Json(path);
  out["sha256"] = output.sha256.empty() ? Json() : Json(output.sha256);
  out["nodes"] = report.output_nodes;
  out["weight_bytes"] = path.empty() ? report.output_weight_bytes : output.weight_bytes;
  json["unique_weight_bytes"] = report.unique_weight_bytes;
  if (report.partial.unique_bytes > 0) {
    json["partial"] = {{"chosen", report.partial.chosen},
                       {"everything", report.partial.everything},
                       {"row_splits", report.partial.row_splits},
                       {"block_splits", report.partial.block_splits},
                       {"tables", report.partial.tables},
                       {"unique_weight_bytes", report.partial.unique_bytes},
                       {"predicted_latency_us", report.partial.latency_us}};
    json["whole"] = {{"unique_weight_bytes", report.whole.unique_bytes},
                     {"predicted_latency_us", report.whole.latency_us}};
  }
  json["strategies"] = Json::object();
  for (const char* strategy : kStrategies) json["strategies"][strategy] = count_of(report, strategy);
  json["refusals"] = Json::array();
  for (const Refusal& refusal : report.refusals) {
    json["refusals"].push_back({{"op", refusal.op}, {"count", refusal.count}, {"reason", refusal.reason}});
  }
  json["recovered"] = Json::array();
  for (const Recovered& weight : report.recovered) {
    json["recovered"].push_back({{"model", weight.model},
                                 {"node", weight.node},
                                 {"value", weight.value},
                                 {"kind", name_of(weight.kind)},
                                 {"rank", weight.rank},
                                 {"error", weight.error},
                                 {"bytes_before", weight.bytes_before},
                                 {"bytes_after", weight.bytes_after}});
  }
  json["groups"] = Json::array();
  for (const StitchReport::Group& group : report.groups) json["groups"].push_back({{"models", group.models}});
  json["predicted"] = {{"latency_us_fused", report.predicted.latency_us_fused},
                       {"latency_us_sequential", report.predicted.latency_us_sequential},
                       {"peak_memory_bytes", report.predicted.peak_memory_bytes},
                       {"floor_us", report.predicted.floor_us}};
  if (!report.measured.empty()) {
    json["measured"] = Json::array();
    for (const StitchReport::Measured& one : report.measured)
      json["measured"].push_back({{"plan", one.plan},
                                  {"latency_us", one.latency_us},
                                  {"predicted_us", one.predicted_us},
                                  {"by_layers_us", one.by_layers_us}});
  }
  json["assumptions"] = report.assumptions;
  return json;
}

std::string report_text(const StitchReport& report, const std::string& path, size_t width) {
  int64_t nodes = 0;
  uint64_t bytes = 0;
  Table inputs({{"model"}, {"nodes", Table::Align::kRight}, {"weights", Table::Align::kRight}, {"file"}});
  for (const StitchReport::Input& input : report.inputs) {
    nodes += input.nodes;
    bytes += input.weight_bytes;
    inputs.add({input.name, fmt::format("{}", input.nodes),
                human_bytes(static_cast<double>(input.weight_bytes)), input.path});
  }
  std::string text = inputs.render(width) + "\n";

  Table summary({{""}, {""}});
  if (!path.empty()) summary.add({"written", path});
  summary.add({"nodes", change(static_cast<double>(nodes), static_cast<double>(report.output_nodes),
                               fmt::format("{}", nodes), fmt::format("{}", report.output_nodes))});
  summary.add(
      {"weights", change(static_cast<double>(bytes), static_cast<double>(report.output_weight_bytes),
                         human_bytes(static_cast<double>(bytes)),
                         human_bytes(static_cast<double>(report.output_weight_bytes))) +
                      fmt::format(", unique {}", human_bytes(static_cast<double>(
                                                     report.partial.chosen ? report.partial.unique_bytes
                                                                           : report.unique_weight_bytes)))});
  if (report.partial.unique_bytes > 0) {
    const auto price = [](uint64_t unique, double latency) {
      return fmt::format("{} of weights, {:.0f} us", human_bytes(static_cast<double>(unique)), latency);
    };
    summary.add({report.partial.everything ? "rows, blocks" : "large pieces",
                 price(report.partial.unique_bytes, report.partial.latency_us) +
                     (report.partial.chosen ? " (chosen)" : "")});
    if (report.whole.unique_bytes > 0)  // a replayed plan does not price the other way
      summary.add({"left whole", price(report.whole.unique_bytes, report.whole.latency_us) +
                                     (report.partial.chosen ? "" : " (chosen)")});
  }
  std::string strategies;
  for (const char* strategy : kStrategies) {
    if (const int64_t count = count_of(report, strategy); count > 0) {
      strategies += fmt::format("{}{} {}", strategies.empty() ? "" : ", ", count, strategy);
    }
  }
  if (!strategies.empty()) summary.add({"strategies", strategies});
  if (report.predicted.latency_us_fused > 0 && report.predicted.latency_us_sequential > 0) {
    summary.add({"predicted",
                 fmt::format("{:.0f} us instead of {:.0f} us one after another ({:.2f}x)",
                             report.predicted.latency_us_fused, report.predicted.latency_us_sequential,
                             report.predicted.latency_us_sequential / report.predicted.latency_us_fused)});
  }
  if (!report.measured.empty())
    summary.add(
        {"measured", fmt::format("{:.0f} us, the fastest of {} plans: {}", report.measured.back().latency_us,
                                 report.measured.size() - 1, report.measured.back().plan)});
  if (report.groups.size() > 1) summary.add({"groups", fmt::format("{}", report.groups.size())});
  text += summary.render(width);

  if (!report.refusals.empty()) {
    Table refusals({{"not stitched"}, {"sets", Table::Align::kRight}, {"why"}});
    for (const Refusal& refusal : report.refusals) {
      refusals.add({refusal.op, fmt::format("{}", refusal.count), refusal.reason});
    }
    text += "\n" + refusals.render(width);
  }
  if (!report.recovered.empty()) text += "\n" + recovered_text(report.recovered, width);
  return text;
}

Json error_json(const Error& error) {
  Json json = {{"code", static_cast<int>(error.code)}, {"message", error.message}};
  if (!error.where.file.empty()) json["file"] = error.where.file;
  if (!error.where.node.empty()) json["node"] = error.where.node;
  if (!error.where.value.empty()) json["value"] = error.where.value;
  return json;
}

std::string dump(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"; }

}  // namespace mts::tool
