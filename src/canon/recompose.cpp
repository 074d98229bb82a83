#include "canon/recompose.h"

namespace mts::canon {

const Node* only_producer(const Graph& graph, ValueId id, std::string_view op_type) {
  return single_use(graph, id) ? producer_of(graph, id, op_type) : nullptr;
}

std::optional<WithNumber> match_number(const Scope& scope, ValueId id, std::string_view op_type) {
  const Node* node = only_producer(scope.graph(), id, op_type);
  if (node == nullptr || node->inputs.size() != 2) return std::nullopt;
  const auto neutral_rank = [&](ValueId constant, ValueId x) {
    const size_t rank = scope.weight(constant)->dims().size();
    const Type& type = scope.graph().value(x).type;
    return rank == 0 || (type.has_rank() && rank <= type.rank());
  };
  if (const auto number = scope.number(node->inputs[1]);
      number && neutral_rank(node->inputs[1], node->inputs[0]))
    return WithNumber{node->inputs[0], *number};
  if (op_type == "Sub" || op_type == "Div" || op_type == "Pow") return std::nullopt;
  if (const auto number = scope.number(node->inputs[0]);
      number && neutral_rank(node->inputs[0], node->inputs[1]))
    return WithNumber{node->inputs[1], *number};
  return std::nullopt;
}

void replace_node(const Scope& scope, NodeId id, Node replacement) {
  Graph& graph = scope.graph();
  const ValueId output = graph.node(id).outputs[0];
  replacement.name = graph.node(id).name;
  replacement.metadata = graph.node(id).metadata;
  graph.set_output_of(id, 0, kNoValue);
  replacement.outputs = {output};
  graph.insert_before(id, std::move(replacement));
  graph.erase_node(id);
}

Result<bool> recompose_nodes(Model& model, const std::function<bool(const Scope&, NodeId)>& fold) {
  return for_each_graph(model, [&fold](Scope& scope) -> Result<bool> {
    bool changed = false;
    const std::vector<NodeId> order = scope.graph().order();
    for (const NodeId id : order)
      if (scope.graph().is_alive(id) && fold(scope, id)) changed = true;
    return changed;
  });
}

}  // namespace mts::canon
