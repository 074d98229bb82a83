#include "check/stored.h"

namespace mts::check {
namespace {

void add(std::vector<Stored>& out, std::string name, const Weight& weight) {
  out.push_back({std::move(name), weight.dtype(), weight.dims(), weight.byte_size(), weight.digest()});
}

void collect(const Graph& graph, std::vector<Stored>& out) {
  for (size_t i = 0; i < graph.value_count(); ++i) {
    const Value& value = graph.value(ValueId{static_cast<uint32_t>(i)});
    if (value.is_constant()) add(out, value.name, *value.weight);
  }
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    for (const Attribute& attribute : node.attributes) {
      if (const auto* weight = std::get_if<WeightPtr>(&attribute.value)) {
        // The one element that ConstantOfShape repeats is a parameter of the operator, no weight.
        if (node.is("ConstantOfShape")) continue;
        add(out, node.label(), **weight);
      } else if (const auto* weights = std::get_if<std::vector<WeightPtr>>(&attribute.value)) {
        for (const WeightPtr& each : *weights) add(out, node.label(), *each);
      } else if (const auto* floats = std::get_if<std::vector<float>>(&attribute.value)) {
        // Constant's value_floats. The parameters of other operators (Upsample's scales, tree ensembles)
        // belong to them.
        if (!node.is("Constant")) continue;
        add(out, node.label(), *Weight::floats(*floats, {static_cast<int64_t>(floats->size())}));
      }
    }
    for (const Graph* child : node.subgraphs()) collect(*child, out);
  }
}

}  // namespace

std::vector<Stored> stored_in(const Graph& graph) {
  std::vector<Stored> out;
  collect(graph, out);
  return out;
}

Contents contents_of(const std::vector<Stored>& stored) {
  Contents contents;
  for (const Stored& each : stored) {
    if (is_weight(each.dtype)) contents.emplace(each.digest, each.bytes);
  }
  return contents;
}

uint64_t total(const Contents& contents) {
  uint64_t bytes = 0;
  for (const auto& [digest, size] : contents) bytes += size;
  return bytes;
}

int64_t node_count(const Graph& graph) {
  auto count = static_cast<int64_t>(graph.order().size());
  for (const NodeId id : graph.order()) {
    for (const Graph* child : graph.node(id).subgraphs()) count += node_count(*child);
  }
  return count;
}

}  // namespace mts::check
