#include "onnx/infer_context.h"

#include "onnx/encode.h"

#include <algorithm>
#include <stdexcept>

namespace mts::onnxio {

constexpr int64_t kMaxContent = 128;  // elements: shapes are shorter, and a file may claim any length

class NodeInference::Subgraph final : public onnx::GraphInferencer {
 public:
  Subgraph(Graph& graph, const InferSubgraph& infer) : graph_(graph), infer_(infer) {}
  std::vector<const onnx::TypeProto*> doInferencing(const std::vector<const onnx::TypeProto*>& input_types,
                                                    const std::vector<const onnx::TensorProto*>&) override {
    if (input_types.size() != graph_.inputs().size())
      throw std::runtime_error("the subgraph has " + std::to_string(graph_.inputs().size()) +
                               " inputs instead of " + std::to_string(input_types.size()));
    done_ = true;
    return infer_(graph_, input_types);
  }
  bool has_inferred(const Graph* graph) const { return done_ && graph == &graph_; }

 private:
  Graph& graph_;
  const InferSubgraph& infer_;
  bool done_ = false;
};

NodeInference::NodeInference(const Node& node, const ValueFacts& facts, InferSubgraph infer_subgraph)
    : node_(node), facts_(facts), infer_subgraph_(std::move(infer_subgraph)), outputs_(node.outputs.size()) {}
NodeInference::~NodeInference() = default;

const onnx::AttributeProto* NodeInference::getAttribute(const std::string& name) const {
  if (const auto it = attributes_.find(name); it != attributes_.end()) return &it->second;
  const Attribute* attribute = node_.find(name);
  if (attribute == nullptr) return nullptr;
  return &attributes_.emplace(name, encode_plain_attribute(*attribute, kSmallTensor)).first->second;
}

const onnx::TypeProto* NodeInference::getInputType(size_t i) const {
  const ValueId id = node_.inputs.at(i);
  if (id == kNoValue) return nullptr;
  const auto& type = facts_.types[index(id)];
  return type.value_case() == onnx::TypeProto::VALUE_NOT_SET ? nullptr : &type;
}

const onnx::TensorProto* NodeInference::getInputData(size_t i) const {
  const ValueId id = node_.inputs.at(i);
  return id == kNoValue ? nullptr : facts_.data[index(id)];
}

const onnx::TensorShapeProto* NodeInference::getSymbolicInput(size_t i) const {
  const ValueId id = node_.inputs.at(i);
  if (id == kNoValue || facts_.data[index(id)] != nullptr || !facts_.content[index(id)]) return nullptr;
  return &*facts_.content[index(id)];
}

onnx::GraphInferencer* NodeInference::getGraphAttributeInferencer(const std::string& name) {
  auto& subgraph = subgraphs_[name];
  if (subgraph) return subgraph.get();
  const Attribute* attribute = node_.find(name);
  const auto* graph = attribute == nullptr ? nullptr : std::get_if<std::shared_ptr<Graph>>(&attribute->value);
  if (graph == nullptr) throw std::runtime_error("the attribute " + name + " is not a graph");
  subgraph = std::make_unique<Subgraph>(**graph, infer_subgraph_);
  return subgraph.get();
}

bool NodeInference::has_inferred(const Graph* graph) const {
  return std::ranges::any_of(
      subgraphs_, [graph](const auto& entry) { return entry.second && entry.second->has_inferred(graph); });
}

const onnx::TensorShapeProto* NodePropagation::getInputData(size_t i) {
  const ValueId id = node_.inputs.at(i);
  if (id == kNoValue) return nullptr;
  auto& content = facts_.content[index(id)];
  if (content) return &*content;
  // Of a vector of known length it is at least known how many elements it has.
  const onnx::TypeProto& type = facts_.types[index(id)];
  const auto& shape = type.tensor_type().shape();
  if (!type.tensor_type().has_shape() || shape.dim_size() != 1 || !shape.dim(0).has_dim_value())
    return nullptr;
  const int64_t length = shape.dim(0).dim_value();
  if (length < 0 || length > kMaxContent) return nullptr;
  content.emplace();
  for (int64_t k = 0; k < length; ++k) content->add_dim();
  return &*content;
}

void NodePropagation::addOutputData(size_t i, onnx::TensorShapeProto&& content) {
  const ValueId id = node_.outputs.at(i);
  if (id != kNoValue && content.dim_size() <= kMaxContent) facts_.content[index(id)] = std::move(content);
}

std::optional<onnx::TensorShapeProto> content_of(const Weight& weight) {
  const bool integers = weight.dtype() == DType::kInt64 || weight.dtype() == DType::kInt32;
  if (!integers || weight.dims().size() > 1 || weight.element_count() > kMaxContent) return std::nullopt;
  onnx::TensorShapeProto content;
  for (const int64_t value : weight.as_int64s()) content.add_dim()->set_dim_value(value);
  return content;
}

namespace {

onnx::TensorShapeProto divide(const onnx::TensorShapeProto& a, const onnx::TensorShapeProto& b) {
  const int count = std::max(a.dim_size(), b.dim_size());
  onnx::TensorShapeProto quotient;
  for (int i = 0; i < count; ++i) {
    const auto& x = a.dim(a.dim_size() == 1 ? 0 : i);
    const auto& y = b.dim(b.dim_size() == 1 ? 0 : i);
    auto& out = *quotient.add_dim();
    if (!y.has_dim_value()) continue;
    if (y.dim_value() == 1) out = x;
    if (x.has_dim_value() && x.dim_value() >= 0 && y.dim_value() > 0)
      out.set_dim_value(x.dim_value() / y.dim_value());
  }
  return quotient;
}

}  // namespace

void propagate_more(const Node& node, NodePropagation& context) {
  if (!node.domain.empty() || node.inputs.empty() || node.outputs.size() != 1) return;
  const bool copies = node.op_type == "Identity" || node.op_type == "Reshape";
  if (!copies && (node.op_type != "Div" || node.inputs.size() != 2)) return;
  const auto* a = context.getInputData(0);
  const auto* b = copies ? nullptr : context.getInputData(1);
  if (a == nullptr) return;
  if (copies) {
    context.addOutputData(0, onnx::TensorShapeProto(*a));
  } else if (b != nullptr && (a->dim_size() == b->dim_size() || a->dim_size() == 1 || b->dim_size() == 1) &&
             a->dim_size() > 0 && b->dim_size() > 0) {
    context.addOutputData(0, divide(*a, *b));
  }
}

}  // namespace mts::onnxio
