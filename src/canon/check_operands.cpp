// check-operands: refuses what would make the other passes read past a node's operands. Reports false.
//
// kModel, naming the node: an operator with too few or too many inputs or outputs, a required input that is
// absent. Operators of unknown domains pass.
#include "canon/passes.h"
#include "canon/scope.h"
#include "onnx/schema.h"

namespace mts::canon {

Result<bool> check_operands(Model& model) {
  return for_each_graph(model, [&model](Scope& scope) -> Result<bool> {
    for (const NodeId id : scope.graph().order()) {
      const Node& node = scope.graph().node(id);
      const auto opset = model.opsets.find(node.domain);
      if (opset == model.opsets.end()) continue;
      if (std::string problem = onnxio::arity_problem(node, opset->second); !problem.empty())
        return fail(ErrorCode::kModel, std::move(problem), {.file = {}, .node = node.label(), .value = {}});
    }
    return false;
  });
}

}  // namespace mts::canon
