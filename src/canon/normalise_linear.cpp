// normalise-linear: the ways to write a fully connected layer become two.
//
// before:  m = MatMul(x, w); y = Add(m, b)                x: [N, K], w: [K, N'], b: [N']
//          y = Gemm <alpha = 1, beta = 1> (x, w, b)
//          t = Transpose(w'); y = Gemm(x, t, b)
// after:   y = Gemm <transB = 1> (x, w', b)               w' = w transposed (lazily), as torch stores it
//
// before:  f = Reshape(x, {-1, K}); g = Gemm(f, w, b); y = Reshape(g, {0, 0, N'})          x: [N, S, K]
// after:   m = MatMul(x, w); y = Add(m, b)                w: [K, N']; x behind a Reshape where it has other
// dimensions So layers on matrices are Gemms with transB = 1, those on tensors of higher rank MatMul + Add
// with a [K, N'] weight. Preconditions: w is a 2-D constant of a floating-point type (for the first form: or
// the Transpose of one), b a constant of N' elements, alpha = beta = 1, transA = 0, the intermediate values
// have no other use. Where the weight is also read by something else, its layout stays and transB tells it.
// Exact up to the order of summation. Refusals: x of unknown rank; quantised weights (behind a
// DequantizeLinear).
#include "canon/passes.h"
#include "canon/scope.h"
#include "canon/shape_values.h"

#include <algorithm>

namespace mts::canon {
namespace {

bool is_matrix(const WeightPtr& weight) {
  return weight != nullptr && weight->dims().size() == 2 && is_float(weight->dtype()) &&
         bit_width(weight->dtype()) >= 16;
}

bool is_plain_gemm(const Node& node) {
  return node.is("Gemm") && node.float_or("alpha", 1) == 1 && node.float_or("beta", 1) == 1 &&
         node.int_or("transA", 0) == 0;
}

// A constant [N] or [1, N], as this graph sees it, made [N]; kNoValue otherwise.
ValueId as_bias(const Scope& scope, ValueId id, int64_t width) {
  const WeightPtr bias = scope.weight(id);
  if (bias == nullptr || bias->element_count() != width) return kNoValue;
  if (bias->dims() == Dims{width}) return id;
  if (bias->dims() != Dims{1, width}) return kNoValue;
  return scope.add_constant(scope.graph().value(id).name + "_flat", Weight::reshape(bias, {width}));
}

// y = Add(MatMul(x, w), b) -> Gemm.
bool fuse_bias(const Scope& scope, NodeId id) {
  Graph& graph = scope.graph();
  const Node& add = graph.node(id);
  if (!add.is("Add") || add.inputs.size() != 2) return false;
  for (const size_t side : {size_t{0}, size_t{1}}) {
    const ValueId product = add.inputs[side];
    const Node* matmul = producer_of(graph, product, "MatMul");
    if (matmul == nullptr || !single_use(graph, product)) continue;
    const Type& type = graph.value(matmul->inputs[0]).type;
    const WeightPtr weight = scope.weight(matmul->inputs[1]);
    if (!is_matrix(weight) || !type.has_rank() || type.rank() != 2) continue;
    const ValueId bias = as_bias(scope, add.inputs[1 - side], weight->dims()[1]);
    if (bias == kNoValue) continue;
    const ValueId x = matmul->inputs[0], w = matmul->inputs[1], y = add.outputs[0];
    const NodeId old = graph.value(product).producer;
    Node gemm = make_node("Gemm", {x, w, bias});
    gemm.name = matmul->name;
    gemm.metadata = matmul->metadata;
    graph.set_output_of(id, 0, kNoValue);
    gemm.outputs = {y};
    graph.insert_before(id, std::move(gemm));
    graph.erase_node(id);
    graph.erase_node(old);
    return true;
  }
  return false;
}

// Gemm(x, Transpose(w)) and, on matrices, MatMul(x, Transpose(w)) with a constant w read it as it is.
bool absorb_transpose(const Scope& scope, NodeId id) {
  Graph& graph = scope.graph();
  Node& node = graph.node(id);
  const bool is_matmul = node.is("MatMul");
  if (!is_matmul && !is_plain_gemm(node)) return false;
  const Node* transpose = producer_of(graph, node.inputs[1], "Transpose");
  if (transpose == nullptr || !is_matrix(scope.weight(transpose->inputs[0]))) return false;
  if (is_matmul) {
    const Type& type = graph.value(node.inputs[0]).type;
    if (!type.has_rank() || type.rank() != 2) return false;
    node.op_type = "Gemm";
  }
  const ValueId weight = transpose->inputs[0];
  if (node.int_or("transB", 0) == 0) {
    node.set("transB", int64_t{1});
  } else {
    node.remove("transB");
  }
  graph.set_input(id, 1, weight);
  return true;
}

// Reshape(Gemm(Reshape(x))) that only flattens the leading dimensions -> MatMul + Add on x.
bool unflatten(const Scope& scope, const ShapeValues& values, NodeId id) {
  Graph& graph = scope.graph();
  const Node& outer = graph.node(id);
  if (!outer.is("Reshape")) return false;
  const ValueId product = outer.inputs[0];
  const Node* gemm = producer_of(graph, product);
  if (gemm == nullptr || !is_plain_gemm(*gemm) || !single_use(graph, product)) return false;
  const WeightPtr weight = scope.weight(gemm->inputs[1]);
  const ValueId flat = gemm->inputs[0];
  const Node* inner = producer_of(graph, flat, "Reshape");
  if (!is_matrix(weight) || inner == nullptr) return false;
  const bool transposed = gemm->int_or("transB", 0) != 0;
  const int64_t depth = weight->dims()[transposed ? 1 : 0], width = weight->dims()[transposed ? 0 : 1];
  const ValueId x = inner->inputs[0], y = outer.outputs[0];
  const auto from = values.dims(x), to = values.dims(y), between = values.dims(flat);
  if (!from || !to || !between || to->size() < 3 || between->size() != 2) return false;
  const std::vector<Size> leading(to->begin(), to->end() - 1);
  if (!to->back().is(width) || !(*between)[1].is(depth) || product_of(leading) != (*between)[0]) return false;
  std::vector<Size> wanted = leading;  // x with its leading dimensions as they come out
  wanted.push_back(Size::known(depth));
  const auto target = reshape_target(*from, wanted);
  if (!target) return false;
  ValueId bias = kNoValue;
  if (has_input(*gemm, 2)) {
    bias = as_bias(scope, gemm->inputs[2], width);
    if (bias == kNoValue) return false;
  }
  const NodeId old = graph.value(product).producer;
  const ValueId stored = gemm->inputs[1];
  ValueId w = stored;
  if (transposed) {
    // The transposed weight must not become a second copy: every use must be such a Gemm, or the Transpose
    // stays.
    if (graph.uses(stored).size() == 1 && graph.value(stored).weight != nullptr && !graph.is_output(stored)) {
      transpose_in_place(graph, stored);
    } else {
      Shape shape{Dim::known(depth), Dim::known(width)};
      w = scope.insert(id, make_node("Transpose", {stored}, {}, {{"perm", std::vector<int64_t>{1, 0}, {}}}),
                       graph.value(stored).name + "_t", Type::tensor(weight->dtype(), std::move(shape)));
    }
  }
  const Type type = graph.value(y).type;
  ValueId unfolded = x;
  if (*from != wanted) {
    Type wide = type;
    if (wide.has_rank()) wide.shape->back() = Dim::known(depth);
    unfolded =
        scope.insert(id, make_node("Reshape", {x, scope.add_ints(graph.value(x).name + "_shape", *target)}),
                     graph.value(x).name + "_unfolded", std::move(wide));
  }
  graph.set_output_of(id, 0, kNoValue);
  Node matmul = make_node("MatMul", {unfolded, w});
  matmul.name = graph.node(old).name;
  matmul.metadata = graph.node(old).metadata;
  if (bias == kNoValue) {
    matmul.outputs = {y};
    graph.insert_before(id, std::move(matmul));
  } else {
    const ValueId m = scope.insert(id, std::move(matmul), graph.value(product).name + "_matmul", type);
    graph.insert_before(id, make_node("Add", {m, bias}, {y}));
  }
  graph.erase_node(id);
  graph.erase_node(old);
  return true;
}

// The weight of Gemms in [K, N] layout, read by nothing else, becomes [N, K].
bool prefer_rows(const Scope& scope, NodeId id) {
  Graph& graph = scope.graph();
  const Node& node = graph.node(id);
  if (!is_plain_gemm(node) || node.int_or("transB", 0) != 0) return false;
  const ValueId w = node.inputs[1];
  const WeightPtr weight = graph.value(w).weight;
  if (!is_matrix(weight) || graph.is_output(w)) return false;
  const std::vector<Use> uses = graph.uses(w);
  if (!std::ranges::all_of(uses, [&](const Use& use) {
        return use.input == 1 && is_plain_gemm(graph.node(use.node)) &&
               graph.node(use.node).int_or("transB", 0) == 0;
      }))
    return false;
  transpose_in_place(graph, w);
  for (const Use& use : uses) graph.node(use.node).set("transB", int64_t{1});
  return true;
}

bool flatten_bias(const Scope& scope, NodeId id) {
  Graph& graph = scope.graph();
  const Node& node = graph.node(id);
  if (!is_plain_gemm(node) || !has_input(node, 2)) return false;
  const WeightPtr bias = scope.weight(node.inputs[2]);
  if (bias == nullptr || bias->dims().size() != 2 || bias->dims()[0] != 1 ||
      graph.uses(node.inputs[2]).size() != 1)
    return false;
  graph.set_input(id, 2, as_bias(scope, node.inputs[2], bias->element_count()));
  return true;
}

}  // namespace

Result<bool> normalise_linear(Model& model) {
  return for_each_graph(model, [](Scope& scope) -> Result<bool> {
    Graph& graph = scope.graph();
    bool any = false;
    for (bool changed = true; changed; any |= changed) {  // a new Gemm may still have the other layout
      changed = false;
      const ShapeValues values(scope);
      const std::vector<NodeId> order = graph.order();
      for (const NodeId id : order) {
        if (!graph.is_alive(id) || !graph.node(id).domain.empty()) continue;
        if (fuse_bias(scope, id) || unflatten(scope, values, id)) {
          changed = true;
          continue;
        }
        changed |= absorb_transpose(scope, id);
        changed |= flatten_bias(scope, id);
        changed |= prefer_rows(scope, id);
      }
    }
    return any;
  });
}

}  // namespace mts::canon
