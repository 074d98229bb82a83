// The value of an operator over constants.
#pragma once

#include <mts/graph.h>
#include <mts/weight.h>

#include <optional>
#include <span>
#include <vector>

namespace mts::canon {

// Whether the operator only rearranges its first operand (Transpose, Reshape, Slice, Split, Concat, ...), so
// that its value over constants is a lazy expression over their bytes.
bool is_rearrangement(const Node& node);

// One weight per output of a rearrangement of constants. `operands` are all given (null for an absent
// optional input). nullopt: a form that lazy weights cannot express (steps, packed sub-byte elements,
// strings).
std::optional<std::vector<WeightPtr>> rearranged(const Node& node, std::span<const WeightPtr> operands);

// Evaluates any pure operator on the reference evaluator and copies the results; nullopt where that is not
// supported.
std::optional<std::vector<WeightPtr>> evaluated(const Node& node, std::span<const WeightPtr> operands,
                                                const Model& model);

}  // namespace mts::canon
