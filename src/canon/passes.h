// The passes of canonicalise, one a source file; what each does is said there. All take a Model whose IR
// holds and keep its interface (names, order and types of inputs and outputs). The result says whether the
// model changed.
#pragma once

#include <mts/error.h>
#include <mts/graph.h>

namespace mts::canon {

Result<bool> check_operands(Model& model);
Result<bool> constants_to_initializers(Model& model);
Result<bool> infer_value_types(Model& model);
Result<bool> eliminate_identity(Model& model);
Result<bool> eliminate_dead(Model& model);
Result<bool> merge_equal_constants(Model& model);
Result<bool> common_subexpressions(Model& model);
Result<bool> fold_constants(Model& model);
Result<bool> fold_shapes(Model& model);
Result<bool> rebuild_shapes(Model& model);
Result<bool> unflatten_transposes(Model& model);
Result<bool> unfuse_activations(Model& model);
Result<bool> normalise_linear(Model& model);
Result<bool> normalise_nodes(Model& model);
Result<bool> recompose_activations(Model& model);
Result<bool> recompose_normalisation(Model& model);

}  // namespace mts::canon
