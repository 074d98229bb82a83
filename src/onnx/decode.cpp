#include "onnx/decode.h"

#include "base/log.h"
#include "onnx/decode_graph.h"
#include "onnx/limits.h"

namespace mts::onnxio {
namespace {

std::string in_range(const char* what, int64_t value, int64_t low, int64_t high) {
  return std::string(what) + " " + std::to_string(value) + " is outside of " + std::to_string(low) + " to " +
         std::to_string(high);
}

Result<void> decode_opsets(const onnx::ModelProto& proto, Model& model, const DecodeContext& context) {
  for (const auto& import : proto.opset_import()) {
    const std::string domain = import.domain() == "ai.onnx" ? std::string() : import.domain();
    const auto [it, fresh] = model.opsets.try_emplace(domain, import.version());
    if (!fresh && it->second != import.version())
      return context.refuse("the domain '" + domain + "' is imported in two versions");
  }
  const auto standard = model.opsets.find("");
  if (standard == model.opsets.end()) return {};
  if (standard->second < kMinOpset || standard->second > kMaxOpset)
    return context.refuse(in_range("opset", standard->second, kMinOpset, kMaxOpset));
  return {};
}

// Every domain of a node must be imported.
Result<void> check_domains(const Graph& graph, const Model& model, const DecodeContext& context) {
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    if (!model.opsets.contains(node.domain))
      return context.refuse("the model does not import the operator set '" +
                                (node.domain.empty() ? std::string("ai.onnx") : node.domain) + "'",
                            node.label());
    for (const Graph* child : node.subgraphs()) MTS_TRY(check_domains(*child, model, context));
  }
  return {};
}

void warn_of_demoted(const DecodeContext& context) {
  if (context.demoted_inputs.empty()) return;
  std::string names;
  for (size_t i = 0; i < context.demoted_inputs.size() && i < 3; ++i)
    names += (i == 0 ? "" : ", ") + context.demoted_inputs[i];
  if (context.demoted_inputs.size() > 3) names += ", ...";
  log::warn("{}: {} graph inputs are also initializers and are taken as constants: {}", context.file,
            context.demoted_inputs.size(), names);
}

}  // namespace

Result<Model> decode_model(const onnx::ModelProto& proto, TensorSource& source, std::string name,
                           std::string path) {
  DecodeContext context{source, path.empty() ? name : path, 0, {}};
  if (!proto.has_graph()) return context.refuse("there is no graph in it: it is not an ONNX model");
  if (proto.ir_version() < kMinIrVersion || proto.ir_version() > kMaxIrVersion)
    return context.refuse(in_range("IR version", proto.ir_version(), kMinIrVersion, kMaxIrVersion));
  if (proto.functions_size() > 0) return context.refuse("its local functions have not been inlined");
  Model model;
  model.name = std::move(name);
  model.path = std::move(path);
  model.ir_version = proto.ir_version();
  MTS_TRY(decode_opsets(proto, model, context));
  context.opset = model.opset();
  model.producer_name = proto.producer_name();
  model.producer_version = proto.producer_version();
  model.domain = proto.domain();
  model.doc = proto.doc_string();
  model.model_version = proto.model_version();
  model.metadata = decode_metadata(proto.metadata_props());
  if (proto.training_info_size() > 0 || proto.configuration_size() > 0 || !proto.unknown_fields().empty()) {
    onnx::ModelProto rest = proto;
    rest.clear_ir_version();
    rest.clear_opset_import();
    rest.clear_producer_name();
    rest.clear_producer_version();
    rest.clear_domain();
    rest.clear_model_version();
    rest.clear_doc_string();
    rest.clear_graph();
    rest.clear_metadata_props();
    model.extra = rest.SerializeAsString();
  }
  MTS_TRY(GraphDecoder(context, model.graph, nullptr).decode(proto.graph()));
  MTS_TRY(check_domains(model.graph, model, context));
  warn_of_demoted(context);
  return model;
}

}  // namespace mts::onnxio
