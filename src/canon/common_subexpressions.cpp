// common-subexpressions: of nodes that compute the same from the same, one stays.
//
// before:  s = Shape(x); t = Shape(x); y = f(s); z = g(t)
// after:   s = Shape(x);               y = f(s); z = g(s)
// Preconditions: the operators are pure (no random ones, no foreign domains, no subgraphs) and their
// attributes are equal. Refusals: a node whose output is a graph output stays when the other's is one too.
#include "canon/passes.h"
#include "canon/scope.h"
#include "ir/attribute.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

namespace mts::canon {
namespace {

bool same_attributes(const Node& a, const Node& b) {
  return a.attributes.size() == b.attributes.size() &&
         std::ranges::all_of(a.attributes, [&](const Attribute& attribute) {
           const Attribute* other = b.find(attribute.name);
           return other != nullptr && same_value(attribute.value, other->value);
         });
}

struct Key {
  std::string op_type, domain, overload;
  std::vector<ValueId> inputs;
  auto operator<=>(const Key&) const = default;
};

// Whether `twin` can be replaced by `kept`, output by output.
bool compatible(const Graph& graph, const Node& kept, const Node& twin) {
  if (kept.outputs.size() != twin.outputs.size()) return false;
  for (size_t i = 0; i < kept.outputs.size(); ++i) {
    if ((kept.outputs[i] == kNoValue) != (twin.outputs[i] == kNoValue)) return false;
    if (twin.outputs[i] != kNoValue && graph.is_output(twin.outputs[i])) return false;
  }
  return true;
}

}  // namespace

Result<bool> common_subexpressions(Model& model) {
  return for_each_graph(model, [](Scope& scope) -> Result<bool> {
    Graph& graph = scope.graph();
    std::map<Key, std::vector<NodeId>> seen;
    bool changed = false;
    const std::vector<NodeId> order = graph.order();
    for (const NodeId id : order) {
      const Node& node = graph.node(id);
      if (!is_pure(node) || node.inputs.empty()) continue;
      auto& twins = seen[{node.op_type, node.domain, node.overload, node.inputs}];
      bool merged = false;
      for (const NodeId kept : twins) {
        const Node& other = graph.node(kept);
        if (node.extra != other.extra || !same_attributes(node, other) || !compatible(graph, other, node))
          continue;
        for (size_t i = 0; i < node.outputs.size(); ++i)
          if (node.outputs[i] != kNoValue) graph.replace_uses(node.outputs[i], other.outputs[i]);
        graph.erase_node(id);
        merged = changed = true;
        break;
      }
      if (!merged) twins.push_back(id);
    }
    return changed;
  });
}

}  // namespace mts::canon
