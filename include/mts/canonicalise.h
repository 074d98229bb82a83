// Brings exports of the same layer to the same form, so that equal layers look equal: see `passes()` for what
// is done, in order. All models end with one opset per domain and keep their interface (input and output
// names, order and types).
#pragma once

#include <mts/error.h>
#include <mts/graph.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mts {

struct CanonicaliseOptions {
  bool keep_metadata = false;  // exporters' per-node metadata and docs (stack traces) are dropped otherwise
};

struct Pass {
  std::string_view name;     // "eliminate-identity"
  std::string_view summary;  // one line, before -> after
  // Returns whether the model changed. A pass that reports no change left the graph untouched.
  Result<bool> (*run)(Model& model);
};
std::span<const Pass> passes();  // in the order in which canonicalise runs them
const Pass* find_pass(std::string_view name);

// Raises every model to the highest opset of each domain among them (ai.onnx: at least 13), runs all passes
// on each to a fixed point, then gives every weight that models store in two layouts one of them. kModel,
// naming model and node: an operator that cannot be raised, a node whose operands do not fit its operator.
Result<void> canonicalise(std::vector<Model>& models, const CanonicaliseOptions& options = {});

}  // namespace mts
