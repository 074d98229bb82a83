#include "stitch/symbolic_shapes.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

namespace mts {
namespace {

std::set<std::string> input_symbols(const Graph& graph) {
  std::set<std::string> symbols;
  for (const ValueId id : graph.inputs())
    if (const Type& type = graph.value(id).type; type.has_rank())
      for (const Dim& dim : *type.shape)
        if (dim.is_symbolic()) symbols.insert(dim.symbol);
  return symbols;
}

std::string key_of(const SymbolicShape& shape) {
  std::string key = to_string(shape.type) + ":";
  for (const Dim& dim : shape.content)
    key += (dim.is_known() ? std::to_string(dim.value) : "'" + dim.symbol + "'") + ",";
  return key;
}

// Known in terms of the inputs, and worth replacing: computed by a node from something else than constants.
std::optional<SymbolicShape> shape_of(const Graph& graph, ValueId id, const ShapeFacts& facts,
                                      const std::set<std::string>& symbols) {
  const Value& value = graph.value(id);
  if (!facts.known[index(id)] || value.producer == kNoNode || graph.is_output(id) || graph.uses(id).empty())
    return std::nullopt;
  if (value.type.dtype != DType::kInt64 || !value.type.has_rank() || value.type.rank() > 1)
    return std::nullopt;
  SymbolicShape shape{.content = facts.content[index(id)], .type = value.type, .origin = {}};
  if (shape.content.empty()) return std::nullopt;
  for (const Dim& dim : shape.content)
    if (!dim.is_known() && !symbols.contains(dim.symbol)) return std::nullopt;
  if (shape.type.rank() == 0 && shape.content.size() != 1) return std::nullopt;
  if (shape.type.rank() == 1) (*shape.type.shape)[0] = Dim::known(static_cast<int64_t>(shape.content.size()));
  return shape;
}

}  // namespace

SymbolicShapes replace_symbolic_shapes(std::vector<Model>& models, const std::vector<ShapeFacts>& facts) {
  SymbolicShapes result;
  std::map<std::string, size_t> known;
  for (uint32_t m = 0; m < models.size(); ++m) {
    Graph& graph = models[m].graph;
    const auto symbols = input_symbols(graph);
    std::map<size_t, ValueId> stand_ins;
    const size_t count = graph.value_count();
    for (size_t i = 0; i < count; ++i) {
      const auto id = static_cast<ValueId>(i);
      auto shape = shape_of(graph, id, facts[m], symbols);
      if (!shape) continue;
      shape->origin = models[m].name + ":" + graph.node(graph.value(id).producer).name;
      const auto [it, added] = known.try_emplace(key_of(*shape), result.shapes.size());
      if (added) {
        result.inputs.push_back({.name = "mts/shape/" + it->first, .members = {}});
        result.shapes.push_back(*shape);
      }
      auto& stand_in = stand_ins.try_emplace(it->second, kNoValue).first->second;
      if (stand_in == kNoValue) {
        stand_in = graph.add_input(result.inputs[it->second].name, shape->type);
        result.inputs[it->second].members.push_back({m, stand_in});
      }
      graph.replace_uses(id, stand_in);
    }
    graph.erase_dead_nodes();
  }
  return result;
}

ValueId emit_symbolic_shape(const SymbolicShape& shape, Builder& builder) {
  std::vector<ValueId> parts;
  for (const Dim& dim : shape.content)
    parts.push_back(dim.is_known() ? builder.ints({dim.value}) : builder.size_of(dim.symbol));
  const Type vector = Type::tensor(DType::kInt64, {Dim::known(static_cast<int64_t>(parts.size()))});
  const ValueId whole = builder.concat(std::move(parts), 0, vector);
  return shape.type.rank() == 1 ? whole : builder.squeeze(whole, {0});
}

}  // namespace mts
