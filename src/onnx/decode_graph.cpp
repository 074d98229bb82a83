#include "onnx/decode_graph.h"

#include "onnx/type_proto.h"

#include <unordered_set>

namespace mts::onnxio {

Metadata decode_metadata(const google::protobuf::RepeatedPtrField<onnx::StringStringEntryProto>& entries) {
  Metadata metadata;
  metadata.reserve(static_cast<size_t>(entries.size()));
  for (const auto& entry : entries) metadata.emplace_back(entry.key(), entry.value());
  return metadata;
}

void GraphDecoder::describe(ValueId id, const onnx::ValueInfoProto& info) {
  Value& value = graph_.value(id);
  value.type = value.is_constant() ? value.type : merge_types(decode_type(info.type()), value.type);
  if (value.doc.empty()) value.doc = info.doc_string();
  if (value.metadata.empty()) value.metadata = decode_metadata(info.metadata_props());
}

Result<ValueId> GraphDecoder::define(const std::string& name, Type type, int64_t position,
                                     const std::string& node) {
  const auto [it, fresh] = definitions_.try_emplace(name, Definition{kNoValue, position});
  if (!fresh) return context_.refuse("two values of one graph have this name", node, name);
  it->second.id = graph_.add_value(name, std::move(type));
  if (const auto info = infos_.find(name); info != infos_.end()) describe(it->second.id, *info->second);
  return it->second.id;
}

Result<void> GraphDecoder::define_inputs(const onnx::GraphProto& proto) {
  std::unordered_set<std::string_view> initialized;
  // In a subgraph the caller gives every input, so that an initializer of its name is never used.
  if (parent_ == nullptr)
    for (const auto& tensor : proto.initializer()) initialized.insert(tensor.name());
  for (const auto& input : proto.input()) {
    if (input.name().empty()) return context_.refuse("a graph input has no name");
    if (initialized.contains(input.name())) {
      context_.demoted_inputs.push_back(input.name());
      continue;
    }
    if (definitions_.contains(input.name()))
      return context_.refuse("two graph inputs have this name", {}, input.name());
    const ValueId id = graph_.add_input(input.name(), {});
    definitions_.emplace(input.name(), Definition{id, -1});
    describe(id, input);
  }
  return {};
}

Result<WeightPtr> GraphDecoder::decode_weight(const onnx::TensorProto& proto, const std::string& node,
                                              const std::string& value) {
  auto weight = decode_tensor(proto, context_.source);
  if (!weight) return context_.located(std::move(weight).error(), node, value);
  return weight;
}

Result<void> GraphDecoder::define_initializers(const onnx::GraphProto& proto) {
  for (const auto& tensor : proto.initializer()) {
    if (tensor.name().empty()) return context_.refuse("an initializer has no name");
    if (parent_ != nullptr && definitions_.contains(tensor.name()) &&
        graph_.is_input(definitions_.at(tensor.name()).id)) {
      context_.demoted_inputs.push_back(tensor.name());
      continue;
    }
    MTS_ASSIGN(WeightPtr weight, decode_weight(tensor, {}, tensor.name()));
    if (definitions_.contains(tensor.name()))
      return context_.refuse("two values of one graph have this name", {}, tensor.name());
    const ValueId id = graph_.add_constant(tensor.name(), std::move(weight));
    definitions_.emplace(tensor.name(), Definition{id, -1});
    Value& value = graph_.value(id);
    value.doc = tensor.doc_string();
    value.metadata = decode_metadata(tensor.metadata_props());
  }
  return {};
}

// A sparse initializer becomes the Constant node that says the same.
Result<void> GraphDecoder::define_sparse_initializers(const onnx::GraphProto& proto) {
  for (const auto& sparse : proto.sparse_initializer()) {
    const std::string& name = sparse.values().name();
    if (name.empty()) return context_.refuse("a sparse initializer has no name");
    if (context_.opset < 11) return context_.refuse("a sparse initializer needs opset 11 or later", {}, name);
    Type type = Type::tensor(static_cast<DType>(sparse.values().data_type()), Shape{});
    for (const int64_t d : sparse.dims()) type.shape->push_back(decode_dim(true, d, {}));
    MTS_ASSIGN(const ValueId id, define(name, std::move(type), -1, {}));
    onnx::AttributeProto attribute;
    attribute.set_name("sparse_value");
    attribute.set_type(onnx::AttributeProto::SPARSE_TENSOR);
    *attribute.mutable_sparse_tensor() = sparse;
    Node node;
    node.op_type = "Constant";
    node.name = name;
    node.outputs = {id};
    MTS_ASSIGN(Attribute decoded, decode_attribute(attribute, node.label()));
    node.attributes.push_back(std::move(decoded));
    graph_.add_node(std::move(node));
  }
  return {};
}

Result<void> GraphDecoder::define_outputs_of_nodes(const onnx::GraphProto& proto) {
  int64_t position = 0;
  for (const auto& node : proto.node()) {
    for (const auto& output : node.output())
      if (!output.empty()) MTS_TRY(define(output, {}, position, node.name() + " (" + node.op_type() + ")"));
    ++position;
  }
  return {};
}

Result<void> GraphDecoder::add_nodes(const onnx::GraphProto& proto) {
  position_ = 0;
  for (const auto& node_proto : proto.node()) {
    MTS_ASSIGN(Node node, decode_node(node_proto));
    graph_.add_node(std::move(node));
    ++position_;
  }
  position_ = kEnd;
  return {};
}

Result<void> GraphDecoder::add_outputs(const onnx::GraphProto& proto) {
  for (const auto& output : proto.output()) {
    const ValueId id = output.name().empty() ? kNoValue : resolve(output.name(), kEnd);
    if (id == kNoValue) return context_.refuse("nothing produces this graph output", {}, output.name());
    graph_.add_output(id);
    describe(id, output);
  }
  return {};
}

bool GraphDecoder::is_visible(const std::string& name) const {
  for (const GraphDecoder* scope = this; scope != nullptr; scope = scope->parent_)
    if (scope->definitions_.contains(name)) return true;
  return false;
}

ValueId GraphDecoder::resolve(const std::string& name, int64_t position) {
  const auto local = definitions_.find(name);
  if (local != definitions_.end() &&
      (local->second.position < position || parent_ == nullptr || !parent_->is_visible(name)))
    return local->second.id;
  if (const auto known = captures_.find(name); known != captures_.end()) return known->second;
  if (parent_ == nullptr) return kNoValue;
  const ValueId outer = parent_->resolve(name, parent_->position_);
  if (outer == kNoValue) return kNoValue;
  // A name that this graph also gives to a value of its own is made another one.
  std::string inner_name = name;
  while (definitions_.contains(inner_name)) inner_name += "@outer";
  const ValueId inner = graph_.add_capture(outer, std::move(inner_name), parent_->graph_.value(outer).type);
  captures_.emplace(name, inner);
  return inner;
}

Result<void> GraphDecoder::decode(const onnx::GraphProto& proto) {
  graph_.name = proto.name();
  graph_.doc = proto.doc_string();
  graph_.metadata = decode_metadata(proto.metadata_props());
  if (proto.quantization_annotation_size() > 0 || !proto.unknown_fields().empty()) {
    onnx::GraphProto rest = proto;
    rest.clear_node();
    rest.clear_name();
    rest.clear_initializer();
    rest.clear_sparse_initializer();
    rest.clear_doc_string();
    rest.clear_input();
    rest.clear_output();
    rest.clear_value_info();
    rest.clear_metadata_props();
    graph_.extra = rest.SerializeAsString();
  }
  for (const auto& info : proto.value_info()) infos_.emplace(info.name(), &info);
  MTS_TRY(define_inputs(proto));
  MTS_TRY(define_initializers(proto));
  MTS_TRY(define_sparse_initializers(proto));
  MTS_TRY(define_outputs_of_nodes(proto));
  MTS_TRY(add_nodes(proto));
  MTS_TRY(add_outputs(proto));
  auto sorted = graph_.sort();
  if (!sorted) return context_.located(sorted.error(), sorted.error().where.node, {});
  return {};
}

}  // namespace mts::onnxio
