#include "check/mapping.h"
#include "check/stored.h"
#include "inspect.h"
#include "terminal.h"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

namespace mts::tool {
namespace {

using Json = nlohmann::ordered_json;

Json interface_json(const Graph& graph, const std::vector<ValueId>& values) {
  Json json = Json::array();
  for (const ValueId value : values) {
    json.push_back({{"name", graph.value(value).name}, {"type", to_string(graph.value(value).type)}});
  }
  return json;
}

std::string interface_text(const Graph& graph, size_t width) {
  Table table({{""}, {"name"}, {"type"}});
  for (const ValueId value : graph.inputs()) {
    table.add({"input", graph.value(value).name, to_string(graph.value(value).type)});
  }
  for (const ValueId value : graph.outputs()) {
    table.add({"output", graph.value(value).name, to_string(graph.value(value).type)});
  }
  return table.render(width);
}

// "a:conv1;b:conv1" -> {a, b}.
std::set<std::string> models_of(const Node& node, const std::vector<check::ModelEntry>& entries) {
  std::set<std::string> models;
  const std::string* const origin = check::find_metadata(node.metadata, "mts.origin");
  if (origin == nullptr) return models;
  for (size_t start = 0; start <= origin->size();) {
    const size_t end = std::min(origin->find(';', start), origin->size());
    const std::string_view part = std::string_view(*origin).substr(start, end - start);
    for (const check::ModelEntry& entry : entries) {
      if (part.starts_with(entry.name + ":")) models.insert(entry.name);
    }
    start = end + 1;
  }
  return models;
}

struct Served {
  std::map<size_t, int64_t> nodes;   // number of models -> nodes that work for so many
  std::map<size_t, uint64_t> bytes;  // number of models -> bytes of weights that so many read
};

Served served(const Graph& graph, const std::vector<check::ModelEntry>& entries) {
  Served result;
  for (const NodeId id : graph.order()) ++result.nodes[models_of(graph.node(id), entries).size()];
  for (size_t i = 0; i < graph.value_count(); ++i) {
    const ValueId id{static_cast<uint32_t>(i)};
    const Value& value = graph.value(id);
    if (!value.is_constant() || !is_weight(value.weight->dtype())) continue;
    std::set<std::string> readers;
    for (const Use& use : graph.uses(id)) readers.merge(models_of(graph.node(use.node), entries));
    result.bytes[readers.size()] += value.weight->byte_size();
  }
  return result;
}

std::map<std::string, int64_t> operators_of(const Graph& graph) {
  std::map<std::string, int64_t> count;
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    ++count[node.domain.empty() ? node.op_type : node.domain + "." + node.op_type];
    for (const Graph* child : node.subgraphs()) {
      for (const auto& [op, times] : operators_of(*child)) count[op] += times;
    }
  }
  return count;
}

std::string operators_text(const std::map<std::string, int64_t>& operators) {
  std::vector<std::pair<std::string, int64_t>> sorted(operators.begin(), operators.end());
  std::ranges::stable_sort(sorted, std::greater(), &std::pair<std::string, int64_t>::second);
  std::vector<std::string> parts;
  for (const auto& [op, count] : sorted) parts.push_back(fmt::format("{} {}", count, op));
  return fmt::format("{}", fmt::join(parts, ", "));
}

// "everywhere", "for 3 of 8 models", "for one model"
std::string share_text(size_t count, size_t models) {
  if (count == 0) return "unknown";
  if (count == models) return fmt::format("all {} models", models);
  return count == 1 ? "one model" : fmt::format("{} models", count);
}

void add_fused(const Model& model, const std::vector<check::ModelEntry>& entries, size_t width, View& view) {
  const auto metadata = [&](const char* key) {
    const std::string* const value = check::find_metadata(model.metadata, key);
    return value != nullptr ? *value : std::string();
  };
  view.json["strategy"] = metadata("mts.strategy");
  view.json["target"] = metadata("mts.target");
  view.json["duplicates_allowed"] = metadata("mts.duplicates") == "allowed";
  view.json["assumptions"] = Json::parse(metadata("mts.assumptions"), nullptr, false);
  if (view.json["assumptions"].is_discarded()) view.json["assumptions"] = Json::array();

  Table models({{"model"},
                {"nodes", Table::Align::kRight},
                {"weights", Table::Align::kRight},
                {"inputs"},
                {"outputs"}});
  view.json["models"] = Json::array();
  for (const check::ModelEntry& entry : entries) {
    const auto fused_names = [](const std::map<std::string, std::string>& names) {
      std::vector<std::string> list;
      for (const auto& [original, fused] : names) list.push_back(fused);
      return fmt::format("{}", fmt::join(list, ", "));
    };
    models.add({entry.name, fmt::format("{}", entry.nodes),
                human_bytes(static_cast<double>(entry.weight_bytes)), fused_names(entry.inputs),
                fused_names(entry.outputs)});
    view.json["models"].push_back({{"name", entry.name},
                                   {"sha256", entry.sha256},
                                   {"nodes", entry.nodes},
                                   {"weight_bytes", entry.weight_bytes},
                                   {"inputs", entry.inputs},
                                   {"outputs", entry.outputs}});
  }
  view.text += "\n" + models.render(width);

  const Served shares = served(model.graph, entries);
  Table table({{"work for"}, {"nodes", Table::Align::kRight}, {"weights", Table::Align::kRight}});
  std::set<size_t> counts;
  for (const auto& [count, nodes] : shares.nodes) counts.insert(count);
  for (const auto& [count, bytes] : shares.bytes) counts.insert(count);
  view.json["shared"] = Json::array();
  for (const size_t count : counts) {
    const auto nodes = shares.nodes.find(count);
    const auto bytes = shares.bytes.find(count);
    const int64_t node_total = nodes != shares.nodes.end() ? nodes->second : 0;
    const uint64_t byte_total = bytes != shares.bytes.end() ? bytes->second : 0;
    table.add({share_text(count, entries.size()), fmt::format("{}", node_total),
               human_bytes(static_cast<double>(byte_total))});
    view.json["shared"].push_back({{"models", count}, {"nodes", node_total}, {"weight_bytes", byte_total}});
  }
  view.text += "\n" + table.render(width);
  std::string notes =
      fmt::format("\nstrategy {}, target {}", metadata("mts.strategy"), metadata("mts.target"));
  if (view.json["duplicates_allowed"]) notes += ", weights may be stored more than once";
  view.text += notes + "\n";
  for (const Json& assumption : view.json["assumptions"]) {
    if (assumption.is_string()) view.text += "assumes: " + assumption.get<std::string>() + "\n";
  }
}

}  // namespace

Result<View> view_file(const Model& model, bool nodes, size_t width) {
  MTS_ASSIGN(const std::vector<check::ModelEntry> entries, check::entries_of(model));
  const std::vector<check::Stored> stored = check::stored_in(model.graph);
  uint64_t weight_bytes = 0;
  for (const check::Stored& each : stored) weight_bytes += each.bytes;
  const uint64_t unique = check::total(check::contents_of(stored));
  const std::map<std::string, int64_t> operators = operators_of(model.graph);

  View view;
  view.json = {{"schema_version", 1},
               {"path", model.path},
               {"producer", model.producer_name},
               {"ir_version", model.ir_version},
               {"opsets", model.opsets},
               {"nodes", check::node_count(model.graph)},
               {"weight_bytes", weight_bytes},
               {"unique_weight_bytes", unique},
               {"operators", operators},
               {"inputs", interface_json(model.graph, model.graph.inputs())},
               {"outputs", interface_json(model.graph, model.graph.outputs())}};
  view.text = fmt::format("{}: {}IR {}, opset {}, {} nodes, {} of weights\n\n", model.path,
                          entries.empty() ? "" : fmt::format("{} models fused, ", entries.size()),
                          model.ir_version, model.opset(), check::node_count(model.graph),
                          human_bytes(static_cast<double>(weight_bytes)));
  view.text += interface_text(model.graph, width);
  if (!entries.empty()) add_fused(model, entries, width, view);
  view.text += "\n" + operators_text(operators) + "\n";
  if (nodes) {
    Table table({{"node"}, {"type"}, {"origin"}});
    view.json["origins"] = Json::array();
    for (const NodeId id : model.graph.order()) {
      const Node& node = model.graph.node(id);
      const std::string* const origin = check::find_metadata(node.metadata, "mts.origin");
      table.add({node.name, node.op_type, origin != nullptr ? *origin : ""});
      view.json["origins"].push_back({{"node", node.name},
                                      {"op", node.op_type},
                                      {"origin", origin != nullptr ? Json(*origin) : Json()}});
    }
    view.text += "\n" + table.render(width);
  }
  return view;
}

}  // namespace mts::tool
