#include "onnx/infer_context.h"

#include "onnx/encode.h"

#include <algorithm>
#include <stdexcept>

namespace mts::onnxio {

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

}  // namespace mts::onnxio
