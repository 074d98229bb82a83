// Runs single nodes, and the bodies of If, Loop and Scan, on the host with the reference evaluator.
//
// In: a node, its input values, and where the values are that its bodies capture. Out: one datum an output.
#pragma once

#include "ref/evaluate.h"

#include <mts/error.h>
#include <mts/graph.h>
#include <mts/tensor.h>

#include <functional>
#include <span>
#include <vector>

namespace mts::exec {

// A value of the graph that holds the node; null when it is not there.
using OuterValue = std::function<const Datum*(ValueId)>;

Result<std::vector<Datum>> evaluate_on_host(const Node& node, std::span<const Datum* const> inputs,
                                            const Env& env, const OuterValue& outer);

// The weight's content; borrowed where it lies in memory, aligned for its type.
Tensor tensor_of(const WeightPtr& weight);

}  // namespace mts::exec
