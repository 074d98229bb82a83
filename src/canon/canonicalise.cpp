#include "base/parallel.h"
#include "canon/opset.h"
#include "canon/passes.h"
#include "canon/pipeline.h"
#include "canon/weight_layouts.h"

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

// Errors name the model.
Result<bool> in_file(const Model& model, Result<bool> result) {
  if (result || !result.error().where.file.empty()) return result;
  Error error = std::move(result).error();
  error.where.file = model.path.empty() ? model.name : model.path;
  return tl::unexpected(std::move(error));
}

}  // namespace

Result<void> canonicalise(std::vector<Model>& models, const CanonicaliseOptions& options) {
  // The adapters look at constants, which Constant nodes would hide.
  const auto prepare = [&](size_t m) -> Result<void> {
    Model& model = models[m];
    MTS_TRY(in_file(model, canon::eliminate_dead(model)));
    MTS_TRY(in_file(model, canon::check_operands(model)));
    MTS_TRY(in_file(model, canon::constants_to_initializers(model)));
    return {};
  };
  const auto simplify = [&](size_t m) -> Result<void> {
    if (!options.keep_metadata) drop_metadata(models[m].graph);
    MTS_TRY(in_file(models[m], canon::run_to_fixed_point(models[m], passes())));
    return {};
  };
  MTS_TRY(try_each_parallel(models.size(), prepare));
  MTS_TRY(canon::unify_opsets(models));
  MTS_TRY(try_each_parallel(models.size(), simplify));
  MTS_TRY(canon::unify_weight_layouts(models));
  return {};
}

}  // namespace mts
