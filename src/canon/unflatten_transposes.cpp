// unflatten-transposes: a Transpose does not need its leading dimensions folded.
//
// before:  f = Reshape(x, {-1, 0', 8}); t = Transpose <perm = [0, 2, 1]> (f); y = Reshape(t, {N, 4, 8, S}) x:
// [N, 4, S, 8] after:   y = Transpose <perm = [0, 1, 3, 2]> (x) Preconditions: the first Reshape folds
// leading dimensions of x into one, the permutation leaves that one first, the second Reshape unfolds it into
// the same dimensions again; provably, by their sizes. Exact. Refusals: everything else.
#include "canon/passes.h"
#include "canon/recompose.h"
#include "canon/shape_values.h"

#include <algorithm>

namespace mts::canon {
namespace {

using Sizes = std::vector<Size>;

bool unflatten(const Scope& scope, const ShapeValues& values, NodeId id) {
  const Graph& graph = scope.graph();
  const Node& outer = graph.node(id);
  if (!outer.is("Reshape")) return false;
  const Node* transpose = producer_of(graph, outer.inputs[0], "Transpose");
  const Node* inner = transpose == nullptr ? nullptr : producer_of(graph, transpose->inputs[0], "Reshape");
  if (inner == nullptr) return false;
  const auto permutation = transpose->ints_or("perm", {});
  const auto x = values.dims(inner->inputs[0]), folded = values.dims(transpose->inputs[0]),
             y = values.dims(outer.outputs[0]);
  if (!x || !folded || !y || x->size() != y->size() || folded->size() < 2 || folded->size() >= x->size() ||
      permutation.size() != folded->size() || permutation[0] != 0)
    return false;
  const size_t leading = x->size() - folded->size() + 1;
  const auto split = static_cast<std::ptrdiff_t>(leading);
  if (product_of(Sizes(x->begin(), x->begin() + split)) != (*folded)[0]) return false;
  if (!std::equal(x->begin() + split, x->end(), folded->begin() + 1)) return false;
  std::vector<int64_t> whole;
  for (size_t i = 0; i < leading; ++i) whole.push_back(static_cast<int64_t>(i));
  for (size_t i = 1; i < permutation.size(); ++i)
    whole.push_back(permutation[i] + static_cast<int64_t>(leading) - 1);
  for (size_t i = 0; i < whole.size(); ++i)
    if ((*y)[i] != (*x)[static_cast<size_t>(whole[i])]) return false;
  replace_node(scope, id, make_node("Transpose", {inner->inputs[0]}, {}, {{"perm", whole, {}}}));
  return true;
}

}  // namespace

Result<bool> unflatten_transposes(Model& model) {
  return for_each_graph(model, [](Scope& scope) -> Result<bool> {
    const ShapeValues values(scope);
    bool changed = false;
    const std::vector<NodeId> order = scope.graph().order();
    for (const NodeId id : order)
      if (scope.graph().is_alive(id)) changed |= unflatten(scope, values, id);
    return changed;
  });
}

}  // namespace mts::canon
