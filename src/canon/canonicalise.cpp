#include "canon/opset.h"
#include "canon/pipeline.h"

#include <mts/canonicalise.h>

namespace mts {
namespace {

void drop_metadata(Graph& graph) {
  for (const NodeId id : graph.order()) {
    Node& node = graph.node(id);
    node.metadata.clear();
    node.doc.clear();
    for (Attribute& attribute : node.attributes) attribute.doc.clear();
    for (Graph* child : node.subgraphs()) drop_metadata(*child);
  }
  for (size_t i = 0; i < graph.value_count(); ++i) {
    Value& value = graph.value(static_cast<ValueId>(i));
    value.metadata.clear();
    value.doc.clear();
  }
}

}  // namespace

Result<void> canonicalise(std::vector<Model>& models, const CanonicaliseOptions& options) {
  MTS_TRY(canon::unify_opsets(models));
  for (Model& model : models) {
    if (!options.keep_metadata) drop_metadata(model.graph);
    auto result = canon::run_to_fixed_point(model, passes());
    if (!result) {
      Error error = std::move(result).error();
      if (error.where.file.empty()) error.where.file = model.path.empty() ? model.name : model.path;
      return tl::unexpected(std::move(error));
    }
  }
  return {};
}

}  // namespace mts
