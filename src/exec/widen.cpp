#include "exec/widen.h"

#include "exec/host.h"
#include "ref/formats.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mts::exec {
namespace {

bool is_small(DType dtype) { return dtype == DType::kFloat16 || dtype == DType::kBfloat16; }

// Sorted. Operators whose float operands and results may all be float32 instead: arithmetic, and what moves
// or selects elements.
constexpr std::string_view kWidened[] = {"Abs",
                                         "Add",
                                         "And",
                                         "ArgMax",
                                         "ArgMin",
                                         "AveragePool",
                                         "BatchNormalization",
                                         "Cast",
                                         "Ceil",
                                         "Clip",
                                         "Concat",
                                         "Constant",
                                         "ConstantOfShape",
                                         "Conv",
                                         "ConvTranspose",
                                         "Cos",
                                         "DepthToSpace",
                                         "Div",
                                         "Dropout",
                                         "Einsum",
                                         "Elu",
                                         "Equal",
                                         "Erf",
                                         "Exp",
                                         "Expand",
                                         "Flatten",
                                         "Floor",
                                         "Gather",
                                         "GatherElements",
                                         "GatherND",
                                         "Gelu",
                                         "Gemm",
                                         "GlobalAveragePool",
                                         "GlobalMaxPool",
                                         "Greater",
                                         "GreaterOrEqual",
                                         "GroupNormalization",
                                         "HardSigmoid",
                                         "HardSwish",
                                         "Identity",
                                         "InstanceNormalization",
                                         "LayerNormalization",
                                         "LeakyRelu",
                                         "Less",
                                         "LessOrEqual",
                                         "Log",
                                         "LogSoftmax",
                                         "MatMul",
                                         "Max",
                                         "MaxPool",
                                         "Mean",
                                         "Min",
                                         "Mul",
                                         "Neg",
                                         "Not",
                                         "Or",
                                         "PRelu",
                                         "Pad",
                                         "Pow",
                                         "RMSNormalization",
                                         "Reciprocal",
                                         "ReduceL1",
                                         "ReduceL2",
                                         "ReduceMax",
                                         "ReduceMean",
                                         "ReduceMin",
                                         "ReduceSum",
                                         "ReduceSumSquare",
                                         "Relu",
                                         "Reshape",
                                         "Resize",
                                         "Shape",
                                         "Sigmoid",
                                         "Sin",
                                         "Size",
                                         "Slice",
                                         "Softmax",
                                         "Softplus",
                                         "SpaceToDepth",
                                         "Split",
                                         "Sqrt",
                                         "Squeeze",
                                         "Sub",
                                         "Sum",
                                         "Tanh",
                                         "Tile",
                                         "TopK",
                                         "Transpose",
                                         "Trilu",
                                         "Unsqueeze",
                                         "Where",
                                         "Xor"};

bool may_be_widened(const Node& node) {
  return node.domain.empty() && node.subgraphs().empty() &&
         std::binary_search(std::begin(kWidened), std::end(kWidened), node.op_type);
}

WeightPtr widened(const WeightPtr& weight) {
  const Tensor wide = ref::widen(tensor_of(weight));
  std::string bytes(reinterpret_cast<const char*>(wide.data()), wide.byte_size());
  return Weight::from_bytes(DType::kFloat32, weight->dims(), own_bytes(std::move(bytes)));
}

void widen_attributes(Node& node) {
  if (node.is("Cast") && is_small(static_cast<DType>(node.int_or("to", 0))))
    node.set("to", static_cast<int64_t>(DType::kFloat32));
  for (Attribute& attribute : node.attributes) {
    auto* const weight = std::get_if<WeightPtr>(&attribute.value);
    if (weight != nullptr && is_small((*weight)->dtype())) *weight = widened(*weight);
  }
}

ValueId add_cast(Graph& graph, ValueId from, ValueId to, DType dtype) {
  graph.add_node(make_node("Cast", {from}, {to}, {{"to", static_cast<int64_t>(dtype), {}}}));
  return to;
}

}  // namespace

Result<bool> widen_small_floats(Model& model) {
  Graph& graph = model.graph;
  bool any = false;
  for (size_t i = 0; i < graph.value_count(); ++i)
    any = any || is_small(graph.value(ValueId{static_cast<uint32_t>(i)}).type.dtype);
  const std::vector<NodeId> nodes = graph.order();
  if (!any ||
      !std::all_of(nodes.begin(), nodes.end(), [&](NodeId id) { return may_be_widened(graph.node(id)); }))
    return false;

  std::vector<DType> wanted;
  for (ValueId output : graph.outputs()) {
    wanted.push_back(graph.value(output).type.dtype);
    if (wanted.back() == DType::kUndefined) return false;
  }
  for (size_t i = 0; i < graph.value_count(); ++i) {
    const ValueId id{static_cast<uint32_t>(i)};
    Value& value = graph.value(id);
    if (!is_small(value.type.dtype) || graph.is_input(id)) continue;
    value.type.dtype = DType::kFloat32;
    if (value.weight != nullptr) value.weight = widened(value.weight);
  }
  for (NodeId id : nodes) widen_attributes(graph.node(id));
  for (ValueId input : std::vector<ValueId>(graph.inputs())) {
    Type type = graph.value(input).type;
    if (!is_small(type.dtype)) continue;
    type.dtype = DType::kFloat32;
    const ValueId wide = graph.add_value(graph.value(input).name + "/float32", std::move(type));
    graph.replace_uses(input, wide);
    add_cast(graph, input, wide, DType::kFloat32);
  }
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (!is_small(wanted[i])) continue;
    const ValueId wide = graph.outputs()[i];
    Type type = graph.value(wide).type;
    type.dtype = wanted[i];
    const ValueId narrow = graph.add_value(graph.value(wide).name + "/narrow", std::move(type));
    graph.set_output(i, add_cast(graph, wide, narrow, wanted[i]));
  }
  return true;
}

}  // namespace mts::exec
