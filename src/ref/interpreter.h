// Runs a whole model with the reference evaluator, node by node.
//
// In:  a model whose nodes are in topological order, and one datum per graph input.
// Out: one datum per graph output.
// Values are freed after their last use. If, Loop, Scan and SequenceMap run their bodies, captures included.
#pragma once

#include "ref/evaluate.h"

#include <mts/error.h>
#include <mts/executor.h>
#include <mts/graph.h>
#include <mts/tensor.h>

#include <memory>
#include <span>
#include <vector>

namespace mts {

Result<std::vector<Datum>> interpret(const Model& model, std::span<const Datum> inputs);

// Runs a graph without captures (a body handed to evaluate() without a runner, a piece to be folded).
Result<std::vector<Datum>> interpret(const Graph& graph, std::span<const Datum> inputs, const Env& env);

// The device "ref". `model` must outlive the session. kUnsupported names the first node that the evaluator
// does not know.
Result<std::unique_ptr<Session>> make_reference_session(const Model& model);

}  // namespace mts
