// fold-shapes: shape arithmetic disappears where the symbolic shapes are known.
//
// before:  s = Shape(x); n = Gather(s, 0); t = Concat(n, {-1}); y = Reshape(x, t)      x: float[N, 3, 4]
// after:   y = Reshape(x, {0, 12})
// - an integer tensor whose elements are all known becomes a constant;
// - a Reshape's target becomes the constant of copied (0), known and at most one inferred (-1) dimensions;
//   Flatten becomes such a Reshape; a Reshape of a Reshape (Flatten, Squeeze, Unsqueeze) reads the first
//   one's input;
// - an Expand to the shape that is there already, and a Slice of everything with a computed end, disappear.
// Preconditions: equal for every size of the symbols (a dimension is assumed to be at least 1 where -1 is
// used); needs the types of "infer-types". allowzero is respected: it goes where no dimension is a known 0.
// Refusals: two or more dimensions that no input dimension gives: the arithmetic stays.
#include "canon/passes.h"
#include "canon/scope.h"
#include "canon/shape_values.h"

#include <algorithm>
#include <limits>

namespace mts::canon {
namespace {

using Sizes = std::vector<Size>;

// What a Reshape or Flatten gives; unknown dimensions are atoms of the output value.
std::optional<Sizes> result_dims(const ShapeValues& values, const Node& node) {
  const auto data = values.dims(node.inputs[0]);
  if (node.is("Flatten")) {
    if (!data) return std::nullopt;
    const int64_t axis = node.int_or("axis", 1);
    const auto split =
        static_cast<std::ptrdiff_t>(axis < 0 ? axis + static_cast<int64_t>(data->size()) : axis);
    if (split < 0 || split > static_cast<std::ptrdiff_t>(data->size())) return std::nullopt;
    return Sizes{product_of(Sizes(data->begin(), data->begin() + split)),
                 product_of(Sizes(data->begin() + split, data->end()))};
  }
  const auto target = values.content(node.inputs[1]);
  if (target) {
    if (auto dims = reshaped_dims(*target, data, node.int_or("allowzero", 0) != 0)) return dims;
  }
  return values.dims(node.outputs[0]);
}

bool is_view(const Node& node) {
  return node.is("Reshape") || node.is("Flatten") || node.is("Squeeze") || node.is("Unsqueeze");
}

bool fold_reshape(const Scope& scope, const ShapeValues& values, NodeId id) {
  Graph& graph = scope.graph();
  Node& node = graph.node(id);
  const bool is_reshape = node.is("Reshape");
  if (is_reshape && !has_input(node, 1)) return false;
  const auto to = result_dims(values, node);
  if (!to) return false;
  // The value furthest back that this can be a view of.
  ValueId source = node.inputs[0];
  std::optional<std::vector<int64_t>> target;
  for (ValueId candidate = source;;) {
    if (const auto from = values.dims(candidate)) {
      if (auto found = reshape_target(*from, *to)) {
        source = candidate;
        target = std::move(found);
      }
    }
    const Node* producer = producer_of(graph, candidate);
    if (producer == nullptr || !is_view(*producer)) break;
    candidate = producer->inputs[0];
  }
  if (!target) return false;
  const bool identity = values.dims(source)->size() == to->size() &&
                        std::ranges::all_of(*target, [](int64_t t) { return t == 0; });
  if (identity) return scope.forward(node.outputs[0], source);
  bool changed = false;
  if (source != node.inputs[0]) {
    graph.set_input(id, 0, source);
    changed = true;
  }
  const auto present = is_reshape ? scope.ints(node.inputs[1]) : std::nullopt;
  if (present != target) {
    const ValueId shape = scope.add_ints(graph.value(node.outputs[0]).name + "_shape", *target);
    if (!is_reshape) {
      node.op_type = "Reshape";
      node.remove("axis");
      graph.append_input(id, shape);
    } else {
      graph.set_input(id, 1, shape);
    }
    changed = true;
  }
  if (node.find("allowzero") != nullptr) {
    node.remove("allowzero");
    changed = true;
  }
  return changed;
}

bool fold_expand(const Scope& scope, const ShapeValues& values, NodeId id) {
  const Node& node = scope.graph().node(id);
  const auto from = values.dims(node.inputs[0]);
  const auto to = values.content(node.inputs[1]);
  if (!from || !to || to->elements.size() > from->size()) return false;
  const size_t shift = from->size() - to->elements.size();
  for (size_t i = 0; i < to->elements.size(); ++i)
    if (!to->elements[i].is(1) && !(to->elements[i] == (*from)[shift + i])) return false;
  return scope.forward(node.outputs[0], node.inputs[0]);
}

bool fold_slice(const Scope& scope, const ShapeValues& values, NodeId id) {
  const Node& node = scope.graph().node(id);
  if (!has_input(node, 1) || !has_input(node, 2)) return false;
  const auto from = values.dims(node.inputs[0]);
  const auto starts = values.content(node.inputs[1]), ends = values.content(node.inputs[2]);
  if (!from || !starts || !ends || starts->elements.size() != ends->elements.size()) return false;
  const auto axes = has_input(node, 3) ? values.content(node.inputs[3]) : std::nullopt;
  const auto steps = has_input(node, 4) ? values.content(node.inputs[4]) : std::nullopt;
  if ((has_input(node, 3) && !axes) || (has_input(node, 4) && !steps)) return false;
  for (size_t i = 0; i < ends->elements.size(); ++i) {
    if (!starts->elements[i].is(0) || (steps && (i >= steps->elements.size() || !steps->elements[i].is(1))))
      return false;
    if (axes && i >= axes->elements.size()) return false;
    const auto given = axes ? axes->elements[i].constant() : std::optional(static_cast<int64_t>(i));
    const auto axis = given ? normalise_axis(*given, from->size()) : std::nullopt;
    if (!axis) return false;
    const auto end = ends->elements[i].constant();
    const bool beyond = end && *end >= std::numeric_limits<int32_t>::max();
    if (!beyond && !(ends->elements[i] - (*from)[*axis]).is_nonnegative()) return false;
  }
  return scope.forward(node.outputs[0], node.inputs[0]);
}

// An integer tensor that is known becomes a constant.
bool fold_content(const Scope& scope, const ShapeValues& values, NodeId id) {
  Graph& graph = scope.graph();
  bool changed = false;
  const std::vector<ValueId> outputs = graph.node(id).outputs;
  for (const ValueId output : outputs) {
    if (output == kNoValue || graph.uses(output).empty()) continue;
    const DType dtype = graph.value(output).type.dtype;
    if (dtype != DType::kInt64 && dtype != DType::kInt32) continue;
    const auto content = values.content(output);
    const auto known = content ? content->constants() : std::nullopt;
    if (!known) continue;
    Dims dims;
    if (!content->scalar) dims.push_back(static_cast<int64_t>(known->size()));
    WeightPtr weight;
    if (dtype == DType::kInt64) {
      weight = Weight::reshape(Weight::int64s(*known), dims);
    } else {
      const std::vector<int32_t> narrow(known->begin(), known->end());
      weight = Weight::from_bytes(dtype, dims,
                                  own_bytes(std::string(reinterpret_cast<const char*>(narrow.data()),
                                                        narrow.size() * sizeof(int32_t))));
    }
    changed |=
        scope.forward(output, scope.add_constant(graph.value(output).name + "_known", std::move(weight)));
    if (!graph.is_alive(id)) break;
  }
  return changed;
}

}  // namespace

Result<bool> fold_shapes(Model& model) {
  return for_each_graph(model, [](Scope& scope) -> Result<bool> {
    Graph& graph = scope.graph();
    const ShapeValues values(scope);
    bool changed = false;
    const std::vector<NodeId> order = graph.order();
    for (const NodeId id : order) {
      if (!graph.is_alive(id) || !graph.node(id).domain.empty() || graph.node(id).is("Constant")) continue;
      if (fold_content(scope, values, id)) {
        changed = true;
        if (!graph.is_alive(id)) continue;
      }
      const Node& node = graph.node(id);
      if (!has_input(node, 0) || node.outputs.empty() || node.outputs[0] == kNoValue) continue;
      if (node.is("Reshape") || node.is("Flatten")) changed |= fold_reshape(scope, values, id);
      if (node.is("Expand") && has_input(node, 1)) changed |= fold_expand(scope, values, id);
      if (node.is("Slice")) changed |= fold_slice(scope, values, id);
    }
    return changed;
  });
}

}  // namespace mts::canon
