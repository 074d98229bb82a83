// Normalisations over the channels, whose scale and shift can be applied to pieces.
#include "partial/rewriter.h"

#include <string>
#include <utility>

namespace mts::partial {
namespace {

// Of constants that are made up (contract 3).
constexpr size_t kGeneratedBytes = 1024;

}  // namespace

// A normalisation over the channels whose scale and shift can be applied to pieces afterwards. Beyond the
// size of a generated constant its own (unit) scale would cost more than is gained.
bool Rewriter::is_splittable_norm(NodeId id) const {
  const Node& node = graph_.node(id);
  return role(id).kind == NodeRole::Kind::kWhole && node.inputs.size() > 1 && node.inputs[1] != kNoValue &&
         graph_.value(node.inputs[1]).weight != nullptr &&
         graph_.value(node.inputs[1]).weight->dtype() == DType::kFloat32;
}

// A vector of ones; a large one is not stored.
ValueId Rewriter::ones(ValueId like, int64_t width) {
  const std::string name = graph_.value(like).name + "_one";
  const bool small = static_cast<size_t>(width) * sizeof(float) <= kGeneratedBytes;
  const int64_t stored = small ? width : 1;
  const ValueId one = forms_.add_constant(
      name, Weight::floats(std::vector<float>(static_cast<size_t>(stored), 1.0f), {stored}));
  if (small) return one;
  Node expand;
  expand.op_type = "Expand";
  expand.name = name;
  expand.inputs = {one, forms_.add_constant(name + "_width", Weight::int64s(std::vector<int64_t>{width}))};
  const ValueId out = forms_.add_value(name, Type::tensor(DType::kFloat32, {Dim::known(width)}));
  expand.outputs = {out};
  graph_.add_node(std::move(expand));
  return out;
}

// y = LayerNormalization(x, scale, shift)  ->  n = LayerNormalization(x, 1); y_p = n_p * scale_p + shift_p
void Rewriter::rewrite_norm(NodeId id) {
  Node node = graph_.node(id);
  const ValueId out = node.outputs[0], scale = node.inputs[1],
                shift = node.inputs.size() > 2 ? node.inputs[2] : kNoValue;
  const Arrangement& order = forms_.arrangement(out);
  const auto& operand = role(id).operands[1];
  const auto width = graph_.value(scale).weight->element_count();
  node.inputs = {forms_.get(node.inputs[0], order.all()), ones(scale, width)};
  const ValueId normalised = forms_.add_value(graph_.value(out).name, graph_.value(out).type);
  node.outputs = {normalised};
  Node split;
  split.op_type = "Split";
  split.name = node.name;
  split.set("axis", static_cast<int64_t>(forms_.tracked(out).axis));
  std::vector<int64_t> sizes;
  for (const uint32_t piece : order.all()) {
    sizes.push_back(static_cast<int64_t>(order.pieces[piece].positions.size()) * operand.unit);
    split.outputs.push_back(forms_.add_value(graph_.value(out).name, forms_.part_type(out, {piece})));
  }
  split.inputs = {normalised, forms_.add_constant(graph_.value(out).name + "_split", Weight::int64s(sizes))};
  for (const uint32_t piece : order.all()) {
    ValueId value = split.outputs[piece];
    for (const auto& [op, constant] : {std::pair{"Mul", scale}, std::pair{"Add", shift}}) {
      if (constant == kNoValue) continue;
      Node apply;
      apply.op_type = op;
      apply.name = node.name;
      apply.inputs = {value, part_of_constant(constant, 0, operand.unit, order.pieces[piece].positions)};
      value = forms_.add_value(graph_.value(out).name, forms_.part_type(out, {piece}));
      apply.outputs = {value};
      graph_.add_node(std::move(apply));
    }
    forms_.give(out, {piece}, value);
  }
  graph_.add_node(std::move(node));
  graph_.add_node(std::move(split));
}

}  // namespace mts::partial
