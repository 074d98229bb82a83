#include "canon/pipeline.h"

#include "base/log.h"
#include "canon/passes.h"

#include <algorithm>
#include <array>

namespace mts {
namespace {

constexpr std::array kPasses = {
    Pass{"check-operands", "refuses nodes whose operands do not fit their operator (changes no node)",
         canon::check_operands},
    Pass{"constants-to-initializers",
         "Constant nodes, and constants of subgraphs -> initializers of the top graph",
         canon::constants_to_initializers},
    Pass{"unfuse-activations", "FusedConv and FusedGemm of ONNX Runtime's optimiser -> layer and activation",
         canon::unfuse_activations},
    Pass{"infer-types", "fills in the types that follow from the inputs' (changes no node)",
         canon::infer_value_types},
    Pass{"eliminate-identity", "Identity, inference Dropout, no-op Cast/Reshape/Slice/... -> their input",
         canon::eliminate_identity},
    Pass{"fold-shapes",
         "shape arithmetic over known symbols -> constants; computed Reshape -> constant Reshape",
         canon::fold_shapes},
    Pass{"rebuild-shapes",
         "other shape arithmetic over named dimensions -> Shape of the graph's inputs, one form",
         canon::rebuild_shapes},
    Pass{"unflatten-transposes",
         "Transpose between Reshapes that fold leading dimensions -> Transpose of all dimensions",
         canon::unflatten_transposes},
    Pass{"fold-constants", "operators over constants -> constants, where the file does not grow",
         canon::fold_constants},
    Pass{"normalise-linear",
         "MatMul + Add on matrices, Gemm in any layout -> Gemm <transB = 1>; flattened Gemm -> MatMul + Add",
         canon::normalise_linear},
    Pass{"recompose-activations",
         "HardSigmoid, HardSwish, Gelu written out -> the operator, where the opset has it",
         canon::recompose_activations},
    Pass{"recompose-normalisation", "LayerNormalization written out, ReduceMean over space -> the operator",
         canon::recompose_normalisation},
    Pass{"normalise-nodes", "default attributes, operand order, negative axes -> one way to write a node",
         canon::normalise_nodes},
    Pass{"merge-equal-constants", "constants of equal content -> one", canon::merge_equal_constants},
    Pass{"common-subexpressions", "equal nodes over equal operands -> one", canon::common_subexpressions},
    Pass{"eliminate-dead", "what no output needs -> gone", canon::eliminate_dead},
};

}  // namespace

std::span<const Pass> passes() { return kPasses; }

const Pass* find_pass(std::string_view name) {
  const auto it = std::ranges::find(kPasses, name, &Pass::name);
  return it == kPasses.end() ? nullptr : &*it;
}

namespace canon {

Result<bool> run_to_fixed_point(Model& model, std::span<const Pass> list) {
  bool any = false;
  for (int round = 0; round < kMaxRounds; ++round) {
    bool changed = false;
    for (const Pass& pass : list) {
      MTS_ASSIGN(const bool pass_changed, pass.run(model));
      if (pass_changed) {
        log::debug("{}: {} changed the graph", model.name, pass.name);
        MTS_TRY(model.graph.sort());
      }
#ifndef NDEBUG
      if (auto verified = verify_ir(model); !verified) {
        Error error = std::move(verified).error();
        error.message = "after pass " + std::string(pass.name) + ": " + error.message;
        return tl::unexpected(std::move(error));
      }
#endif
      changed |= pass_changed;
    }
    if (!changed) return any;
    any = true;
  }
  log::warn("{}: canonicalise stopped after {} rounds although the last one still changed something",
            model.name, kMaxRounds);
  return any;
}

}  // namespace canon
}  // namespace mts
