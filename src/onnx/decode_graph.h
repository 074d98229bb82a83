// GraphProto -> Graph, with the scopes of subgraphs.
#pragma once

#include "onnx/tensor_decode.h"

#include <mts/error.h>
#include <mts/graph.h>

#include <limits>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <onnx/onnx_pb.h>

namespace mts::onnxio {

// What all graphs of a model have in common while it is decoded.
struct DecodeContext {
  TensorSource& source;
  std::string file;  // for messages
  int64_t opset = 0;
  std::vector<std::string> demoted_inputs;  // initializers that were also listed as inputs

  tl::unexpected<Error> refuse(std::string message, std::string node = {}, std::string value = {}) const {
    return fail(ErrorCode::kModel, std::move(message),
                {.file = file, .node = std::move(node), .value = std::move(value)});
  }
  // Adds the place to an error from below.
  tl::unexpected<Error> located(Error error, std::string node, std::string value) const {
    error.where = {.file = file, .node = std::move(node), .value = std::move(value)};
    return tl::unexpected(std::move(error));
  }
};

class GraphDecoder {
 public:
  GraphDecoder(DecodeContext& context, Graph& graph, GraphDecoder* parent)
      : context_(context), graph_(graph), parent_(parent) {}

  Result<void> decode(const onnx::GraphProto& proto);

 private:
  static constexpr int64_t kEnd = std::numeric_limits<int64_t>::max();
  struct Definition {
    ValueId id;
    int64_t position;  // of the producing node in the file; -1 for inputs and initializers
  };

  Result<void> define_inputs(const onnx::GraphProto& proto);
  Result<void> define_initializers(const onnx::GraphProto& proto);
  Result<void> define_sparse_initializers(const onnx::GraphProto& proto);
  Result<void> define_outputs_of_nodes(const onnx::GraphProto& proto);
  Result<void> add_nodes(const onnx::GraphProto& proto);
  Result<void> add_outputs(const onnx::GraphProto& proto);
  Result<Node> decode_node(const onnx::NodeProto& proto);
  Result<Attribute> decode_attribute(const onnx::AttributeProto& proto, const std::string& node);
  Result<AttributeValue> decode_value(const onnx::AttributeProto& proto, const std::string& node);
  Result<std::shared_ptr<Graph>> decode_subgraph(const onnx::GraphProto& proto);
  Result<WeightPtr> decode_weight(const onnx::TensorProto& proto, const std::string& node,
                                  const std::string& value);
  Result<ValueId> define(const std::string& name, Type type, int64_t position, const std::string& node);
  void describe(ValueId id, const onnx::ValueInfoProto& info);

  // The value that `name` means for the node at `position`; kNoValue when there is none. A value of this
  // graph that is only defined further on gives way to one of an outer graph. `resolve` makes captures,
  // `is_visible` does not.
  ValueId resolve(const std::string& name, int64_t position);
  bool is_visible(const std::string& name) const;

  DecodeContext& context_;
  Graph& graph_;
  GraphDecoder* parent_;
  int64_t position_ = kEnd;  // node that is being decoded
  std::unordered_map<std::string, Definition> definitions_;
  std::unordered_map<std::string, ValueId> captures_;
  std::unordered_map<std::string_view, const onnx::ValueInfoProto*> infos_;
};

Metadata decode_metadata(const google::protobuf::RepeatedPtrField<onnx::StringStringEntryProto>& entries);

}  // namespace mts::onnxio
