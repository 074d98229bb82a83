// Raises models to one opset per domain.
//
// In: models whose IR holds, of ai.onnx >= 7. Out: every model imports, for each domain that one of them
// uses, the highest version among the inputs; nodes whose operator really changed in between are rewritten by
// an adapter (adapters.h), one version after the other. IR version: at least that of every input and what the
// opsets need. Refusals: kModel naming model, node, operator and both versions, for a change that has no
// adapter or a form that the adapter cannot express; also for different versions of a domain whose operators
// mts does not know.
#pragma once

#include <mts/error.h>
#include <mts/graph.h>

#include <vector>

namespace mts::canon {

// Both models of an older opset end with this one: in it axes, splits and bounds are operands, as in all
// later ones.
inline constexpr int64_t kLowestOpset = 13;

Result<void> unify_opsets(std::vector<Model>& models);

// Raises one model's import of a domain to `version`.
Result<void> raise_opset(Model& model, const std::string& domain, int64_t version);

}  // namespace mts::canon
