// What ONNX's inference and data propagation functions of an operator see of a node: its operands' types,
// small constant contents, and what is known of computed shapes. They look straight into a Graph, so that
// nothing has to be serialised and an operator that fails or is unknown only leaves its own outputs open.
#pragma once

#include "onnx/shape_values.h"

#include <mts/graph.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <onnx/defs/shape_inference.h>

namespace mts::onnxio {

// What inference knows of the values of one graph, by ValueId.
struct ValueFacts {
  explicit ValueFacts(size_t count) : types(count), data(count, nullptr), content(count) {}

  std::vector<onnx::TypeProto> types;
  std::vector<const onnx::TensorProto*> data;   // small constants
  std::vector<std::optional<Content>> content;  // see shape_values.h
  std::deque<onnx::TensorProto> owned_data;
};

// Runs inference on a subgraph of the node, given the types of its inputs (null where unknown); returns the
// types of its outputs.
using InferSubgraph =
    std::function<std::vector<const onnx::TypeProto*>(Graph&, const std::vector<const onnx::TypeProto*>&)>;

class NodeInference final : public onnx::InferenceContext {
 public:
  NodeInference(const Node& node, const ValueFacts& facts, InferSubgraph infer_subgraph);
  ~NodeInference() override;

  const onnx::AttributeProto* getAttribute(const std::string& name) const override;
  size_t getNumInputs() const override { return node_.inputs.size(); }
  const onnx::TypeProto* getInputType(size_t i) const override;
  bool hasInput(size_t i) const override { return i < node_.inputs.size() && node_.inputs[i] != kNoValue; }
  const onnx::TensorProto* getInputData(size_t i) const override;
  size_t getNumOutputs() const override { return node_.outputs.size(); }
  onnx::TypeProto* getOutputType(size_t i) override { return &outputs_.at(i); }
  bool hasOutput(size_t i) override { return i < node_.outputs.size() && node_.outputs[i] != kNoValue; }
  onnx::GraphInferencer* getGraphAttributeInferencer(const std::string& name) override;
  const onnx::SparseTensorProto* getInputSparseData(size_t) const override { return nullptr; }
  const onnx::TensorShapeProto* getSymbolicInput(size_t i) const override;
  std::string getDisplayName() const override { return node_.label(); }

  bool has_inferred(const Graph* graph) const;  // a subgraph of the node

 private:
  class Subgraph;

  const Node& node_;
  const ValueFacts& facts_;
  InferSubgraph infer_subgraph_;
  mutable std::map<std::string, onnx::AttributeProto> attributes_;
  std::vector<onnx::TypeProto> outputs_;
  std::map<std::string, std::unique_ptr<Subgraph>> subgraphs_;
};

}  // namespace mts::onnxio
