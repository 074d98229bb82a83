// normalise-nodes: one way to write a node.
//
// before:  y = Add(b, x)  b constant          y = Mul(Sigmoid(x), x)         y = Softmax <axis = 3> (x)   x
// of rank 4
//          y = Conv <group = 1, strides = [1, 1], pads = [0, 0, 0, 0]> (x, w)
//          y = ReduceMean(x, {-1, -2})
// after:   y = Add(x, b)                      y = Mul(x, Sigmoid(x))         y = Softmax(x)
//          y = Conv <kernel_shape = [3, 3]> (x, w)
//          y = ReduceMean(x, {2, 3})
// - attributes that have their default value go; convolutions get their kernel_shape; auto_pad = VALID
// becomes no pads;
// - of two commutative operands the constant comes second, and the gate of x * sigmoid(x) too;
// - 1 / x is Reciprocal(x); a Split says its lengths; AveragePool without pads does not say whether it counts
// them;
// - axes count from the front, except the last axis of Softmax and its like, which is -1 (the default).
// Preconditions: ranks are known where axes are touched. Exact. Cost: none.
#include "canon/passes.h"
#include "canon/scope.h"
#include "onnx/schema.h"

#include <algorithm>
#include <array>
#include <map>

namespace mts::canon {
namespace {

using Ints = std::vector<int64_t>;

template <size_t N>
bool is_one_of(const std::array<std::string_view, N>& list, std::string_view op) {
  return std::ranges::find(list, op) != list.end();
}

constexpr auto kCommutative = std::to_array<std::string_view>(
    {"Add", "Mul", "And", "Or", "Xor", "Equal", "Max", "Min", "BitwiseAnd", "BitwiseOr"});
constexpr auto kLastAxis =
    std::to_array<std::string_view>({"Softmax", "LogSoftmax", "Hardmax", "LayerNormalization"});
constexpr auto kFrontAxis =
    std::to_array<std::string_view>({"Concat", "Gather", "GatherElements", "ScatterElements", "Split",
                                     "ArgMax", "ArgMin", "TopK", "Flatten", "OneHot"});
constexpr auto kReducing = std::to_array<std::string_view>(
    {"ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2",
     "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare"});
constexpr auto kWindowed =
    std::to_array<std::string_view>({"Conv", "ConvTranspose", "MaxPool", "AveragePool", "LpPool"});

// The defaults of the schemas, asked for once.
class Defaults {
 public:
  explicit Defaults(const Model& model) : model_(model) {}
  bool is_default(const Node& node, const Attribute& attribute) {
    const auto opset = model_.opsets.find(node.domain);
    if (opset == model_.opsets.end()) return false;
    auto [it, inserted] = known_.try_emplace({node.domain, node.op_type, attribute.name});
    if (inserted)
      it->second = onnxio::default_attribute(node.op_type, node.domain, opset->second, attribute.name);
    return it->second && *it->second == attribute.value;
  }

 private:
  const Model& model_;
  std::map<std::array<std::string, 3>, std::optional<AttributeValue>> known_;
};

// STFT keeps its onesided = 1: without it ONNX's shape inference (also ONNX Runtime's) takes 0 for the
// default.
bool drop_defaults(Node& node, Defaults& defaults) {
  if (node.is("STFT")) return false;
  return std::erase_if(node.attributes, [&](const Attribute& a) { return defaults.is_default(node, a); }) > 0;
}

bool all_are(const Ints& values, int64_t wanted) {
  return std::ranges::all_of(values, [wanted](int64_t v) { return v == wanted; });
}

// The attributes of windows whose defaults depend on the rank.
bool tidy_window(const Scope& scope, Node& node) {
  if (!is_one_of(kWindowed, node.op_type)) return false;
  bool changed = false;
  for (const auto& [name, neutral] :
       {std::pair("strides", 1), {"dilations", 1}, {"pads", 0}, {"output_padding", 0}}) {
    const Attribute* attribute = node.find(name);
    const auto* values = attribute == nullptr ? nullptr : std::get_if<Ints>(&attribute->value);
    if (values == nullptr || !all_are(*values, neutral)) continue;
    node.remove(name);
    changed = true;
  }
  if (node.is("AveragePool") && node.int_or("count_include_pad", 0) != 0 && node.find("pads") == nullptr &&
      node.int_or("ceil_mode", 0) == 0 && !node.string_or("auto_pad", "").starts_with("SAME")) {
    node.remove("count_include_pad");  // there is no pad to count
    changed = true;
  }
  if (node.string_or("auto_pad", "") == "VALID") {
    node.remove("auto_pad");
    node.remove("pads");
    changed = true;
  }
  if (node.find("kernel_shape") == nullptr && has_input(node, 1)) {
    if (const auto dims = static_dims(scope.graph().value(node.inputs[1]).type); dims && dims->size() > 2) {
      node.set("kernel_shape", Ints(dims->begin() + 2, dims->end()));
      changed = true;
    }
  }
  return changed;
}

bool order_operands(const Scope& scope, NodeId id) {
  Graph& graph = scope.graph();
  const Node& node = graph.node(id);
  if (!is_one_of(kCommutative, node.op_type) || node.inputs.size() != 2) return false;
  const ValueId a = node.inputs[0], b = node.inputs[1];
  if (a == kNoValue || b == kNoValue) return false;
  const bool a_constant = scope.weight(a) != nullptr, b_constant = scope.weight(b) != nullptr;
  const auto is_gate = [&](ValueId gate, ValueId x) {
    for (const char* op : {"Sigmoid", "HardSigmoid"})
      if (const Node* producer = producer_of(graph, gate, op);
          producer != nullptr && producer->inputs[0] == x)
        return true;
    return false;
  };
  const bool swap = (a_constant && !b_constant) || (node.is("Mul") && is_gate(a, b));
  if (!swap) return false;
  graph.set_input(id, 0, b);
  graph.set_input(id, 1, a);
  return true;
}

bool normalise_axis_attribute(const Scope& scope, Node& node) {
  const bool last = is_one_of(kLastAxis, node.op_type);
  if ((!last && !is_one_of(kFrontAxis, node.op_type)) || !has_input(node, 0)) return false;
  const Attribute* attribute = node.find("axis");
  const Type& type = scope.graph().value(node.inputs[0]).type;
  if (attribute == nullptr || !type.has_rank()) return false;
  const auto* axis = std::get_if<int64_t>(&attribute->value);
  // OneHot inserts its axis, Flatten may cut behind the last one.
  const size_t rank = type.rank() + (node.is("OneHot") ? 1 : 0);
  if (axis == nullptr || (node.is("Flatten") && *axis >= 0)) return false;
  const auto front = normalise_axis(*axis, rank);
  if (!front) return false;
  const int64_t wanted = last && *front + 1 == rank ? -1 : static_cast<int64_t>(*front);
  if (*axis == wanted) return false;
  node.set("axis", wanted);
  return true;
}

// Axes of reductions, Squeeze and Unsqueeze: from the front, ascending.
bool normalise_axes(const Scope& scope, NodeId id) {
  Graph& graph = scope.graph();
  Node& node = graph.node(id);
  const bool adds = node.is("Unsqueeze");
  if (!adds && !node.is("Squeeze") && !is_one_of(kReducing, node.op_type)) return false;
  const Type& type = graph.value(node.inputs.at(0)).type;
  if (!type.has_rank()) return false;
  const bool as_input = has_input(node, 1);
  const auto axes = as_input                       ? scope.ints(node.inputs[1])
                    : node.find("axes") != nullptr ? std::optional(node.ints_or("axes", {}))
                                                   : std::nullopt;
  if (!axes || axes->empty()) return false;
  Ints wanted;
  for (const int64_t axis : *axes) {
    const auto front = normalise_axis(axis, type.rank() + (adds ? axes->size() : 0));
    if (!front) return false;
    wanted.push_back(static_cast<int64_t>(*front));
  }
  std::ranges::sort(wanted);
  if (wanted == *axes) return false;
  if (as_input) {
    graph.set_input(id, 1, scope.add_ints(graph.value(node.inputs[1]).name + "_front", wanted));
  } else {
    node.set("axes", wanted);
  }
  return true;
}

// 1 / x is Reciprocal(x).
bool use_reciprocal(const Scope& scope, NodeId id) {
  Graph& graph = scope.graph();
  Node& node = graph.node(id);
  if (!node.is("Div") || scope.number(node.inputs[0]) != 1.0) return false;
  const Type& type = graph.value(node.inputs[1]).type;
  const size_t rank = scope.weight(node.inputs[0])->dims().size();
  if (!type.is_tensor() || !is_float(type.dtype) || (rank > 0 && (!type.has_rank() || rank > type.rank())))
    return false;
  node.op_type = "Reciprocal";
  graph.set_input(id, 0, node.inputs[1]);
  graph.resize_inputs(id, 1);
  return true;
}

// The lengths of a Split are an operand.
bool spell_out_split(const Scope& scope, NodeId id) {
  Graph& graph = scope.graph();
  Node& node = graph.node(id);
  if (!node.is("Split") || has_input(node, 1) || node.find("split") != nullptr || node.outputs.empty())
    return false;
  const Type& type = graph.value(node.inputs.at(0)).type;
  const auto axis = type.has_rank() ? normalise_axis(node.int_or("axis", 0), type.rank()) : std::nullopt;
  if (!axis || !(*type.shape)[*axis].is_known()) return false;
  const int64_t size = (*type.shape)[*axis].value;
  const auto count = static_cast<int64_t>(node.outputs.size());
  const int64_t length = (size + count - 1) / count;
  if (size - length * (count - 1) <= 0) return false;
  Ints lengths(node.outputs.size(), length);
  lengths.back() = size - length * (count - 1);
  node.remove("num_outputs");
  graph.resize_inputs(id, 2);
  graph.set_input(id, 1, scope.add_ints("split", lengths));
  return true;
}

}  // namespace

Result<bool> normalise_nodes(Model& model) {
  Defaults defaults(model);
  return for_each_graph(model, [&defaults, &model](Scope& scope) -> Result<bool> {
    Graph& graph = scope.graph();
    bool changed = false;
    for (const NodeId id : graph.order()) {
      Node& node = graph.node(id);
      if (!node.domain.empty()) continue;
      changed |= normalise_axis_attribute(scope, node);
      changed |= tidy_window(scope, node);
      changed |= drop_defaults(node, defaults);
      changed |= order_operands(scope, id);
      changed |= normalise_axes(scope, id);
      changed |= use_reciprocal(scope, id);
      changed |= model.opset() >= 13 && spell_out_split(scope, id);
    }
    return changed;
  });
}

}  // namespace mts::canon
