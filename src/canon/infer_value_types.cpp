// infer-types: fills in the types of values. Facts about the graph, no change of it: reports false.
//
// ONNX's shape inference comes first. Where it left a dimension open, or named it itself ("unk__7"), the
// polynomials of shape_values.h may know more: the symbol of the input that it is equal to, or an expression
// over such symbols
// ("floor((H+1)/2)"). Equal names mean equal sizes. Types of graph inputs are never touched. Those of outputs
// stay as declared, however vague, but for a number where the inputs' symbols follow, and for a wrong rank:
// exporters write what they traced there, or what their own operator made, and engines only warn of it.
#include "canon/passes.h"
#include "canon/scope.h"
#include "canon/shape_values.h"

#include <mts/model_io.h>

#include <optional>
#include <utility>
#include <vector>

namespace mts::canon {
namespace {

// The sizes as they are, where all of them are known or can be written down.
std::optional<Shape> written(const std::vector<Size>& sizes) {
  Shape shape;
  for (const Size& size : sizes) {
    const auto value = size.constant();
    const auto text = size.expression();
    if (value ? *value < 0 : !text || text->size() > 200) return std::nullopt;
    shape.push_back(value ? Dim::known(*value) : Dim::symbolic(*text));
  }
  return shape;
}

// Declared numbers that are none: the size follows the symbols of the inputs. And a declared rank that is not
// the operator's.
void correct(Type& type, const std::vector<Size>& sizes, const ShapeValues& values) {
  if (!type.has_rank()) return;
  if (type.rank() != sizes.size()) {
    if (auto shape = written(sizes)) type.shape = std::move(*shape);
    return;
  }
  for (size_t i = 0; i < sizes.size(); ++i) {
    Dim& dim = (*type.shape)[i];
    if (!dim.is_known() || !values.follows_inputs(sizes[i])) continue;
    if (const auto text = sizes[i].expression(); text && text->size() <= 200) dim = Dim::symbolic(*text);
  }
}

void refine(Type& type, const std::vector<Size>& sizes) {
  if (type.kind == Type::Kind::kOther) return;
  if (!type.has_rank()) {
    if (!type.is_tensor()) return;
    type.shape = Shape(sizes.size());
  }
  if (type.rank() != sizes.size()) return;
  for (size_t i = 0; i < sizes.size(); ++i) {
    Dim& dim = (*type.shape)[i];
    if (dim.is_known()) continue;
    if (const auto value = sizes[i].constant()) {
      if (*value >= 0) dim = Dim::known(*value);
      continue;
    }
    const auto text = sizes[i].expression();
    if (!text || text->size() > 200 || dim.symbol == *text) continue;
    dim = Dim::symbolic(*text);
  }
}

}  // namespace

Result<bool> infer_value_types(Model& model) {
  // What the file declares of its inputs and outputs is part of the interface, however vague it is.
  std::vector<std::pair<ValueId, Type>> declared;
  for (const auto* list : {&model.graph.inputs(), &model.graph.outputs()})
    for (const ValueId id : *list)
      if (model.graph.value(id).type.kind != Type::Kind::kUnknown)
        declared.emplace_back(id, model.graph.value(id).type);
  MTS_TRY(infer_types(model));
  for (auto& [id, type] : declared) model.graph.value(id).type = std::move(type);
  MTS_TRY(for_each_graph(model, [](Scope& scope) -> Result<bool> {
    Graph& graph = scope.graph();
    const ShapeValues values(scope);
    for (const NodeId id : graph.order())
      for (const ValueId output : graph.node(id).outputs) {
        if (output == kNoValue) continue;
        const auto sizes = values.dims(output);
        if (!sizes) continue;
        correct(graph.value(output).type, *sizes, values);
        if (!graph.is_output(output)) refine(graph.value(output).type, *sizes);
      }
    return false;
  }));
  return false;
}

}  // namespace mts::canon
