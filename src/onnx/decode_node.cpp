// The part of GraphDecoder that turns NodeProto and AttributeProto into Node and Attribute.
#include "onnx/decode_graph.h"

namespace mts::onnxio {
namespace {

using Proto = onnx::AttributeProto;

// Files older than the discriminator leave it out.
Proto::AttributeType type_of(const Proto& proto) {
  if (proto.type() != Proto::UNDEFINED) return proto.type();
  if (proto.has_f()) return Proto::FLOAT;
  if (proto.has_i()) return Proto::INT;
  if (proto.has_s()) return Proto::STRING;
  if (proto.has_t()) return Proto::TENSOR;
  if (proto.has_g()) return Proto::GRAPH;
  if (proto.floats_size() > 0) return Proto::FLOATS;
  if (proto.ints_size() > 0) return Proto::INTS;
  if (proto.strings_size() > 0) return Proto::STRINGS;
  if (proto.tensors_size() > 0) return Proto::TENSORS;
  if (proto.graphs_size() > 0) return Proto::GRAPHS;
  return Proto::UNDEFINED;
}

}  // namespace

Result<std::shared_ptr<Graph>> GraphDecoder::decode_subgraph(const onnx::GraphProto& proto) {
  auto child = std::make_shared<Graph>();
  MTS_TRY(GraphDecoder(context_, *child, this).decode(proto));
  return child;
}

Result<AttributeValue> GraphDecoder::decode_value(const Proto& proto, const std::string& node) {
  switch (type_of(proto)) {
    case Proto::FLOAT:
      return AttributeValue(proto.f());
    case Proto::INT:
      return AttributeValue(static_cast<int64_t>(proto.i()));
    case Proto::STRING:
      return AttributeValue(proto.s());
    case Proto::FLOATS:
      return AttributeValue(std::vector<float>(proto.floats().begin(), proto.floats().end()));
    case Proto::INTS:
      return AttributeValue(std::vector<int64_t>(proto.ints().begin(), proto.ints().end()));
    case Proto::STRINGS:
      return AttributeValue(std::vector<std::string>(proto.strings().begin(), proto.strings().end()));
    case Proto::TENSOR: {
      MTS_ASSIGN(WeightPtr weight, decode_weight(proto.t(), node, proto.name()));
      return AttributeValue(std::move(weight));
    }
    case Proto::TENSORS: {
      std::vector<WeightPtr> weights;
      for (const auto& tensor : proto.tensors()) {
        MTS_ASSIGN(WeightPtr weight, decode_weight(tensor, node, proto.name()));
        weights.push_back(std::move(weight));
      }
      return AttributeValue(std::move(weights));
    }
    case Proto::GRAPH: {
      MTS_ASSIGN(auto child, decode_subgraph(proto.g()));
      return AttributeValue(std::move(child));
    }
    case Proto::GRAPHS: {
      std::vector<std::shared_ptr<Graph>> children;
      for (const auto& graph : proto.graphs()) {
        MTS_ASSIGN(auto child, decode_subgraph(graph));
        children.push_back(std::move(child));
      }
      return AttributeValue(std::move(children));
    }
    default:
      break;
  }
  // Kept as it is, but its data must not depend on files beside the original model.
  Proto kept = proto;
  const auto inline_parts = [&](onnx::SparseTensorProto& sparse) -> Result<void> {
    if (sparse.has_values()) MTS_TRY(make_inline(*sparse.mutable_values(), context_.source));
    return sparse.has_indices() ? make_inline(*sparse.mutable_indices(), context_.source) : Result<void>();
  };
  Result<void> done;
  if (kept.has_sparse_tensor()) done = inline_parts(*kept.mutable_sparse_tensor());
  for (auto& sparse : *kept.mutable_sparse_tensors())
    if (done) done = inline_parts(sparse);
  if (!done) return context_.located(std::move(done).error(), node, proto.name());
  return AttributeValue(Encoded{kept.SerializeAsString()});
}

Result<Attribute> GraphDecoder::decode_attribute(const Proto& proto, const std::string& node) {
  if (proto.name().empty()) return context_.refuse("an attribute has no name", node);
  if (!proto.ref_attr_name().empty())
    return context_.refuse("the attribute refers to one of a function, but is not in a function", node,
                           proto.name());
  MTS_ASSIGN(AttributeValue value, decode_value(proto, node));
  return Attribute{proto.name(), std::move(value), proto.doc_string()};
}

Result<Node> GraphDecoder::decode_node(const onnx::NodeProto& proto) {
  Node node;
  node.op_type = proto.op_type();
  node.domain = proto.domain() == "ai.onnx" ? std::string() : proto.domain();
  node.overload = proto.overload();
  node.name = proto.name();
  node.doc = proto.doc_string();
  node.metadata = decode_metadata(proto.metadata_props());
  if (node.op_type.empty()) return context_.refuse("a node has no operator type", node.label());
  for (const auto& input : proto.input()) {
    const ValueId id = input.empty() ? kNoValue : resolve(input, position_);
    if (id == kNoValue && !input.empty())
      return context_.refuse("nothing produces this input", node.label(), input);
    node.inputs.push_back(id);
  }
  for (const auto& output : proto.output())
    node.outputs.push_back(output.empty() ? kNoValue : definitions_.at(output).id);
  node.attributes.reserve(static_cast<size_t>(proto.attribute_size()));
  for (const auto& attribute : proto.attribute()) {
    MTS_ASSIGN(Attribute decoded, decode_attribute(attribute, node.label()));
    if (node.find(decoded.name) != nullptr)
      return context_.refuse("an attribute is given twice", node.label(), decoded.name);
    node.attributes.push_back(std::move(decoded));
  }
  if (proto.device_configurations_size() > 0 || !proto.unknown_fields().empty()) {
    onnx::NodeProto rest = proto;
    rest.clear_input();
    rest.clear_output();
    rest.clear_name();
    rest.clear_op_type();
    rest.clear_domain();
    rest.clear_overload();
    rest.clear_attribute();
    rest.clear_doc_string();
    rest.clear_metadata_props();
    node.extra = rest.SerializeAsString();
  }
  return node;
}

}  // namespace mts::onnxio
