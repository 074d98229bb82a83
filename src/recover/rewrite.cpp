#include "recover/rewrite.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

namespace mts::recover_detail {
namespace {

const WeightPtr& weight_of(const Graph& graph, const Node& node, size_t slot) {
  return graph.value(node.inputs[slot]).weight;
}

bool has_bias(const Node& node) { return canon::has_input(node, 2); }

// A constant [C], to be broadcast along the channels of a value of this rank: [C, 1..] for a Conv.
WeightPtr per_channel(const WeightPtr& weight, const Product& product, size_t rank) {
  Dims dims{weight->element_count()};
  if (product.kind == Product::Kind::kConv) dims.resize(rank - 1, 1);
  return Weight::reshape(weight, std::move(dims));
}

// The type of a value like `type` with another number of channels.
Type with_channels(Type type, const Product& product, int64_t channels) {
  if (!type.has_rank() || type.rank() == 0) return type;
  const size_t axis = product.kind == Product::Kind::kConv ? 1 : type.rank() - 1;
  (*type.shape)[axis] = Dim::known(channels);
  return type;
}

// A copy of a node's operator, attributes and metadata, without operands.
Node like(const Node& node, const std::string& suffix) {
  Node copy;
  copy.op_type = node.op_type;
  copy.name = node.name + suffix;
  copy.attributes = node.attributes;
  copy.metadata = node.metadata;
  return copy;
}

Node named(Node node, const Node& original, const std::string& suffix) {
  node.name = original.name + suffix;
  node.metadata = original.metadata;
  return node;
}

}  // namespace

Rewriter::Rewriter(std::vector<Model>& models) : models_(models), names_(models.size()) {}

canon::Scope Rewriter::scope(uint32_t model) {
  Graph& graph = models_[model].graph;
  if (!names_[model]) names_[model].emplace(graph);
  return {graph, nullptr, kNoNode, *names_[model]};
}

std::optional<Product> Rewriter::product(const Member& member) const {
  const Graph& graph = models_[member.model].graph;
  if (!graph.is_alive(member.node)) return std::nullopt;
  const Node& node = graph.node(member.node);
  if (node.inputs.size() < 2 || node.inputs[1] != member.value || node.inputs[0] == member.value)
    return std::nullopt;
  const WeightPtr& weight = graph.value(member.value).weight;
  const Dims& dims = weight->dims();
  if (graph.uses(member.value).size() != 1 || graph.is_output(member.value)) return std::nullopt;
  if (!graph.value(node.outputs[0]).type.has_rank()) return std::nullopt;
  const auto count = [](int64_t n) { return static_cast<size_t>(n); };
  if (node.is("Conv") && dims.size() >= 3) {
    const size_t inputs = count(weight->element_count() / dims[0]);
    return Product{Product::Kind::kConv, true, count(dims[0]), inputs, node.int_or("group", 1)};
  }
  if (dims.size() != 2) return std::nullopt;
  if (node.is("MatMul")) return Product{Product::Kind::kMatMul, false, count(dims[1]), count(dims[0]), 1};
  if (node.is("Gemm") && node.float_or("alpha", 1) == 1 && node.float_or("beta", 1) == 1 &&
      node.int_or("transA", 0) == 0) {
    const bool transposed = node.int_or("transB", 0) != 0;
    return Product{Product::Kind::kGemm, transposed, count(dims[transposed ? 0 : 1]),
                   count(dims[transposed ? 1 : 0]), 1};
  }
  return std::nullopt;
}

bool Rewriter::has_plain_bias(const Member& member) const {
  const Node& original = node(member);
  if (!has_bias(original)) return true;
  const WeightPtr& bias = weight_of(models_[member.model].graph, original, 2);
  const std::optional<Product> form = product(member);
  return bias != nullptr && form && bias->dims() == Dims{static_cast<int64_t>(form->outputs)};
}

Recovered Rewriter::describe(const Member& member, Recovered::Kind kind, double error) const {
  const Model& model = models_[member.model];
  const Value& value = model.graph.value(member.value);
  return {.model = model.name,
          .node = node(member).name,
          .value = value.name,
          .kind = kind,
          .rank = 0,
          .error = error,
          .bytes_before = value.weight->byte_size(),
          .bytes_after = 0};
}

void Rewriter::apply_scale(const Member& member, const WeightPtr& weight, const WeightPtr& scale) {
  const canon::Scope in = scope(member.model);
  Graph& graph = in.graph();
  const Product form = *product(member);
  const Node original = graph.node(member.node);  // a copy: inserting moves nodes
  const ValueId y = original.outputs[0];
  const Type type = graph.value(y).type;
  const std::string name = graph.value(member.value).name;
  const ValueId w =
      weight == graph.value(member.value).weight ? member.value : in.add_constant(name + "_base", weight);
  const ValueId s = in.add_constant(name + "_scale", per_channel(scale, form, type.rank()));

  Node bare = like(original, "");
  bare.inputs = {original.inputs[0], w};
  graph.set_output_of(member.node, 0, kNoValue);
  const ValueId product_value = in.insert(member.node, std::move(bare), name + "_product", type);
  Node mul = named(make_node("Mul", {product_value, s}), original, "/scale");
  if (has_bias(original)) {
    const ValueId scaled = in.insert(member.node, std::move(mul), name + "_scaled", type);
    const WeightPtr& bias = weight_of(graph, original, 2);
    const ValueId b = in.add_constant(graph.value(original.inputs[2]).name + "_after",
                                      per_channel(bias, form, type.rank()));
    graph.insert_before(member.node, named(make_node("Add", {scaled, b}, {y}), original, "/bias"));
  } else {
    mul.outputs = {y};
    graph.insert_before(member.node, std::move(mul));
  }
  graph.erase_node(member.node);
}

void Rewriter::apply_term(const Member& member, const WeightPtr& weight, const Term& term) {
  const canon::Scope in = scope(member.model);
  Graph& graph = in.graph();
  const Product form = *product(member);
  const std::string name = graph.value(member.value).name;
  if (weight != graph.value(member.value).weight)
    graph.set_input(member.node, 1, in.add_constant(name + "_base", weight));
  if (term.rank == 0) return;

  const Node original = graph.node(member.node);
  const ValueId x = original.inputs[0], y = original.outputs[0];
  const Type type = graph.value(y).type;
  // The factor next to the input channels comes first.
  WeightPtr first = form.outputs_first ? term.right : term.left;
  WeightPtr second = form.outputs_first ? term.left : term.right;
  Node down = like(original, "/down"), up = like(original, "/up");
  if (form.kind == Product::Kind::kConv) {
    Dims dims = weight->dims();  // [O, I, *] -> [rank, I, *] and [O, rank, 1..]
    dims[0] = term.rank;
    first = Weight::reshape(first, dims);
    Dims ones(weight->dims().size(), 1);
    ones[0] = weight->dims()[0];
    ones[1] = term.rank;
    second = Weight::reshape(second, std::move(ones));
    // A plain 1x1 convolution; attributes as canonicalisation writes them.
    for (const char* list : {"dilations", "kernel_shape", "strides"})
      if (up.find(list) != nullptr) up.set(list, std::vector<int64_t>(weight->dims().size() - 2, 1));
    if (up.find("pads") != nullptr) up.set("pads", std::vector<int64_t>(2 * (weight->dims().size() - 2), 0));
    up.remove("auto_pad");
  }
  down.inputs = {x, in.add_constant(name + "_down", first)};
  const ValueId thin =
      in.insert(member.node, std::move(down), name + "_thin", with_channels(type, form, term.rank));
  up.inputs = {thin, in.add_constant(name + "_up", second)};
  const ValueId update = in.insert(member.node, std::move(up), name + "_update", type);
  Node base = like(original, "");
  base.inputs = original.inputs;
  graph.set_output_of(member.node, 0, kNoValue);
  const ValueId product_value = in.insert(member.node, std::move(base), name + "_product", type);
  graph.insert_before(member.node,
                      named(make_node("Add", {product_value, update}, {y}), original, "/update"));
  graph.erase_node(member.node);
}

}  // namespace mts::recover_detail
