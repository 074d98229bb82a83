#include "partial/forms.h"

#include <algorithm>

namespace mts::partial {
namespace {

bool is_range(const std::vector<uint32_t>& positions) {
  for (size_t i = 1; i < positions.size(); ++i)
    if (positions[i] != positions[0] + i) return false;
  return true;
}

}  // namespace

Forms::Forms(Graph& graph, const Channels& channels, const Segments& segments, uint32_t model)
    : graph_(graph), channels_(channels), segments_(segments), model_(model) {
  for (size_t v = 0; v < graph.value_count(); ++v) names_.insert(graph.value(ValueId(v)).name);
}

bool Forms::is_tracked(ValueId value) const {
  return value != kNoValue && index(value) < channels_.tracked.size() &&
         channels_.tracked[index(value)].has_value();
}

const Arrangement& Forms::arrangement(ValueId value) {
  const auto found = arrangements_.find(index(value));
  if (found != arrangements_.end()) return found->second;
  return arrangements_.emplace(index(value), segments_.arrange(model_, tracked(value))).first->second;
}

ValueId Forms::add_value(const std::string& base, Type type) {
  std::string name = base;
  for (size_t k = 1; !names_.insert(name).second; ++k) name = base + "_" + std::to_string(k);
  return graph_.add_value(std::move(name), std::move(type));
}

ValueId Forms::add_constant(const std::string& base, WeightPtr weight) {
  std::string name = base;
  for (size_t k = 1; !names_.insert(name).second; ++k) name = base + "_" + std::to_string(k);
  return graph_.add_constant(std::move(name), std::move(weight));
}

Type Forms::part_type(ValueId value, const std::vector<uint32_t>& pieces) {
  Type type = graph_.value(value).type;
  const Tracked& t = tracked(value);
  if (type.has_rank())
    (*type.shape)[t.axis] =
        Dim::known(static_cast<int64_t>(arrangement(value).positions(pieces).size()) * t.unit);
  return type;
}

ValueId Forms::add_node(ValueId of, Node node, Type type) {
  const ValueId out = add_value(graph_.value(of).name, std::move(type));
  const NodeId producer = graph_.value(of).producer;
  node.name = producer != kNoNode ? graph_.node(producer).name : graph_.value(of).name;
  node.outputs = {out};
  graph_.add_node(std::move(node));
  return out;
}

void Forms::give(ValueId value, const std::vector<uint32_t>& pieces, ValueId tensor) {
  replaced_.insert(index(value));
  forms_[index(value)].push_back({pieces, tensor});
}

void Forms::give_groups(ValueId value, const std::vector<std::vector<uint32_t>>& groups,
                        const std::vector<ValueId>& tensors, bool as_pieces) {
  std::vector<uint32_t> order;
  for (const auto& group : groups) order.insert(order.end(), group.begin(), group.end());
  if (as_pieces || std::ranges::is_sorted(order)) {
    for (size_t g = 0; g < groups.size(); ++g) give(value, groups[g], tensors[g]);
    return;
  }
  const auto axis = static_cast<int64_t>(tracked(value).axis);
  const Arrangement& whole = arrangement(value);
  const auto all = whole.all();
  const ValueId joined =
      add_node(value, make_node("Concat", tensors, {}, {{"axis", axis, {}}}), part_type(value, all));
  // Where each channel of the arrangement is in the groups.
  std::vector<uint32_t> start(order.size()), places;
  uint32_t next = 0;
  for (const uint32_t piece : order) {
    start[piece] = next;
    next += static_cast<uint32_t>(whole.pieces[piece].positions.size());
  }
  for (const uint32_t piece : all)
    for (uint32_t k = 0; k < whole.pieces[piece].positions.size(); ++k) places.push_back(start[piece] + k);
  const ValueId indices = add_constant(graph_.value(value).name + "_order",
                                       Weight::int64s(entries_of(places, tracked(value).unit)));
  give(value, all,
       add_node(value, make_node("Gather", {joined, indices}, {}, {{"axis", axis, {}}}),
                part_type(value, all)));
}

const Forms::Form* Forms::find(ValueId value, const std::vector<uint32_t>& pieces) const {
  const auto known = forms_.find(index(value));
  if (known == forms_.end()) return nullptr;
  const auto form = std::ranges::find(known->second, pieces, &Form::pieces);
  return form == known->second.end() ? nullptr : &*form;
}

ValueId Forms::select(ValueId value, ValueId tensor, const std::vector<uint32_t>& positions, Type type) {
  const auto axis = static_cast<int64_t>(tracked(value).axis);
  const int64_t unit = tracked(value).unit;
  const std::string name = graph_.value(value).name;
  if (is_range(positions)) {
    const int64_t start = static_cast<int64_t>(positions.front()) * unit;
    const int64_t end = start + static_cast<int64_t>(positions.size()) * unit;
    const auto ints = [&](int64_t v) {
      return add_constant(name + "_at", Weight::int64s(std::vector<int64_t>{v}));
    };
    return add_node(value, make_node("Slice", {tensor, ints(start), ints(end), ints(axis)}), std::move(type));
  }
  const auto entries = entries_of(positions, unit);
  const ValueId indices = add_constant(name + "_order", Weight::int64s(entries));
  return add_node(value, make_node("Gather", {tensor, indices}, {}, {{"axis", axis, {}}}), std::move(type));
}

ValueId Forms::single(ValueId value, uint32_t piece) {
  if (const Form* form = find(value, {piece})) return form->tensor;
  if (!is_replaced(value)) {
    const ValueId part =
        select(value, value, arrangement(value).pieces[piece].positions, part_type(value, {piece}));
    forms_[index(value)].push_back({{piece}, part});
    return part;
  }
  // Some tensor has it among others: all of them are split off at once.
  std::vector<Form>& forms = forms_.at(index(value));
  const auto whole = std::ranges::find_if(
      forms, [&](const Form& form) { return std::ranges::find(form.pieces, piece) != form.pieces.end(); });
  const Form source = *whole;
  const Tracked& t = tracked(value);
  std::vector<int64_t> sizes;
  Node node = make_node("Split", {source.tensor}, {}, {{"axis", static_cast<int64_t>(t.axis), {}}});
  node.name = graph_.value(value).producer != kNoNode ? graph_.node(graph_.value(value).producer).name
                                                      : graph_.value(value).name;
  for (const uint32_t p : source.pieces) {
    sizes.push_back(static_cast<int64_t>(arrangement(value).pieces[p].positions.size()) * t.unit);
    node.outputs.push_back(add_value(graph_.value(value).name, part_type(value, {p})));
  }
  node.inputs.push_back(add_constant(graph_.value(value).name + "_split", Weight::int64s(sizes)));
  for (size_t i = 0; i < source.pieces.size(); ++i)
    if (find(value, {source.pieces[i]}) == nullptr) forms.push_back({{source.pieces[i]}, node.outputs[i]});
  graph_.add_node(std::move(node));
  return find(value, {piece})->tensor;
}

ValueId Forms::get(ValueId value, const std::vector<uint32_t>& pieces) {
  if (!is_tracked(value)) return value;
  if (const Form* form = find(value, pieces)) return form->tensor;
  const Arrangement& order = arrangement(value);
  const bool all = pieces.size() == order.pieces.size();
  if (!is_replaced(value) && all) {
    if (order.identity) return value;
    const ValueId turned = select(value, value, order.positions(pieces), part_type(value, pieces));
    forms_[index(value)].push_back({pieces, turned});
    return turned;
  }
  if (pieces.size() == 1) return single(value, pieces.front());
  // Put together from the longest runs that exist.
  std::vector<ValueId> parts;
  for (auto from = pieces.begin(); from != pieces.end();) {
    auto to = pieces.end();
    while (to - from > 1 && find(value, {from, to}) == nullptr) --to;
    parts.push_back(to - from > 1 ? find(value, {from, to})->tensor : single(value, *from));
    from = to;
  }
  const ValueId joined = add_node(
      value,
      make_node("Concat", std::move(parts), {}, {{"axis", static_cast<int64_t>(tracked(value).axis), {}}}),
      part_type(value, pieces));
  forms_[index(value)].push_back({pieces, joined});
  return joined;
}

ValueId Forms::original(ValueId value) {
  if (!is_replaced(value)) return value;
  const auto known = originals_.find(index(value));
  if (known != originals_.end()) return known->second;
  const Arrangement& order = arrangement(value);
  const auto all = order.all();
  ValueId result = get(value, all);
  if (!order.identity) {
    const auto positions = order.positions(all);
    std::vector<uint32_t> inverse(positions.size());
    for (uint32_t i = 0; i < positions.size(); ++i) inverse[positions[i]] = i;
    const std::vector<int64_t> entries = entries_of(inverse, tracked(value).unit);
    const ValueId indices = add_constant(graph_.value(value).name + "_order", Weight::int64s(entries));
    result = add_node(
        value,
        make_node("Gather", {result, indices}, {}, {{"axis", static_cast<int64_t>(tracked(value).axis), {}}}),
        graph_.value(value).type);
  }
  return originals_[index(value)] = result;
}

}  // namespace mts::partial
