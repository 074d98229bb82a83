// recompose-activations: activations that were written out because the exporter's opset lacked them.
//
// before:  a = Add(x, 3); c = Clip(a, 0, 6); y = Div(c, 6)                      after:  y = HardSigmoid
// <alpha = 1/6> (x)
//          h = HardSigmoid <alpha = 1/6> (x); y = Mul(x, h)                             y = HardSwish(x) from
//          opset 14 a = Add(x, 3); c = Clip(a, 0, 6); m = Mul(x, c); y = Div(m, 6)               y =
//          HardSwish(x)     from opset 14 d = Div(x, sqrt 2); e = Erf(d); a = Add(e, 1); m = Mul(x, a); y =
//          Mul(m, 0.5)  y = Gelu(x)        from opset 20 the same with 0.5 at another factor, and Mul(x, sqrt
//          1/2) for the Div
// Preconditions: nothing else reads the values in between; the constants have one element and do not
// broadcast. Equal up to the rounding of the constants. Below the opset that has the operator nothing
// changes: all models have the same opset.
#include "canon/passes.h"
#include "canon/recompose.h"

#include <cmath>
#include <numbers>

namespace mts::canon {
namespace {

bool near(double a, double b) {
  return std::abs(a - b) <= 1e-3 * std::abs(b) && std::abs(a - b) < 1e-6 * std::max(1.0, std::abs(b));
}

// Clip(x + 3, 0, 6).
std::optional<ValueId> match_clipped(const Scope& scope, ValueId id) {
  const Node* clip = only_producer(scope.graph(), id, "Clip");
  if (clip == nullptr || !has_input(*clip, 1) || !has_input(*clip, 2)) return std::nullopt;
  const auto low = scope.number(clip->inputs[1]), high = scope.number(clip->inputs[2]);
  if (!low || !high || *low != 0 || *high != 6) return std::nullopt;
  const auto shifted = match_number(scope, clip->inputs[0], "Add");
  return shifted && shifted->number == 3 ? std::optional(shifted->x) : std::nullopt;
}

bool is_sixth(const Scope& scope, const Node& node, size_t position) {
  const auto number = scope.number(node.inputs[position]);
  if (!number) return false;
  return node.is("Div") ? position == 1 && *number == 6 : near(*number, 1.0 / 6);
}

// The operand that is divided by six, when the node does that.
std::optional<ValueId> match_sixth(const Scope& scope, const Node& node) {
  if ((!node.is("Div") && !node.is("Mul")) || node.inputs.size() != 2) return std::nullopt;
  if (is_sixth(scope, node, 1)) return node.inputs[0];
  if (node.is("Mul") && is_sixth(scope, node, 0)) return node.inputs[1];
  return std::nullopt;
}

Node hard_sigmoid(ValueId x) {
  return make_node("HardSigmoid", {x}, {}, {{"alpha", 1.0f / 6.0f, {}}});  // beta = 0.5 is the default
}

bool fold_hard(const Scope& scope, NodeId id, int64_t opset) {
  Graph& graph = scope.graph();
  const Node& node = graph.node(id);
  if (const auto scaled = match_sixth(scope, node)) {
    if (const auto x = match_clipped(scope, *scaled)) {
      replace_node(scope, id, hard_sigmoid(*x));
      return true;
    }
    const Node* product = only_producer(graph, *scaled, "Mul");
    if (product == nullptr || product->inputs.size() != 2) return false;
    for (const size_t side : {size_t{0}, size_t{1}}) {
      const ValueId x = product->inputs[1 - side];
      const auto clipped = match_clipped(scope, product->inputs[side]);
      if (!clipped || *clipped != x) continue;
      if (opset >= 14) {
        replace_node(scope, id, make_node("HardSwish", {x}));
      } else {
        const ValueId gate = scope.insert(id, hard_sigmoid(x), graph.value(node.outputs[0]).name + "_gate",
                                          graph.value(x).type);
        replace_node(scope, id, make_node("Mul", {x, gate}));
      }
      return true;
    }
    return false;
  }
  if (!node.is("Mul") || node.inputs.size() != 2 || opset < 14) return false;
  for (const size_t side : {size_t{0}, size_t{1}}) {
    const Node* gate = only_producer(graph, node.inputs[side], "HardSigmoid");
    const ValueId x = node.inputs[1 - side];
    if (gate == nullptr || gate->inputs[0] != x || !near(gate->float_or("alpha", 0.2f), 1.0 / 6) ||
        gate->float_or("beta", 0.5f) != 0.5f)
      continue;
    replace_node(scope, id, make_node("HardSwish", {x}));
    return true;
  }
  return false;
}

// 1 + Erf(x / sqrt 2).
std::optional<ValueId> match_error_term(const Scope& scope, ValueId id) {
  const auto shifted = match_number(scope, id, "Add");
  if (!shifted || shifted->number != 1) return std::nullopt;
  const Node* erf = only_producer(scope.graph(), shifted->x, "Erf");
  if (erf == nullptr) return std::nullopt;
  if (const auto d = match_number(scope, erf->inputs[0], "Div"); d && near(d->number, std::numbers::sqrt2))
    return d->x;
  if (const auto m = match_number(scope, erf->inputs[0], "Mul");
      m && near(m->number, 1 / std::numbers::sqrt2))
    return m->x;
  return std::nullopt;
}

// Collects the factors of a product whose inner products nothing else reads.
bool collect_factors(const Scope& scope, const Node& product, double& number, std::vector<ValueId>& factors) {
  for (const ValueId operand : product.inputs) {
    if (const auto value = scope.number(operand)) {
      number *= *value;
    } else if (const Node* inner = only_producer(scope.graph(), operand, "Mul");
               inner != nullptr && factors.size() + inner->inputs.size() <= 4) {
      if (!collect_factors(scope, *inner, number, factors)) return false;
    } else {
      factors.push_back(operand);
    }
  }
  return factors.size() <= 2;
}

bool fold_gelu(const Scope& scope, NodeId id) {
  const Node& node = scope.graph().node(id);
  if (!node.is("Mul")) return false;
  double number = 1;
  std::vector<ValueId> factors;
  if (!collect_factors(scope, node, number, factors) || factors.size() != 2 || number != 0.5) return false;
  for (const size_t side : {size_t{0}, size_t{1}}) {
    const auto x = match_error_term(scope, factors[side]);
    if (!x || *x != factors[1 - side]) continue;
    const Type &in = scope.graph().value(*x).type, &out = scope.graph().value(node.outputs[0]).type;
    if (in.has_rank() && out.has_rank() && in.rank() != out.rank()) return false;
    replace_node(scope, id, make_node("Gelu", {*x}));
    return true;
  }
  return false;
}

}  // namespace

Result<bool> recompose_activations(Model& model) {
  const int64_t opset = model.opset();
  return recompose_nodes(model, [opset](const Scope& scope, NodeId id) {
    return fold_hard(scope, id, opset) || (opset >= 20 && fold_gelu(scope, id));
  });
}

}  // namespace mts::canon
