// eliminate-dead: what no output needs is deleted.
//
// before:  y = Relu(x); z = Exp(x); unused initializer w; body captures v twice; m, i = MaxPool(x) with i
// unused after:   y = Relu(x); body captures v once; m = MaxPool(x) Preconditions: none. Graph inputs that
// nothing reads stay (they are the interface). Refusals: outputs that are not optional (TopK, Split, ...)
// stay even when unused; so do those of BatchNormalization, whose number says before version 14 whether it
// normalises by the batch (as in training) or by its running statistics.
#include "canon/passes.h"
#include "canon/scope.h"

#include <algorithm>
#include <array>
#include <map>

namespace mts::canon {
namespace {

constexpr std::array kOptionalOutputs = {
    std::string_view("MaxPool"), std::string_view("Dropout"),   std::string_view("LSTM"),
    std::string_view("GRU"),     std::string_view("RNN"),       std::string_view("LayerNormalization"),
    std::string_view("LRN"),     std::string_view("Attention"),
};

bool drop_unused_outputs(Graph& graph, NodeId id) {
  Node& node = graph.node(id);
  if (!node.domain.empty() || std::ranges::find(kOptionalOutputs, node.op_type) == kOptionalOutputs.end())
    return false;
  bool changed = false;
  const bool any_optional = node.is("LSTM") || node.is("GRU") || node.is("RNN");  // even the first
  for (size_t i = any_optional ? 0 : 1; i < node.outputs.size(); ++i) {
    if (node.outputs[i] == kNoValue || !graph.is_unused(node.outputs[i])) continue;
    graph.set_output_of(id, i, kNoValue);
    changed = true;
  }
  size_t count = node.outputs.size();
  while (count > 1 && node.outputs[count - 1] == kNoValue) --count;
  changed |= count != node.outputs.size();
  graph.resize_outputs(id, count);
  return changed;
}

bool trim_absent_inputs(Graph& graph, NodeId id) {
  size_t count = graph.node(id).inputs.size();
  const size_t before = count;
  while (count > 0 && graph.node(id).inputs[count - 1] == kNoValue) --count;
  graph.resize_inputs(id, count);
  return count != before;
}

// Captures of one outer value become one; unused ones go.
bool tidy_captures(Graph& parent, NodeId owner, Graph& child) {
  bool changed = false;
  std::map<ValueId, ValueId> first;  // by outer value
  const std::vector<Capture> captures = child.captures();
  for (const Capture& capture : captures) {
    const auto [it, inserted] = first.try_emplace(capture.outer, capture.inner);
    if (!inserted) child.replace_uses(capture.inner, it->second);
  }
  for (const Capture& capture : captures) {
    if (!child.is_unused(capture.inner)) continue;
    child.remove_capture(capture.inner);
    changed = true;
  }
  if (changed) parent.refresh_captures(owner);
  return changed;
}

bool clean(Graph& graph) {
  bool changed = graph.erase_dead_nodes() > 0;
  const std::vector<NodeId> order = graph.order();
  for (const NodeId id : order) {
    for (Graph* child : graph.node(id).subgraphs()) {
      changed |= clean(*child);
      changed |= tidy_captures(graph, id, *child);
    }
    changed |= drop_unused_outputs(graph, id);
    changed |= trim_absent_inputs(graph, id);
  }
  changed |= graph.erase_dead_nodes() > 0;
  for (size_t i = 0; i < graph.value_count(); ++i) {
    const auto id = static_cast<ValueId>(i);
    if (!graph.value(id).is_constant() || !graph.is_unused(id)) continue;
    graph.value(id).weight = nullptr;
    changed = true;
  }
  return changed;
}

}  // namespace

Result<bool> eliminate_dead(Model& model) { return clean(model.graph); }

}  // namespace mts::canon
