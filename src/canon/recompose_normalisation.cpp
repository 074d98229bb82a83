// recompose-normalisation: layer normalisation and global pooling that were written out.
//
// before:  m = ReduceMean(x, {last}); d = Sub(x, m); p = Pow(d, 2); v = ReduceMean(p, {last}); a = Add(v,
// eps);
//          s = Sqrt(a); n = Div(d, s); w = Mul(n, scale); y = Add(w, bias)            p may also be Mul(d, d)
// after:   y = LayerNormalization <epsilon = eps> (x, scale, bias)                     from opset 17, float32
//
// before:  y = ReduceMean <keepdims> (x, {2, 3})       x of rank 4 (2 .. rank - 1 for other ranks above 3)
// after:   g = GlobalAveragePool(x); y = g             keepdims = 1
//          g = GlobalAveragePool(x); y = Reshape(g, {0, 0})                            keepdims = 0
// Preconditions: nothing else reads the values in between (d: the Pow and the Div); scale and bias are
// constants of the size of the last dimension. Exact up to the order of summation. Refusals: a normalisation
// without scale; over more than the last axis; in float16 (the rounding differs).
#include "canon/passes.h"
#include "canon/recompose.h"

#include <cmath>

namespace mts::canon {
namespace {

std::optional<std::vector<int64_t>> axes_of(const Scope& scope, const Node& node) {
  if (has_input(node, 1)) return scope.ints(node.inputs[1]);
  const Attribute* attribute = node.find("axes");
  return attribute == nullptr ? std::nullopt : std::optional(node.ints_or("axes", {}));
}

bool is_mean_of_last(const Scope& scope, const Node* node, size_t rank) {
  if (node == nullptr || node->int_or("keepdims", 1) != 1) return false;
  const auto axes = axes_of(scope, *node);
  return axes && axes->size() == 1 && normalise_axis((*axes)[0], rank) == rank - 1;
}

bool reads_only(const Graph& graph, ValueId id, size_t count) {
  return !graph.is_output(id) && graph.uses(id).size() == count;
}

// (x - mean) / sqrt(variance + eps): x and eps.
std::optional<WithNumber> match_standardised(const Scope& scope, ValueId id) {
  const Graph& graph = scope.graph();
  const Node* div = only_producer(graph, id, "Div");
  if (div == nullptr) return std::nullopt;
  const ValueId deviation = div->inputs[0];
  const Node* sub = producer_of(graph, deviation, "Sub");
  const Node* root = only_producer(graph, div->inputs[1], "Sqrt");
  if (sub == nullptr || root == nullptr) return std::nullopt;
  const ValueId x = sub->inputs[0];
  const Type& type = graph.value(x).type;
  if (!type.has_rank() || type.rank() < 2 || type.dtype != DType::kFloat32) return std::nullopt;
  const auto shifted = match_number(scope, root->inputs[0], "Add");
  if (!shifted) return std::nullopt;
  const Node* variance = only_producer(graph, shifted->x, "ReduceMean");
  const Node* mean = only_producer(graph, sub->inputs[1], "ReduceMean");
  if (!is_mean_of_last(scope, variance, type.rank()) || !is_mean_of_last(scope, mean, type.rank()) ||
      mean->inputs[0] != x)
    return std::nullopt;
  if (const auto square = match_number(scope, variance->inputs[0], "Pow")) {
    if (square->number != 2 || square->x != deviation || !reads_only(graph, deviation, 2))
      return std::nullopt;
  } else {
    const Node* product = only_producer(graph, variance->inputs[0], "Mul");
    if (product == nullptr || product->inputs[0] != deviation || product->inputs[1] != deviation ||
        !reads_only(graph, deviation, 3))
      return std::nullopt;
  }
  return WithNumber{x, shifted->number};
}

// A constant vector of the last dimension's size.
bool is_vector(const Scope& scope, ValueId id, const Type& type) {
  const WeightPtr weight = scope.weight(id);
  return weight != nullptr && weight->dtype() == type.dtype && type.shape->back().is_known() &&
         weight->dims() == Dims{type.shape->back().value};
}

// `id` = op(other, vector) in any order.
std::optional<std::pair<ValueId, ValueId>> match_vector(const Scope& scope, const Node& node,
                                                        const Type& type) {
  if (node.inputs.size() != 2) return std::nullopt;
  if (is_vector(scope, node.inputs[1], type)) return std::pair(node.inputs[0], node.inputs[1]);
  if (is_vector(scope, node.inputs[0], type)) return std::pair(node.inputs[1], node.inputs[0]);
  return std::nullopt;
}

bool fold_layer_normalisation(const Scope& scope, NodeId id) {
  const Graph& graph = scope.graph();
  const Node& node = graph.node(id);
  if (!node.is("Mul")) return false;
  const Type& type = graph.value(node.outputs[0]).type;
  if (!type.has_rank() || type.rank() < 2) return false;
  const auto scaled = match_vector(scope, node, type);
  if (!scaled) return false;
  const auto standardised = match_standardised(scope, scaled->first);
  if (!standardised) return false;
  NodeId last = id;
  std::vector<ValueId> operands{standardised->x, scaled->second};
  if (const auto use = single_use(graph, node.outputs[0])) {
    const Node& next = graph.node(use->node);
    const auto shifted = next.is("Add") ? match_vector(scope, next, type) : std::nullopt;
    if (shifted && shifted->first == node.outputs[0]) {
      last = use->node;
      operands.push_back(shifted->second);
    }
  }
  replace_node(scope, last,
               make_node("LayerNormalization", operands, {},
                         {{"epsilon", static_cast<float>(standardised->number), {}}}));
  return true;
}

bool fold_global_pool(const Scope& scope, NodeId id) {
  Graph& graph = scope.graph();
  const Node& node = graph.node(id);
  if (!node.is("ReduceMean")) return false;
  const ValueId x = node.inputs[0];
  const Type& type = graph.value(x).type;
  const auto axes = axes_of(scope, node);
  if (!axes || !type.has_rank() || type.rank() < 4 || !is_float(type.dtype) ||
      axes->size() != type.rank() - 2)
    return false;
  std::vector<bool> reduced(type.rank(), false);
  for (const int64_t axis : *axes) {
    const auto at = normalise_axis(axis, type.rank());
    if (!at || *at < 2 || reduced[*at]) return false;
    reduced[*at] = true;
  }
  if (node.int_or("keepdims", 1) == 1) {
    replace_node(scope, id, make_node("GlobalAveragePool", {x}));
    return true;
  }
  const std::string base = graph.value(node.outputs[0]).name;
  Shape shape = *type.shape;
  for (size_t i = 2; i < shape.size(); ++i) shape[i] = Dim::known(1);
  const ValueId pooled = scope.insert(id, make_node("GlobalAveragePool", {x}), base + "_pooled",
                                      Type::tensor(type.dtype, std::move(shape)));
  replace_node(scope, id, make_node("Reshape", {pooled, scope.add_ints(base + "_shape", {0, 0})}));
  return true;
}

}  // namespace

Result<bool> recompose_normalisation(Model& model) {
  const int64_t opset = model.opset();
  return recompose_nodes(model, [opset](const Scope& scope, NodeId id) {
    return (opset >= 17 && fold_layer_normalisation(scope, id)) || fold_global_pool(scope, id);
  });
}

}  // namespace mts::canon
