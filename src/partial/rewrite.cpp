#include "partial/rewrite.h"

#include "partial/rewriter.h"

#include <algorithm>
#include <functional>
#include <tuple>

namespace mts::partial {
namespace {

bool reads_apart(const std::vector<SharerId>& line) {
  return std::ranges::any_of(line, [&](SharerId id) { return id != line.front(); });
}

}  // namespace

bool Rewriter::must_change(NodeId id) {
  const Node& node = graph_.node(id);
  if (role(id).kind == NodeRole::Kind::kOpaque) return false;
  for (const ValueId out : node.outputs)
    if (out != kNoValue && forms_.is_changed(out)) return true;
  if (role(id).kind == NodeRole::Kind::kLayer)
    return role(id).layer.splits_columns && forms_.is_changed(node.inputs[0]);
  for (size_t i = 0; i < node.inputs.size(); ++i)
    if (role(id).operands[i].kind == OperandRole::Kind::kChannels && forms_.is_changed(node.inputs[i]))
      return true;
  return false;
}

// A value is computed in pieces where somebody downstream reads some of its channels alone.
void Rewriter::find_wanted(const std::vector<NodeId>& order) {
  in_pieces_.resize(graph_.value_count());
  for (auto it = order.rbegin(); it != order.rend(); ++it) {
    const Node& node = graph_.node(*it);
    const NodeRole& what = role(*it);
    if (sharing_.mixed.contains(*it) && (what.kind == NodeRole::Kind::kEach || is_splittable_norm(*it)))
      in_pieces_[index(node.outputs[0])] = true;
    if (what.kind == NodeRole::Kind::kLayer) {
      const auto sharing = sharing_.layers.find(*it);
      if (what.layer.splits_columns && sharing != sharing_.layers.end() &&
          std::ranges::any_of(sharing->second.blocks, reads_apart))
        in_pieces_[index(node.inputs[0])] = true;
    } else if ((what.kind == NodeRole::Kind::kEach || what.kind == NodeRole::Kind::kJoin) &&
               in_pieces_[index(node.outputs[0])]) {
      for (size_t i = 0; i < node.inputs.size(); ++i)
        if (what.operands[i].kind == OperandRole::Kind::kChannels) in_pieces_[index(node.inputs[i])] = true;
    }
  }
}

ValueId Rewriter::part_of_constant(ValueId constant, size_t axis, int64_t unit,
                                   const std::vector<uint32_t>& positions) {
  const auto [it, added] = constants_.try_emplace({index(constant), axis, positions}, kNoValue);
  if (added) {
    const Value& value = graph_.value(constant);
    const WeightPtr part =
        Weight::gather(value.weight, static_cast<int64_t>(axis), entries_of(positions, unit));
    it->second = part == value.weight ? constant : forms_.add_constant(value.name, part);
  }
  return it->second;
}

ValueId Rewriter::channel_operand(NodeId id) const {
  const auto& operands = role(id).operands;
  const auto first = std::ranges::find(operands, OperandRole::Kind::kChannels, &OperandRole::kind);
  return graph_.node(id).inputs[static_cast<size_t>(first - operands.begin())];
}

ValueId Rewriter::on_pieces(NodeId id, const Pieces& pieces) {
  const NodeRole& what = role(id);
  Node node = graph_.node(id);
  const ValueId old = node.outputs[0];
  // All operands that have channels have the same ones in the same order.
  const ValueId source = channel_operand(id);
  const auto positions = forms_.arrangement(source).positions(pieces);
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const OperandRole& operand = what.operands[i];
    const auto axis = operand.axis;
    switch (operand.kind) {
      case OperandRole::Kind::kFixed:
        if (node.inputs[i] != kNoValue) node.inputs[i] = forms_.original(node.inputs[i]);
        break;
      case OperandRole::Kind::kChannels:
        node.inputs[i] = forms_.get(node.inputs[i], pieces);
        break;
      case OperandRole::Kind::kParameter:
        node.inputs[i] = part_of_constant(node.inputs[i], axis, operand.unit, positions);
        break;
      case OperandRole::Kind::kTarget: {
        auto entries = graph_.value(node.inputs[i]).weight->as_int64s();
        if (entries[axis] > 0) entries[axis] = static_cast<int64_t>(positions.size()) * operand.unit;
        node.inputs[i] = forms_.add_constant(graph_.value(node.inputs[i]).name, Weight::int64s(entries));
        break;
      }
    }
  }
  if (what.group_is_count)
    node.set("group", static_cast<int64_t>(positions.size()) * forms_.tracked(source).unit);
  Type type = graph_.value(old).type;
  if (forms_.is_tracked(old)) type = forms_.part_type(old, pieces);
  const ValueId made = forms_.add_value(graph_.value(old).name, std::move(type));
  node.outputs.assign(1, made);
  graph_.add_node(std::move(node));
  return made;
}

void Rewriter::rewrite_each(NodeId id) {
  const ValueId out = graph_.node(id).outputs[0];
  if (!forms_.is_tracked(out)) {  // a reduction over the channels, or their shape
    keep_name(out, on_pieces(id, forms_.arrangement(channel_operand(id)).all()));
    return;
  }
  if (sharing_.mixed.contains(id) && is_splittable_norm(id)) return rewrite_norm(id);
  const Pieces all = forms_.arrangement(out).all();
  if (role(id).kind == NodeRole::Kind::kEach && in_pieces_[index(out)]) {
    for (const uint32_t piece : all) forms_.give(out, {piece}, on_pieces(id, {piece}));
  } else {
    forms_.give(out, all, on_pieces(id, all));
  }
}

void Rewriter::rewrite_join(NodeId id) {
  const Node& node = graph_.node(id);
  const ValueId out = node.outputs[0];
  // Pieces of the output are pieces of the operands, in the order of the operands.
  uint32_t next = 0;
  const std::vector<ValueId> inputs = node.inputs;
  for (const ValueId input : inputs) {
    const Pieces all = forms_.arrangement(input).all();
    Pieces outer;
    for (size_t k = 0; k < all.size(); ++k) outer.push_back(next++);
    if (in_pieces_[index(out)])
      for (const uint32_t k : all) forms_.give(out, {outer[k]}, forms_.get(input, {k}));
    else
      forms_.give(out, outer, forms_.get(input, all));
  }
}

ValueId Rewriter::layer_part(NodeId id, const Pieces& rows, const Pieces& columns, bool bias) {
  const NodeRole& what = role(id);
  const Layer& layer = what.layer;
  const LayerSharing& sharing = sharing_.layers.at(id);
  Node node = graph_.node(id);
  const ValueId out = node.outputs[0];
  const Tracked& made = forms_.tracked(out);
  const auto row_positions = sharing.rows.positions(rows);
  if (layer.splits_columns) {
    const auto column_positions = sharing.columns.positions(columns);
    node.inputs[0] = forms_.get(node.inputs[0], columns);
    node.inputs[layer.weight_input] =
        part_of_constant(layer.weight, layer.column_axis, layer.columns.unit, column_positions);
  } else if (layer.weight_input != 0) {
    node.inputs[0] = forms_.original(node.inputs[0]);
  }
  node.inputs[layer.weight_input] =
      part_of_constant(node.inputs[layer.weight_input], layer.row_axis, made.unit, row_positions);
  for (size_t i = 1; i < node.inputs.size(); ++i)
    if (i != layer.weight_input && i != layer.bias_input && node.inputs[i] != kNoValue)
      node.inputs[i] = forms_.original(node.inputs[i]);
  if (layer.bias != kNoValue) {
    if (bias)
      node.inputs[layer.bias_input] = part_of_constant(layer.bias, layer.bias_axis, made.unit, row_positions);
    else
      node.inputs.resize(layer.bias_input);
  }
  const ValueId part = forms_.add_value(graph_.value(out).name, forms_.part_type(out, rows));
  node.outputs = {part};
  graph_.add_node(std::move(node));
  return part;
}

void Rewriter::rewrite_layer(NodeId id) {
  const LayerSharing& sharing = sharing_.layers.at(id);
  const ValueId out = graph_.node(id).outputs[0];
  const std::string name = graph_.node(id).name;
  const std::vector<Pieces>& groups = sharing.groups;
  std::vector<ValueId> tensors;
  for (const Pieces& rows : groups) {
    const auto& line = sharing.blocks[rows.front()];
    // Columns that are shared by the same models are read together, what nobody shares last.
    std::map<SharerId, Pieces, std::greater<>> parts;
    for (uint32_t c = 0; c < line.size(); ++c) parts[line[c]].push_back(c);
    // The bias belongs to a part that is shared by the same models: else it would be stored with each of
    // them.
    const SharerId bias = sharing.bias.empty() ? kAlone : sharing.bias[rows.front()];
    const SharerId owner = parts.contains(bias) ? bias : parts.begin()->first;
    ValueId sum = kNoValue;
    for (const auto& [sharers, columns] : parts) {
      const ValueId part = layer_part(id, rows, columns, sharers == owner);
      if (sum == kNoValue) {
        sum = part;
        continue;
      }
      Node add;
      add.op_type = "Add";
      add.name = name;
      add.inputs = {sum, part};
      sum = forms_.add_value(graph_.value(out).name, forms_.part_type(out, rows));
      add.outputs = {sum};
      graph_.add_node(std::move(add));
    }
    tensors.push_back(sum);
  }
  forms_.give_groups(out, groups, tensors, in_pieces_[index(out)]);
}

// `tensor` takes the place of `old` for everybody who still reads it, under its name if it is an output.
void Rewriter::keep_name(ValueId old, ValueId tensor) {
  if (old == tensor) return;
  if (graph_.is_output(old)) {
    if (graph_.is_output(tensor) || graph_.is_input(tensor) || graph_.value(tensor).producer == kNoNode) {
      Node copy;
      copy.op_type = "Identity";
      copy.inputs = {tensor};
      tensor = forms_.add_value(graph_.value(old).name, graph_.value(old).type);
      copy.outputs = {tensor};
      graph_.add_node(std::move(copy));
    }
    std::swap(graph_.value(old).name, graph_.value(tensor).name);
    graph_.value(tensor).type = graph_.value(old).type;
  }
  graph_.replace_uses(old, tensor);
}

Result<bool> Rewriter::run() {
  const std::vector<NodeId> order = graph_.order();
  find_wanted(order);
  const size_t values = graph_.value_count();
  for (const NodeId id : order) {
    if (!must_change(id)) continue;
    switch (role(id).kind) {
      case NodeRole::Kind::kLayer:
        rewrite_layer(id);
        break;
      case NodeRole::Kind::kJoin:
        rewrite_join(id);
        break;
      default:
        rewrite_each(id);
        break;
    }
    replaced_.push_back(id);
  }
  if (replaced_.empty()) return false;
  // The nodes that were replaced are still there, and read the old values: they go first, from the end.
  std::vector<std::pair<ValueId, ValueId>> still_read;
  std::vector<bool> gone(graph_.node_count());
  for (const NodeId id : replaced_) gone[index(id)] = true;
  for (size_t v = 0; v < values; ++v) {
    const ValueId value{static_cast<uint32_t>(v)};
    if (!forms_.is_replaced(value)) continue;
    const auto& uses = graph_.uses(value);
    const bool read = graph_.is_output(value) ||
                      std::ranges::any_of(uses, [&](const Use& use) { return !gone[index(use.node)]; });
    if (read) still_read.emplace_back(value, forms_.original(value));
  }
  for (const auto& [old, tensor] : still_read) keep_name(old, tensor);
  for (auto it = replaced_.rbegin(); it != replaced_.rend(); ++it) graph_.erase_node(*it);
  graph_.erase_dead_nodes();
  MTS_TRY(graph_.sort());
  return true;
}

Result<bool> rewrite(Model& model, uint32_t number, const Channels& channels, const Segments& segments,
                     const ModelSharing& sharing) {
  return Rewriter(model, number, channels, segments, sharing).run();
}

}  // namespace mts::partial
