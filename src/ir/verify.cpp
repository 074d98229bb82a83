#include <mts/graph.h>

#include <algorithm>
#include <set>
#include <unordered_set>

namespace mts {
namespace {

tl::unexpected<Error> broken(const std::string& message, const Node* node = nullptr,
                             const std::string& value = {}) {
  return fail(ErrorCode::kInternal, "the graph is inconsistent: " + message,
              {.file = {}, .node = node == nullptr ? std::string() : node->label(), .value = value});
}

Result<void> verify_node(const Graph& graph, NodeId id, const std::vector<bool>& defined) {
  const Node& node = graph.node(id);
  const auto check_operand = [&](ValueId value, int32_t position) -> Result<void> {
    if (index(value) >= graph.value_count()) return broken("an input id is out of range", &node);
    if (!defined[index(value)])
      return broken("it reads a value before it is produced", &node, graph.value(value).name);
    const auto count = std::ranges::count(graph.uses(value), Use{id, position});
    if (count < 1) return broken("a use is missing from the use-list", &node, graph.value(value).name);
    return {};
  };
  for (size_t i = 0; i < node.inputs.size(); ++i)
    if (node.inputs[i] != kNoValue) MTS_TRY(check_operand(node.inputs[i], static_cast<int32_t>(i)));
  for (const Graph* child : node.subgraphs())
    for (const Capture& capture : child->captures()) MTS_TRY(check_operand(capture.outer, -1));
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    if (node.outputs[i] == kNoValue) continue;
    if (index(node.outputs[i]) >= graph.value_count()) return broken("an output id is out of range", &node);
    const Value& value = graph.value(node.outputs[i]);
    if (value.producer != id || value.output != i)
      return broken("an output does not know its producer", &node, value.name);
    if (defined[index(node.outputs[i])]) return broken("a value is produced twice", &node, value.name);
  }
  return {};
}

}  // namespace

Result<void> verify_ir(const Graph& graph) {
  std::vector<bool> defined(graph.value_count(), false);
  const auto define = [&](ValueId id, const char* what) -> Result<void> {
    if (index(id) >= graph.value_count()) return broken(std::string(what) + " id is out of range");
    if (graph.value(id).producer != kNoNode)
      return broken(std::string(what) + " has a producer", nullptr, graph.value(id).name);
    defined[index(id)] = true;
    return {};
  };
  for (const ValueId id : graph.inputs()) MTS_TRY(define(id, "an input"));
  for (const Capture& capture : graph.captures()) MTS_TRY(define(capture.inner, "a capture"));
  for (size_t i = 0; i < graph.value_count(); ++i)
    if (graph.value(static_cast<ValueId>(i)).is_constant())
      MTS_TRY(define(static_cast<ValueId>(i), "a constant"));
  size_t uses = 0;
  for (const NodeId id : graph.order()) {
    MTS_TRY(verify_node(graph, id, defined));
    const Node& node = graph.node(id);
    for (const ValueId output : node.outputs)
      if (output != kNoValue) defined[index(output)] = true;
    for (const ValueId input : node.inputs) uses += input != kNoValue ? 1 : 0;
    for (const Graph* child : node.subgraphs()) {
      uses += child->captures().size();
      MTS_TRY(verify_ir(*child));
    }
  }
  for (const ValueId id : graph.outputs())
    if (index(id) >= graph.value_count() || !defined[index(id)]) return broken("an output is not produced");
  size_t listed = 0;
  std::unordered_set<std::string> names;
  for (size_t i = 0; i < graph.value_count(); ++i) {
    const auto id = static_cast<ValueId>(i);
    listed += graph.uses(id).size();
    if (!defined[i]) continue;
    if (graph.value(id).name.empty()) return broken("a value has no name");
    if (!names.insert(graph.value(id).name).second)
      return broken("two values have one name", nullptr, graph.value(id).name);
  }
  if (listed != uses) return broken("use-lists hold uses that do not exist");
  return {};
}

}  // namespace mts
