#include <mts/graph.h>

#include <algorithm>
#include <cassert>
#include <set>

namespace mts {

ValueId Graph::add_value(std::string value_name, Type type) {
  const auto id = static_cast<ValueId>(values_.size());
  values_.push_back(
      {.name = std::move(value_name), .type = std::move(type), .weight = nullptr, .metadata = {}, .doc = {}});
  uses_.emplace_back();
  return id;
}

ValueId Graph::add_constant(std::string value_name, WeightPtr weight) {
  Shape shape;
  for (const int64_t d : weight->dims()) shape.push_back(Dim::known(d));
  const ValueId id = add_value(std::move(value_name), Type::tensor(weight->dtype(), std::move(shape)));
  value(id).weight = std::move(weight);
  return id;
}

ValueId Graph::add_input(std::string value_name, Type type) {
  const ValueId id = add_value(std::move(value_name), std::move(type));
  inputs_.push_back(id);
  return id;
}

ValueId Graph::add_capture(ValueId outer, std::string value_name, Type type) {
  const ValueId id = add_value(std::move(value_name), std::move(type));
  captures_.push_back({outer, id});
  return id;
}

void Graph::add_output(ValueId id) { outputs_.push_back(id); }
void Graph::set_output(size_t position, ValueId id) { outputs_[position] = id; }
void Graph::remove_output(size_t position) {
  outputs_.erase(outputs_.begin() + static_cast<std::ptrdiff_t>(position));
}
void Graph::remove_input(size_t position) {
  inputs_.erase(inputs_.begin() + static_cast<std::ptrdiff_t>(position));
}
void Graph::remove_capture(ValueId inner) {
  std::erase_if(captures_, [inner](const Capture& c) { return c.inner == inner; });
}

void Graph::set_capture(ValueId inner, ValueId outer) {
  for (Capture& capture : captures_)
    if (capture.inner == inner) capture.outer = outer;
}

bool Graph::is_output(ValueId id) const { return std::ranges::find(outputs_, id) != outputs_.end(); }
bool Graph::is_input(ValueId id) const { return std::ranges::find(inputs_, id) != inputs_.end(); }

void Graph::add_use(ValueId id, Use use) {
  if (id != kNoValue) uses_[index(id)].push_back(use);
}

void Graph::remove_use(ValueId id, Use use) {
  if (id == kNoValue) return;
  auto& uses = uses_[index(id)];
  const auto it = std::ranges::find(uses, use);
  assert(it != uses.end());
  uses.erase(it);
}

void Graph::wire(NodeId id) {
  const Node& n = nodes_[index(id)];
  for (size_t i = 0; i < n.inputs.size(); ++i) add_use(n.inputs[i], {id, static_cast<int32_t>(i)});
  for (size_t i = 0; i < n.outputs.size(); ++i) {
    if (n.outputs[i] == kNoValue) continue;
    values_[index(n.outputs[i])].producer = id;
    values_[index(n.outputs[i])].output = static_cast<uint32_t>(i);
  }
  refresh_captures(id);
}

NodeId Graph::add_node(Node node) {
  const auto id = static_cast<NodeId>(nodes_.size());
  nodes_.push_back(std::move(node));
  alive_.push_back(true);
  captured_.emplace_back();
  order_.push_back(id);
  wire(id);
  return id;
}

NodeId Graph::insert_before(NodeId position, Node node) {
  const auto id = static_cast<NodeId>(nodes_.size());
  nodes_.push_back(std::move(node));
  alive_.push_back(true);
  captured_.emplace_back();
  order_.insert(std::ranges::find(order_, position), id);
  wire(id);
  return id;
}

void Graph::refresh_captures(NodeId id) {
  // Which outer values the node captured before is kept beside the node, so that only their use-lists are
  // touched.
  auto& captured = captured_[index(id)];
  for (const ValueId outer : captured) remove_use(outer, {id, -1});
  captured.clear();
  for (const Graph* child : nodes_[index(id)].subgraphs())
    for (const Capture& capture : child->captures()) {
      captured.push_back(capture.outer);
      add_use(capture.outer, {id, -1});
    }
}

void Graph::set_input(NodeId id, size_t position, ValueId value_id) {
  ValueId& input = nodes_[index(id)].inputs[position];
  const Use use{id, static_cast<int32_t>(position)};
  remove_use(input, use);
  input = value_id;
  add_use(value_id, use);
}

void Graph::append_input(NodeId id, ValueId value_id) {
  resize_inputs(id, nodes_[index(id)].inputs.size() + 1);
  set_input(id, nodes_[index(id)].inputs.size() - 1, value_id);
}

void Graph::resize_inputs(NodeId id, size_t count) {
  auto& inputs = nodes_[index(id)].inputs;
  for (size_t i = count; i < inputs.size(); ++i) remove_use(inputs[i], {id, static_cast<int32_t>(i)});
  inputs.resize(count, kNoValue);
}

void Graph::set_output_of(NodeId id, size_t position, ValueId value_id) {
  ValueId& output = nodes_[index(id)].outputs[position];
  if (output != kNoValue) values_[index(output)].producer = kNoNode;
  output = value_id;
  if (value_id == kNoValue) return;
  values_[index(value_id)].producer = id;
  values_[index(value_id)].output = static_cast<uint32_t>(position);
}

void Graph::resize_outputs(NodeId id, size_t count) {
  auto& outputs = nodes_[index(id)].outputs;
  for (size_t i = count; i < outputs.size(); ++i)
    if (outputs[i] != kNoValue) values_[index(outputs[i])].producer = kNoNode;
  outputs.resize(count, kNoValue);
}

void Graph::erase_node(NodeId id) {
  Node& n = nodes_[index(id)];
  for (size_t i = 0; i < n.inputs.size(); ++i) remove_use(n.inputs[i], {id, static_cast<int32_t>(i)});
  for (const ValueId outer : captured_[index(id)]) remove_use(outer, {id, -1});
  captured_[index(id)].clear();
  for (const ValueId output : n.outputs) {
    if (output == kNoValue) continue;
    assert(is_unused(output));
    values_[index(output)].producer = kNoNode;
  }
  n.inputs.clear();
  n.outputs.clear();
  n.attributes.clear();
  alive_[index(id)] = false;
  ++dead_in_order_;
}

const std::vector<NodeId>& Graph::order() const {
  if (dead_in_order_ > 0) {
    std::erase_if(order_, [this](NodeId id) { return !alive_[index(id)]; });
    dead_in_order_ = 0;
  }
  return order_;
}

void Graph::replace_uses(ValueId from, ValueId to) {
  if (from == to) return;
  const std::vector<Use> uses = uses_[index(from)];
  std::set<NodeId> capturing;
  for (const Use& use : uses) {
    if (use.input >= 0) {
      set_input(use.node, static_cast<size_t>(use.input), to);
    } else {
      capturing.insert(use.node);
    }
  }
  for (const NodeId id : capturing) {
    for (Graph* child : nodes_[index(id)].subgraphs())
      for (Capture& capture : child->captures_)
        if (capture.outer == from) capture.outer = to;
    refresh_captures(id);
  }
  std::ranges::replace(outputs_, from, to);
}

Result<void> Graph::sort() {
  order();
  std::vector<uint32_t> position(nodes_.size(), 0);
  for (size_t i = 0; i < order_.size(); ++i) position[index(order_[i])] = static_cast<uint32_t>(i);
  std::vector<uint32_t> waiting(nodes_.size(), 0);  // operands whose producer has not been placed
  const auto for_each_operand = [this](NodeId id, auto&& visit) {
    for (const ValueId input : nodes_[index(id)].inputs)
      if (input != kNoValue && values_[index(input)].producer != kNoNode) visit(input);
    for (const ValueId outer : captured_[index(id)])
      if (values_[index(outer)].producer != kNoNode) visit(outer);
  };
  for (const NodeId id : order_) for_each_operand(id, [&](ValueId) { ++waiting[index(id)]; });
  // The ready node that came first in the old order goes first: the sort is stable and an ordered graph stays
  // as it is.
  std::set<std::pair<uint32_t, NodeId>> ready;
  for (const NodeId id : order_)
    if (waiting[index(id)] == 0) ready.emplace(position[index(id)], id);
  std::vector<NodeId> sorted;
  sorted.reserve(order_.size());
  while (!ready.empty()) {
    const NodeId id = ready.begin()->second;
    ready.erase(ready.begin());
    sorted.push_back(id);
    for (const ValueId output : nodes_[index(id)].outputs) {
      if (output == kNoValue) continue;
      for (const Use& use : uses_[index(output)])
        if (--waiting[index(use.node)] == 0) ready.emplace(position[index(use.node)], use.node);
    }
  }
  if (sorted.size() != order_.size()) {
    for (const NodeId id : order_)
      if (waiting[index(id)] > 0)
        return fail(ErrorCode::kModel, "the graph has a cycle through this node",
                    {.file = {}, .node = nodes_[index(id)].label(), .value = {}});
  }
  order_ = std::move(sorted);
  return {};
}

size_t Graph::erase_dead_nodes() {
  std::vector<NodeId> pending(order().rbegin(), order().rend());
  size_t erased = 0;
  std::set<ValueId> kept(outputs_.begin(), outputs_.end());
  while (!pending.empty()) {
    std::vector<NodeId> next;
    for (const NodeId id : pending) {
      if (!alive_[index(id)]) continue;
      const Node& n = nodes_[index(id)];
      const bool used = std::ranges::any_of(n.outputs, [&](ValueId v) {
        return v != kNoValue && (!uses_[index(v)].empty() || kept.contains(v));
      });
      if (used) continue;
      for (const ValueId input : n.inputs)
        if (input != kNoValue && values_[index(input)].producer != kNoNode)
          next.push_back(values_[index(input)].producer);
      for (const ValueId outer : captured_[index(id)])
        if (values_[index(outer)].producer != kNoNode) next.push_back(values_[index(outer)].producer);
      erase_node(id);
      ++erased;
    }
    pending = std::move(next);
  }
  return erased;
}

std::shared_ptr<Graph> Graph::clone() const {
  auto copy = std::make_shared<Graph>();
  copy->name = name;
  copy->doc = doc;
  copy->metadata = metadata;
  copy->extra = extra;
  copy->nodes_ = nodes_;
  copy->alive_ = alive_;
  copy->captured_ = captured_;
  copy->order_ = order();
  copy->values_ = values_;
  copy->uses_ = uses_;
  copy->inputs_ = inputs_;
  copy->outputs_ = outputs_;
  copy->captures_ = captures_;
  for (Node& n : copy->nodes_)
    for (Attribute& attribute : n.attributes) {
      if (auto* one = std::get_if<std::shared_ptr<Graph>>(&attribute.value)) *one = (*one)->clone();
      if (auto* many = std::get_if<std::vector<std::shared_ptr<Graph>>>(&attribute.value))
        for (auto& graph : *many) graph = graph->clone();
    }
  return copy;
}

}  // namespace mts
