#include "partial/fine.h"

#include <algorithm>
#include <set>
#include <string>
#include <tuple>
#include <utility>

namespace mts::partial {
namespace {

// The nodes that took the place of a layer.
struct Made {
  std::vector<NodeId> layers, biases;  // by group; kNoNode where the model has none
  NodeId concat = kNoNode, gather = kNoNode;
  NodeId old_bias = kNoNode;
};

class Splitter {
 public:
  Splitter(Graph& graph, const Channels& channels) : graph_(graph), channels_(channels) {}
  // `groups`: rows of this model, some of them empty.
  Made split(NodeId id, const std::vector<std::vector<int64_t>>& groups);

 private:
  ValueId part(ValueId constant, size_t axis, const std::vector<int64_t>& rows);
  std::pair<NodeId, ValueId> add(NodeId like, Node node, ValueId of, int64_t width);
  // The node that only adds parameters to `value`, if that is all that happens to it.
  NodeId bias_behind(ValueId value) const;

  Graph& graph_;
  const Channels& channels_;
};

ValueId Splitter::part(ValueId constant, size_t axis, const std::vector<int64_t>& rows) {
  const std::string name = graph_.value(constant).name + "_rows" + std::to_string(graph_.value_count());
  return graph_.add_constant(name,
                             Weight::gather(graph_.value(constant).weight, static_cast<int64_t>(axis), rows));
}

// A value like `of`, but `width` wide.
std::pair<NodeId, ValueId> Splitter::add(NodeId like, Node node, ValueId of, int64_t width) {
  Type type = graph_.value(of).type;
  (*type.shape)[channels_.tracked[index(of)]->axis] = Dim::known(width);
  const ValueId out = graph_.add_value(graph_.value(of).name + "_rows" + std::to_string(graph_.value_count()),
                                       std::move(type));
  node.name = graph_.node(like).name;
  node.outputs = {out};
  return {graph_.add_node(std::move(node)), out};
}

NodeId Splitter::bias_behind(ValueId value) const {
  if (graph_.uses(value).size() != 1 || graph_.is_output(value)) return kNoNode;
  const NodeId reader = graph_.uses(value).front().node;
  if (graph_.uses(value).front().input < 0 || !graph_.node(reader).is("Add")) return kNoNode;
  const auto& operands = channels_.roles[index(reader)].operands;
  return std::ranges::count(operands, OperandRole::Kind::kParameter, &OperandRole::kind) == 1 ? reader
                                                                                              : kNoNode;
}

Made Splitter::split(NodeId id, const std::vector<std::vector<int64_t>>& groups) {
  const Layer layer = channels_.roles[index(id)].layer;
  ValueId out = graph_.node(id).outputs[0];
  Made made{std::vector<NodeId>(groups.size(), kNoNode), std::vector<NodeId>(groups.size(), kNoNode)};
  const NodeId bias = made.old_bias = bias_behind(out);
  // Of what is put together; a bias of higher rank moves it.
  const auto axis = static_cast<int64_t>(
      channels_.tracked[index(bias != kNoNode ? graph_.node(bias).outputs[0] : out)]->axis);
  Node concat;
  concat.op_type = "Concat";
  concat.set("axis", axis);
  std::vector<int64_t> order;  // by place in the concatenation: the row
  for (size_t g = 0; g < groups.size(); ++g) {
    const auto& rows = groups[g];
    if (rows.empty()) continue;
    const auto width = static_cast<int64_t>(rows.size());
    Node node = graph_.node(id);
    node.inputs[layer.weight_input] = part(layer.weight, layer.row_axis, rows);
    if (layer.bias != kNoValue) node.inputs[layer.bias_input] = part(layer.bias, layer.bias_axis, rows);
    ValueId value = kNoValue;
    std::tie(made.layers[g], value) = add(id, std::move(node), out, width);
    if (bias != kNoNode) {
      Node plus = graph_.node(bias);
      const auto& operands = channels_.roles[index(bias)].operands;
      for (size_t i = 0; i < operands.size(); ++i)
        plus.inputs[i] = operands[i].kind == OperandRole::Kind::kParameter
                             ? part(graph_.node(bias).inputs[i], operands[i].axis, rows)
                             : value;
      std::tie(made.biases[g], value) = add(bias, std::move(plus), graph_.node(bias).outputs[0], width);
    }
    concat.inputs.push_back(value);
    order.insert(order.end(), rows.begin(), rows.end());
  }
  const auto width = static_cast<int64_t>(order.size());
  if (bias != kNoNode) out = graph_.node(bias).outputs[0];
  ValueId result = kNoValue;
  std::tie(made.concat, result) = add(id, std::move(concat), out, width);
  if (!std::ranges::is_sorted(order)) {
    std::vector<int64_t> place(order.size());
    for (size_t i = 0; i < order.size(); ++i) place[static_cast<size_t>(order[i])] = static_cast<int64_t>(i);
    Node gather;
    gather.op_type = "Gather";
    gather.set("axis", axis);
    const std::string name = graph_.value(out).name + "_order" + std::to_string(graph_.value_count());
    gather.inputs = {result, graph_.add_constant(name, Weight::int64s(place))};
    std::tie(made.gather, result) = add(id, std::move(gather), out, width);
  }
  if (graph_.is_output(out)) {
    std::swap(graph_.value(out).name, graph_.value(result).name);
    graph_.value(result).type = graph_.value(out).type;
  }
  graph_.replace_uses(out, result);
  return made;
}

}  // namespace

Result<void> split_fine_rows(std::vector<Model>& models, const std::vector<Channels>& channels,
                             const std::vector<FineSplit>& splits, Alignment& alignment) {
  std::map<uint32_t, std::vector<AlignedSet>> instead;
  std::vector<std::set<NodeId>> gone(models.size());
  for (const FineSplit& split : splits) {
    const AlignedSet empty{std::vector<NodeId>(models.size(), kNoNode)};
    const size_t count = split.groups.size();
    // The layers, their biases, the Concat, the Gather.
    std::vector<AlignedSet> sets(2 * count + 2, empty);
    for (uint32_t m = 0; m < models.size(); ++m) {
      std::vector<std::vector<int64_t>> rows(count);
      bool any = false;
      for (size_t g = 0; g < count; ++g)
        if (const auto mine = split.groups[g].rows.find(m); mine != split.groups[g].rows.end()) {
          rows[g] = mine->second;
          any = true;
        }
      if (!any) continue;
      const NodeId id = alignment.sets[split.set].nodes[m];
      const Made made = Splitter(models[m].graph, channels[m]).split(id, rows);
      gone[m].insert(id);
      if (made.old_bias != kNoNode) gone[m].insert(made.old_bias);
      for (size_t g = 0; g < count; ++g) {
        sets[g].nodes[m] = made.layers[g];
        sets[count + g].nodes[m] = made.biases[g];
      }
      sets[2 * count].nodes[m] = made.concat;
      sets[2 * count + 1].nodes[m] = made.gather;
    }
    instead[split.set] = std::move(sets);
  }
  Alignment result;
  for (uint32_t s = 0; s < alignment.sets.size(); ++s) {
    AlignedSet set = alignment.sets[s];
    for (uint32_t m = 0; m < models.size(); ++m)
      if (gone[m].contains(set.nodes[m])) set.nodes[m] = kNoNode;
    std::vector<AlignedSet> all = {std::move(set)};
    if (const auto found = instead.find(s); found != instead.end())
      all.insert(all.end(), found->second.begin(), found->second.end());
    for (AlignedSet& one : all)
      if (std::ranges::any_of(one.nodes, [](NodeId id) { return id != kNoNode; }))
        result.sets.push_back(std::move(one));
  }
  alignment = std::move(result);
  for (Model& model : models) {
    model.graph.erase_dead_nodes();
    MTS_TRY(model.graph.sort());
  }
  return {};
}

}  // namespace mts::partial
