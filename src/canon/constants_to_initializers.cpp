// constants-to-initializers: `c = Constant <value>()` becomes an initializer c; constants of subgraphs move
// to the top graph and are captured.
//
// before:  b = Constant <value_ints = [1, 2]> ()     if_body: { w = initializer; y = Add(x, w) }
// after:   initializer b = {1, 2}                    initializer w; if_body (captures w): { y = Add(x, w) }
// Preconditions: none; a Constant whose output is a graph output becomes Identity(initializer), which keeps
// the name. Refusals: sparse_value stays a Constant node. Cost: nothing at run time.
#include "canon/passes.h"
#include "canon/scope.h"

#include <variant>

namespace mts::canon {
namespace {

WeightPtr constant_of(const Node& node) {
  if (const Attribute* a = node.find("value"))
    if (const auto* value = std::get_if<WeightPtr>(&a->value)) return *value;
  if (const Attribute* a = node.find("value_int"))
    if (const auto* value = std::get_if<int64_t>(&a->value)) return Weight::int64_scalar(*value);
  if (const Attribute* a = node.find("value_ints"))
    if (const auto* value = std::get_if<std::vector<int64_t>>(&a->value)) return Weight::int64s(*value);
  if (const Attribute* a = node.find("value_float"))
    if (const auto* value = std::get_if<float>(&a->value)) return Weight::floats(std::span(value, 1), {});
  if (const Attribute* a = node.find("value_floats"))
    if (const auto* value = std::get_if<std::vector<float>>(&a->value))
      return Weight::floats(*value, {static_cast<int64_t>(value->size())});
  if (const Attribute* a = node.find("value_string"))
    if (const auto* value = std::get_if<std::string>(&a->value)) return Weight::from_strings({}, {*value});
  if (const Attribute* a = node.find("value_strings"))
    if (const auto* value = std::get_if<std::vector<std::string>>(&a->value))
      return Weight::from_strings({static_cast<int64_t>(value->size())}, *value);
  return nullptr;
}

// Moves one constant value of a subgraph to the top graph.
void hoist(const Scope& scope, ValueId id) {
  Graph& graph = scope.graph();
  const ValueId outer = scope.add_constant(graph.value(id).name, graph.value(id).weight);
  graph.value(id).weight = nullptr;
  std::vector<size_t> positions;
  for (size_t i = 0; i < graph.outputs().size(); ++i)
    if (graph.outputs()[i] == id) positions.push_back(i);
  graph.replace_uses(id, outer);
  if (positions.empty()) return;
  // A subgraph's output must be made inside it.
  for (const size_t position : positions) graph.set_output(position, id);
  graph.add_node(make_node("Identity", {outer}, {id}));
}

}  // namespace

Result<bool> constants_to_initializers(Model& model) {
  return for_each_graph(model, [](Scope& scope) -> Result<bool> {
    Graph& graph = scope.graph();
    bool changed = false;
    const std::vector<NodeId> order = graph.order();
    for (const NodeId id : order) {
      Node& node = graph.node(id);
      if (!node.is("Constant")) continue;
      const ValueId output = node.outputs.at(0);
      WeightPtr constant = constant_of(node);
      if (constant == nullptr || output == kNoValue) continue;
      changed = true;
      const std::string name = graph.value(output).name;
      if (graph.is_output(output)) {
        node.op_type = "Identity";
        node.attributes.clear();
        graph.append_input(id, scope.add_constant(name + "_constant", std::move(constant)));
        continue;
      }
      if (scope.is_top()) {  // the value itself becomes the constant and keeps its name
        graph.set_output_of(id, 0, kNoValue);
        graph.erase_node(id);
        const auto dims = constant->dims();
        Shape shape;
        for (const int64_t d : dims) shape.push_back(Dim::known(d));
        graph.value(output).type = Type::tensor(constant->dtype(), std::move(shape));
        graph.value(output).weight = std::move(constant);
        continue;
      }
      graph.replace_uses(output, scope.add_constant(name, std::move(constant)));
      graph.erase_node(id);
    }
    if (scope.is_top()) return changed;
    const size_t count = graph.value_count();
    for (size_t i = 0; i < count; ++i) {
      const auto id = static_cast<ValueId>(i);
      if (!graph.value(id).is_constant()) continue;
      if (graph.is_unused(id)) {
        graph.value(id).weight = nullptr;
      } else {
        hoist(scope, id);
      }
      changed = true;
    }
    return changed;
  });
}

}  // namespace mts::canon
