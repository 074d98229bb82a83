// Shared by the passes that recognise decomposed operators.
#pragma once

#include "canon/scope.h"

#include <functional>
#include <optional>
#include <string_view>

namespace mts::canon {

// The node `op_type` that makes `id`, when nothing else reads `id`.
const Node* only_producer(const Graph& graph, ValueId id, std::string_view op_type);

// `id` = op(x, c) with a one-element constant c; for Add and Mul also op(c, x).
struct WithNumber {
  ValueId x;
  double number;
};
std::optional<WithNumber> match_number(const Scope& scope, ValueId id, std::string_view op_type);

// Replaces the node by `replacement` (same single output).
void replace_node(const Scope& scope, NodeId id, Node replacement);

// Calls `fold` for every node that is still there when its turn comes, in order, in every graph of the model;
// `fold` returns whether it changed something. Returns whether any call did.
Result<bool> recompose_nodes(Model& model, const std::function<bool(const Scope&, NodeId)>& fold);

}  // namespace mts::canon
