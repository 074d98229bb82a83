#include "canon/scope.h"

#include <algorithm>
#include <array>

namespace mts::canon {

Names::Names(const Graph& top) { collect(top); }

void Names::collect(const Graph& graph) {
  for (size_t i = 0; i < graph.value_count(); ++i) taken_.insert(graph.value(static_cast<ValueId>(i)).name);
  for (const NodeId id : graph.order())
    for (const Graph* child : graph.node(id).subgraphs()) collect(*child);
}

std::string Names::fresh(std::string_view base) {
  std::string name(base.empty() ? std::string_view("value") : base);
  for (int suffix = 1; !taken_.insert(name).second; ++suffix)
    name = std::string(base) + "_" + std::to_string(suffix);
  return name;
}

WeightPtr Scope::weight(ValueId id) const {
  if (id == kNoValue) return nullptr;
  const Value& value = graph_.value(id);
  if (value.weight != nullptr || parent_ == nullptr || value.producer != kNoNode) return value.weight;
  const auto capture = std::ranges::find(graph_.captures(), id, &Capture::inner);
  return capture == graph_.captures().end() ? nullptr : parent_->weight(capture->outer);
}

std::optional<std::vector<int64_t>> Scope::ints(ValueId id) const {
  const WeightPtr constant = weight(id);
  if (constant == nullptr || !(is_integer(constant->dtype()) || constant->dtype() == DType::kBool))
    return std::nullopt;
  return constant->as_int64s();
}

std::optional<double> Scope::number(ValueId id) const {
  const WeightPtr constant = weight(id);
  if (constant == nullptr || constant->element_count() != 1) return std::nullopt;
  const auto values = constant->as_doubles();
  return values.size() == 1 ? std::optional(values.front()) : std::nullopt;
}

ValueId Scope::add_constant(std::string_view base, WeightPtr constant) const {
  if (is_top()) return graph_.add_constant(names_.fresh(base), std::move(constant));
  const ValueId outer = parent_->add_constant(base, std::move(constant));
  const Value& value = parent_->graph().value(outer);
  const ValueId inner = graph_.add_capture(outer, value.name, value.type);
  parent_->graph().refresh_captures(owner_);
  return inner;
}

ValueId Scope::add_ints(std::string_view base, const std::vector<int64_t>& values) const {
  return add_constant(base, Weight::int64s(values));
}

ValueId Scope::insert(NodeId position, Node node, std::string_view base, Type type) const {
  const ValueId output = add_value(base, std::move(type));
  node.outputs = {output};
  graph_.insert_before(position, std::move(node));
  return output;
}

bool Scope::forward(ValueId from, ValueId to) const {
  if (from == to) return false;
  const NodeId maker = graph_.value(from).producer;
  const bool is_output = graph_.is_output(from);
  if (is_output && maker != kNoNode && graph_.value(to).producer != kNoNode && !graph_.is_output(to)) {
    const Value& source = graph_.value(to);
    const NodeId source_maker = source.producer;
    const size_t source_position = source.output;
    graph_.set_output_of(maker, graph_.value(from).output, kNoValue);
    graph_.set_output_of(source_maker, source_position, from);
    graph_.replace_uses(to, from);
    graph_.erase_node(maker);
    return true;
  }
  if (graph_.uses(from).empty() && !is_output) return false;
  if (is_output && graph_.uses(from).empty()) return false;  // an echo at the interface stays
  std::vector<size_t> positions;
  for (size_t i = 0; i < graph_.outputs().size(); ++i)
    if (graph_.outputs()[i] == from) positions.push_back(i);
  graph_.replace_uses(from, to);
  for (const size_t position : positions) graph_.set_output(position, from);
  if (maker != kNoNode && std::ranges::all_of(graph_.node(maker).outputs, [&](ValueId v) {
        return v == kNoValue || graph_.is_unused(v);
      }))
    graph_.erase_node(maker);
  return true;
}

namespace {

Result<bool> visit_graph(Scope& scope, Names& names, const std::function<Result<bool>(Scope&)>& visit) {
  MTS_ASSIGN(bool changed, visit(scope));
  const std::vector<NodeId> order = scope.graph().order();
  for (const NodeId id : order) {
    if (!scope.graph().is_alive(id)) continue;
    for (Graph* child : scope.graph().node(id).subgraphs()) {
      Scope inner(*child, &scope, id, names);
      MTS_ASSIGN(const bool inner_changed, visit_graph(inner, names, visit));
      changed |= inner_changed;
    }
  }
  return changed;
}

}  // namespace

Result<bool> for_each_graph(Model& model, const std::function<Result<bool>(Scope&)>& visit) {
  Names names(model.graph);
  Scope top(model.graph, nullptr, kNoNode, names);
  return visit_graph(top, names, visit);
}

bool has_input(const Node& node, size_t position) {
  return position < node.inputs.size() && node.inputs[position] != kNoValue;
}

bool uses_output(const Graph& graph, const Node& node, size_t position) {
  return position < node.outputs.size() && node.outputs[position] != kNoValue &&
         !graph.is_unused(node.outputs[position]);
}

std::optional<Use> single_use(const Graph& graph, ValueId id) {
  if (graph.uses(id).size() != 1 || graph.is_output(id) || graph.uses(id).front().input < 0)
    return std::nullopt;
  return graph.uses(id).front();
}

const Node* producer_of(const Graph& graph, ValueId id) {
  if (id == kNoValue || graph.value(id).producer == kNoNode) return nullptr;
  return &graph.node(graph.value(id).producer);
}

const Node* producer_of(const Graph& graph, ValueId id, std::string_view op_type) {
  const Node* node = producer_of(graph, id);
  return node != nullptr && node->is(op_type) ? node : nullptr;
}

void transpose_in_place(Graph& graph, ValueId constant) {
  Value& value = graph.value(constant);
  value.weight = Weight::transpose(value.weight, {1, 0});
  value.type = Type::tensor(value.weight->dtype(),
                            {Dim::known(value.weight->dims()[0]), Dim::known(value.weight->dims()[1])});
}

bool same_shape(const Type& a, const Type& b) {
  if (!a.has_rank() || !b.has_rank() || a.rank() != b.rank()) return false;
  return std::ranges::equal(*a.shape, *b.shape, [](const Dim& x, const Dim& y) { return x.same_as(y); });
}

bool is_pure(const Node& node) {
  static constexpr std::array kRandom = {
      std::string_view("Bernoulli"),     std::string_view("Multinomial"),
      std::string_view("RandomNormal"),  std::string_view("RandomNormalLike"),
      std::string_view("RandomUniform"), std::string_view("RandomUniformLike"),
  };
  if (!node.domain.empty() && node.domain != "ai.onnx.ml") return false;
  if (std::ranges::find(kRandom, node.op_type) != kRandom.end()) return false;
  if (node.is("Dropout") && has_input(node, 2)) return false;  // may be in training mode
  return node.subgraphs().empty();
}

std::optional<size_t> normalise_axis(int64_t axis, size_t rank) {
  if (axis < 0) axis += static_cast<int64_t>(rank);
  if (axis < 0 || axis >= static_cast<int64_t>(rank)) return std::nullopt;
  return static_cast<size_t>(axis);
}

}  // namespace mts::canon
