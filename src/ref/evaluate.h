// Evaluates one ONNX operator on values in memory, with plain loops: constant folding, the oracle of all
// tests and the reference device of the executor.
//
// In:  a node, its input values (nullptr for an absent optional input) and the opsets of its model.
// Out: one datum per output of the node (an output that is not wanted, kNoValue, may be left undefined).
// Floats are computed in double and rounded once at the end; float16 and bfloat16 go through float32.
// Refusals: kUnsupported (operator, attribute or element type that is not implemented), kModel (malformed
// node: wrong shapes, indices out of range, missing inputs); both name the node. Random operators are
// refused.
#pragma once

#include <mts/error.h>
#include <mts/graph.h>
#include <mts/tensor.h>

#include <any>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace mts {

// How the body of If, Loop, Scan or SequenceMap is run. The captures of `body` are resolved by whoever made
// the runner: the interpreter knows the frame in which the node runs.
using SubgraphRunner =
    std::function<Result<std::vector<Datum>>(const Graph& body, std::span<const Datum> inputs)>;

struct Env {
  int64_t opset = 0;                      // of ai.onnx
  std::map<std::string, int64_t> opsets;  // of the other domains
  SubgraphRunner run_subgraph;            // empty: bodies without captures are run by the interpreter
  uint64_t seed = 0;                      // reserved for random operators
  // What an operator makes of its attributes alone (trees), kept by whoever runs one node again and again;
  // null: made anew in each evaluation.
  std::any* prepared = nullptr;
  // Of one Loop, which is an error when it goes on: some ten seconds. The trip count says nothing, since
  // exporters write 2^63 - 1 for "while".
  int64_t most_iterations = 10'000'000;
  // Version of a domain as imported; 1 for a domain that is not listed.
  int64_t version_of(const std::string& domain) const;
};
Env env_of(const Model& model);

Result<std::vector<Datum>> evaluate(const Node& node, std::span<const Datum* const> inputs, const Env& env);

// Whether the table holds the operator in the imported version (attributes and element types may still be
// refused).
bool supported(const Node& node, const std::map<std::string, int64_t>& opsets);

// All operators of the table as a Markdown table, generated from the code.
std::string supported_operators_markdown();

}  // namespace mts
