#include "onnx/encode.h"

#include "onnx/names.h"
#include "onnx/type_proto.h"

#include <algorithm>
#include <unordered_set>

namespace mts::onnxio {
namespace {

using Proto = onnx::AttributeProto;

// Small tensors share cache lines' alignment, large ones start on pages so that readers can map them.
uint64_t aligned(uint64_t offset, uint64_t size) {
  const uint64_t alignment = size >= 64 * 1024 ? 4096 : 64;
  return (offset + alignment - 1) / alignment * alignment;
}

void encode_metadata(const Metadata& metadata,
                     google::protobuf::RepeatedPtrField<onnx::StringStringEntryProto>& entries) {
  for (const auto& [key, value] : metadata) {
    auto& entry = *entries.Add();
    entry.set_key(key);
    entry.set_value(value);
  }
}

// Everything of a tensor but the content of large ones; returns whether the content is there.
bool encode_tensor_head(const Weight& weight, size_t inline_limit, onnx::TensorProto& out) {
  for (const int64_t d : weight.dims()) out.add_dims(d);
  out.set_data_type(static_cast<int32_t>(weight.dtype()));
  if (const auto* strings = weight.strings()) {
    for (const std::string& s : *strings) out.add_string_data(s);
    return true;
  }
  const size_t size = weight.byte_size();
  if (size == 0) return true;  // the checker refuses data in a tensor without elements, even an empty field
  if (size > inline_limit) return false;
  std::string& raw = *out.mutable_raw_data();
  raw.resize(size);
  weight.read({reinterpret_cast<std::byte*>(raw.data()), size});
  return true;
}

// What needs neither weights nor graphs; returns false for those.
bool encode_plain_value(const AttributeValue& value, Proto& out) {
  if (const auto* i = std::get_if<int64_t>(&value)) {
    out.set_type(Proto::INT);
    out.set_i(*i);
  } else if (const auto* f = std::get_if<float>(&value)) {
    out.set_type(Proto::FLOAT);
    out.set_f(*f);
  } else if (const auto* s = std::get_if<std::string>(&value)) {
    out.set_type(Proto::STRING);
    out.set_s(*s);
  } else if (const auto* ints = std::get_if<std::vector<int64_t>>(&value)) {
    out.set_type(Proto::INTS);
    out.mutable_ints()->Add(ints->begin(), ints->end());
  } else if (const auto* floats = std::get_if<std::vector<float>>(&value)) {
    out.set_type(Proto::FLOATS);
    out.mutable_floats()->Add(floats->begin(), floats->end());
  } else if (const auto* strings = std::get_if<std::vector<std::string>>(&value)) {
    out.set_type(Proto::STRINGS);
    for (const std::string& text : *strings) out.add_strings(text);
  } else if (const auto* encoded = std::get_if<Encoded>(&value)) {
    out.ParseFromString(encoded->attribute_proto);
  } else {
    return false;
  }
  return true;
}

class Encoder {
 public:
  explicit Encoder(const EncodeOptions& options) : options_(options) {}

  EncodedModel result;
  bool has_constants = false;

  Result<void> encode(const Graph& graph, const Names* outer, onnx::GraphProto& out) {
    MTS_ASSIGN(const Names names, Names::assign(graph, outer));
    if (!graph.extra.empty()) out.MergeFromString(graph.extra);
    if (!graph.name.empty()) out.set_name(graph.name);
    if (graph.name.empty()) out.set_name("graph");  // the checker wants one
    if (!graph.doc.empty()) out.set_doc_string(graph.doc);
    encode_metadata(graph.metadata, *out.mutable_metadata_props());
    for (const ValueId id : graph.inputs()) encode_info(graph.value(id), names.of(id), *out.add_input());
    for (const ValueId id : graph.outputs()) encode_info(graph.value(id), names.of(id), *out.add_output());
    for (const ValueId id : used_constants(graph)) {
      has_constants = true;
      const Value& value = graph.value(id);
      auto& tensor = *out.add_initializer();
      encode_tensor(value.weight, tensor);
      tensor.set_name(names.of(id));
      if (!value.doc.empty()) tensor.set_doc_string(value.doc);
      encode_metadata(value.metadata, *tensor.mutable_metadata_props());
    }
    const std::unordered_set<ValueId> outputs(graph.outputs().begin(), graph.outputs().end());
    for (const NodeId id : graph.order()) {
      MTS_TRY(encode_node(graph.node(id), names, *out.add_node()));
      for (const ValueId output : graph.node(id).outputs) {
        if (output == kNoValue || outputs.contains(output)) continue;
        const Value& value = graph.value(output);
        if (value.type.kind != Type::Kind::kUnknown || !value.doc.empty() || !value.metadata.empty())
          encode_info(value, names.of(output), *out.add_value_info());
      }
    }
    return {};
  }

 private:
  static void encode_info(const Value& value, const std::string& name, onnx::ValueInfoProto& out) {
    out.set_name(name);
    if (value.type.kind != Type::Kind::kUnknown) encode_type(value.type, *out.mutable_type());
    if (value.is_constant()) return;  // told where the tensor is
    if (!value.doc.empty()) out.set_doc_string(value.doc);
    encode_metadata(value.metadata, *out.mutable_metadata_props());
  }

  void encode_tensor(const WeightPtr& weight, onnx::TensorProto& out) {
    result.weight_bytes += weight->byte_size();
    if (encode_tensor_head(*weight, options_.inline_limit, out)) return;
    const auto add_entry = [&out](std::string_view key, const std::string& value) {
      auto& entry = *out.add_external_data();
      entry.set_key(std::string(key));
      entry.set_value(value);
    };
    if (options_.external_location.empty()) {
      add_entry(kMarkerKey, std::to_string(result.payloads.size()));
    } else {
      const uint64_t offset = aligned(result.external_bytes, weight->byte_size());
      out.set_data_location(onnx::TensorProto::EXTERNAL);
      add_entry("location", options_.external_location);
      add_entry("offset", std::to_string(offset));
      add_entry("length", std::to_string(weight->byte_size()));
      result.offsets.push_back(offset);
      result.external_bytes = offset + weight->byte_size();
    }
    result.payloads.push_back(weight);
  }

  Result<void> encode_node(const Node& node, const Names& names, onnx::NodeProto& out) {
    if (!node.extra.empty()) out.MergeFromString(node.extra);
    for (const ValueId id : node.inputs) out.add_input(names.of(id));
    for (const ValueId id : node.outputs) out.add_output(names.of(id));
    out.set_op_type(node.op_type);
    if (!node.domain.empty()) out.set_domain(node.domain);
    if (!node.overload.empty()) out.set_overload(node.overload);
    if (!node.name.empty()) out.set_name(node.name);
    if (!node.doc.empty()) out.set_doc_string(node.doc);
    encode_metadata(node.metadata, *out.mutable_metadata_props());
    for (const Attribute& attribute : node.attributes)
      MTS_TRY(encode_attribute(attribute, names, *out.add_attribute()));
    return {};
  }

  Result<void> encode_attribute(const Attribute& attribute, const Names& names, Proto& out) {
    const AttributeValue& value = attribute.value;
    if (encode_plain_value(value, out)) {
    } else if (const auto* weight = std::get_if<WeightPtr>(&value)) {
      out.set_type(Proto::TENSOR);
      encode_tensor(*weight, *out.mutable_t());
    } else if (const auto* weights = std::get_if<std::vector<WeightPtr>>(&value)) {
      out.set_type(Proto::TENSORS);
      for (const WeightPtr& one : *weights) encode_tensor(one, *out.add_tensors());
    } else if (const auto* graph = std::get_if<std::shared_ptr<Graph>>(&value)) {
      out.set_type(Proto::GRAPH);
      MTS_TRY(encode(**graph, &names, *out.mutable_g()));
    } else if (const auto* graphs = std::get_if<std::vector<std::shared_ptr<Graph>>>(&value)) {
      out.set_type(Proto::GRAPHS);
      for (const auto& one : *graphs) MTS_TRY(encode(*one, &names, *out.add_graphs()));
    }
    out.set_name(attribute.name);
    if (!attribute.doc.empty()) out.set_doc_string(attribute.doc);
    return {};
  }

  EncodeOptions options_;
};

}  // namespace

Result<EncodedModel> encode_model(const Model& model, const EncodeOptions& options) {
  Encoder encoder(options);
  onnx::ModelProto& proto = encoder.result.proto;
  if (!model.extra.empty()) proto.MergeFromString(model.extra);
  for (const auto& [domain, version] : model.opsets) {
    auto& import = *proto.add_opset_import();
    import.set_domain(domain);
    import.set_version(version);
  }
  if (!model.producer_name.empty()) proto.set_producer_name(model.producer_name);
  if (!model.producer_version.empty()) proto.set_producer_version(model.producer_version);
  if (!model.domain.empty()) proto.set_domain(model.domain);
  if (model.model_version != 0) proto.set_model_version(model.model_version);
  if (!model.doc.empty()) proto.set_doc_string(model.doc);
  encode_metadata(model.metadata, *proto.mutable_metadata_props());
  MTS_TRY(encoder.encode(model.graph, nullptr, *proto.mutable_graph()));
  // Before IR 4 every initializer had to be an input as well, which readers may override.
  proto.set_ir_version(encoder.has_constants ? std::max<int64_t>(model.ir_version, 4) : model.ir_version);
  return std::move(encoder.result);
}

onnx::TensorProto encode_plain_tensor(const Weight& weight, size_t inline_limit) {
  onnx::TensorProto tensor;
  encode_tensor_head(weight, inline_limit, tensor);
  return tensor;
}

onnx::AttributeProto encode_plain_attribute(const Attribute& attribute, size_t inline_limit) {
  Proto out;
  if (encode_plain_value(attribute.value, out)) {
  } else if (const auto* weight = std::get_if<WeightPtr>(&attribute.value)) {
    out.set_type(Proto::TENSOR);
    encode_tensor_head(**weight, inline_limit, *out.mutable_t());
  } else if (const auto* weights = std::get_if<std::vector<WeightPtr>>(&attribute.value)) {
    out.set_type(Proto::TENSORS);
    for (const WeightPtr& one : *weights) encode_tensor_head(*one, inline_limit, *out.add_tensors());
  }
  out.set_name(attribute.name);
  return out;
}

}  // namespace mts::onnxio
