// unfuse-activations: what ONNX Runtime's optimiser writes of a layer and its activation becomes both again.
//
// before:  y = com.microsoft.FusedConv <activation = "Relu"> (x, w, b, z)
//          y = com.microsoft.FusedGemm <activation = "Tanh"> (x, w, b)
// after:   c = Conv(x, w, b); s = Add(c, z); y = Relu(s)
//          g = Gemm(x, w, b); y = Tanh(g)
//
// Standard operators can be stitched, and every engine runs them; ONNX Runtime fuses them again when it loads
// the file. Preconditions: outputs in float32, the activation is one of Relu, Tanh, Sigmoid, LeakyRelu,
// HardSigmoid and Clip, with the parameters that it needs. Refusals: other activations, which stay as they
// are. Source: the operators' documentation (ContribOperators.md of ONNX Runtime).
#include "canon/passes.h"
#include "canon/scope.h"

#include <optional>
#include <vector>

namespace mts::canon {
namespace {

std::vector<float> floats_of(const Node& node, std::string_view attribute) {
  const Attribute* found = node.find(attribute);
  const auto* values = found == nullptr ? nullptr : std::get_if<std::vector<float>>(&found->value);
  return values == nullptr ? std::vector<float>() : *values;
}

// The parameters in the order of FusedConv's activation_params.
std::vector<float> parameters_of(const Node& node) {
  if (node.op_type == "FusedConv") return floats_of(node, "activation_params");
  std::vector<float> values;
  for (const char* name : {"activation_alpha", "activation_beta"})
    if (node.find(name) != nullptr) values.push_back(node.float_or(name, 0));
  return values;
}

// Its input is missing yet.
std::optional<Node> activation_of(const Scope& scope, const Node& fused) {
  const std::string name = fused.string_or("activation", "");
  const std::vector<float> parameters = parameters_of(fused);
  if (name == "Relu" || name == "Tanh" || name == "Sigmoid") return make_node(name, {kNoValue});
  if (name == "LeakyRelu" && parameters.size() == 1)
    return make_node(name, {kNoValue}, {}, {{"alpha", parameters[0], {}}});
  if (name == "HardSigmoid" && parameters.size() == 2)
    return make_node(name, {kNoValue}, {}, {{"alpha", parameters[0], {}}, {"beta", parameters[1], {}}});
  if (name == "Clip" && parameters.size() == 2) {
    std::vector<ValueId> inputs = {kNoValue};
    for (const float bound : parameters)
      inputs.push_back(scope.add_constant(fused.name + "_bound", Weight::floats({&bound, 1}, {})));
    return make_node(name, std::move(inputs));
  }
  return std::nullopt;
}

bool unfuse(const Scope& scope, NodeId id) {
  Graph& graph = scope.graph();
  const bool conv = graph.node(id).op_type == "FusedConv";
  if (graph.node(id).domain != "com.microsoft" || (!conv && graph.node(id).op_type != "FusedGemm"))
    return false;
  const ValueId y = graph.node(id).outputs.front();
  const Type type = graph.value(y).type;
  if (type.is_tensor() && type.dtype != DType::kFloat32) return false;
  const bool plain = graph.node(id).string_or("activation", "").empty();
  std::optional<Node> activation;
  if (!plain) {
    activation = activation_of(scope, graph.node(id));
    if (!activation) return false;
  }
  Node layer = graph.node(id);
  layer.op_type = conv ? "Conv" : "Gemm";
  layer.domain.clear();
  for (const char* name :
       {"activation", "activation_params", "activation_alpha", "activation_beta", "activation_gamma"})
    layer.remove(name);
  const ValueId residual = conv && layer.inputs.size() > 3 ? layer.inputs[3] : kNoValue;
  layer.inputs.resize(std::min<size_t>(layer.inputs.size(), 3));
  layer.outputs.clear();
  Node last = std::move(layer);  // its output is y
  const auto append = [&](Node next) {
    const ValueId before = scope.insert(id, std::move(last), graph.value(y).name + "_" + last.op_type, type);
    next.inputs[0] = before;
    last = std::move(next);
  };
  graph.set_output_of(id, 0, kNoValue);
  if (residual != kNoValue) append(make_node("Add", {kNoValue, residual}));
  if (activation) append(std::move(*activation));
  last.outputs = {y};
  graph.insert_before(id, std::move(last));
  graph.erase_node(id);
  return true;
}

}  // namespace

Result<bool> unfuse_activations(Model& model) {
  return for_each_graph(model, [](Scope& scope) -> Result<bool> {
    bool any = false;
    for (const NodeId id : std::vector<NodeId>(scope.graph().order())) any |= unfuse(scope, id);
    return any;
  });
}

}  // namespace mts::canon
