// compile: graph + binding -> ExecPlan.
//
// In: a graph in topological order, what is known of its values for one set of input shapes (bind.h), and the
// backend that will run it. Out: fused steps over values with roots and liveness, the arena placed; nothing
// is allocated. Before -> after, for instance: Conv, Add(x), Relu -> one step Conv with the epilogue
// "add(r0,r1) relu(r2)". Nodes that compute known content disappear. What the backend does not accept becomes
// a host step. Errors: kUnsupported when neither the backend nor the reference evaluator has the operator.
#pragma once

#include "exec/backend.h"
#include "exec/bind.h"
#include "exec/plan.h"

#include <mts/error.h>
#include <mts/graph.h>

namespace mts::exec {

Result<ExecPlan> compile(const Model& model, const Binding& binding, Backend& backend);

// The steps of compile, apart for tests. Each leaves a valid plan.
ExecPlan make_steps(const Model& model, const Binding& binding, const Backend& backend);  // one step a node
void fuse_activations(ExecPlan& plan, const Backend& backend);  // the first part of `fuse`
void fuse(ExecPlan& plan, const Backend& backend);  // activations, epilogues, then runs of elementwise steps
void assign_memory(ExecPlan& plan);                 // roots, views, liveness, placement

}  // namespace mts::exec
