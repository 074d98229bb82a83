// ExecPlan: what a backend runs, as plain data. Made by `compile` for one graph and one set of input shapes.
//
// A value is a tensor (static dims, or held by a datum of unknown dims). It lies at an offset of a root: a
// piece of the arena, an input of the caller, a constant, a block handed out as outputs, or a datum on the
// host. Several values may share one root: reshapes, splits and concatenations whose memory order allows it
// cost nothing.
#pragma once

#include "exec/program.h"

#include <mts/dtype.h>
#include <mts/graph.h>
#include <mts/tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace mts::exec {

using ValueIndex = int32_t;
inline constexpr ValueIndex kAbsent = -1;

enum class Storage : uint8_t {
  kArena,     // offset in the arena
  kInput,     // the caller's memory: slot = graph input
  kConstant,  // slot = position in ExecPlan::constants
  kOutput,    // a block made for each run and given to the caller
  kHost,      // a Datum made by a host step (fallback): slot = position among the run's datums
};

struct Root {
  Storage storage = Storage::kArena;
  int32_t slot = -1;
  uint64_t bytes = 0;
  int32_t first = 0, last = 0;  // steps between which it is in use
  uint64_t offset = 0;          // kArena
};

struct PlanValue {
  std::string name;
  DType dtype = DType::kUndefined;
  Dims dims;
  bool is_static = false;  // dims are known; else the value is a datum on the host
  int32_t root = -1;
  uint64_t offset = 0;    // bytes from the root's start
  uint64_t bytes = 0;     // in its layout
  int32_t layout = 0;     // 0: row-major; else a layout of the backend
  ValueId id = kNoValue;  // the graph's value; kNoValue for what the backend added
  int32_t constant = -1;  // its content in ExecPlan::constants, when it is known

  bool is_constant() const { return constant >= 0; }
};

enum class StepKind : uint8_t {
  kKernel,   // a backend kernel; all operands static
  kView,     // no work: outputs share the memory of the input(s)
  kReorder,  // copies between layouts (or into a block, both row-major)
  kHost,     // the reference evaluator, on the host; operands may be of unknown dims
};

struct Step {
  StepKind kind = StepKind::kKernel;
  std::string op;         // ONNX operator, "Elementwise", "Reorder" or "mts.Attention"
  NodeId node = kNoNode;  // carries the attributes; kNoNode for those two
  std::vector<ValueIndex>
      inputs;  // node's inputs (kAbsent for absent ones), then the epilogue's operands 1, 2, ..., then parts
  std::vector<ValueIndex> outputs;
  int32_t node_inputs = 0;  // how many of `inputs` are the node's own
  int32_t parts =
      1;  // Conv: the image is input 0 and the last parts - 1, side by side in each model's channels
  // The input that the epilogue adds first and that the output may take the place of, once nothing else reads
  // it; -1: none. Set by backends whose kernels then add to what lies there.
  int32_t adds_to = -1;
  Program program;            // Elementwise: the work; others: the epilogue (empty code: none)
  std::vector<NodeId> nodes;  // all nodes that run here, in order
  std::vector<std::vector<int64_t>> strides;  // Attention: how its operands lie, see attention.h
  std::vector<ValueIndex>
      captures;  // kHost with subgraphs: outer values, one a capture of each body in order
};

struct ExecPlan {
  const Graph* graph = nullptr;
  int64_t opset = 0;  // of ai.onnx
  std::vector<PlanValue> values;
  std::vector<Root> roots;
  std::vector<Step> steps;
  std::vector<Datum> constants;
  std::vector<ValueIndex> inputs;   // one a graph input
  std::vector<ValueIndex> outputs;  // one a graph output
  std::vector<std::string> layouts = {"row-major"};
  uint64_t part_alignment = 1;  // bytes: parts of a block that begin elsewhere are copied; set by lay_out
  uint64_t arena_bytes = 0;
  uint64_t arena_lower_bound = 0;  // what the busiest step has in use of it
  int32_t datum_slots = 0;         // kHost roots
  int32_t output_slots = 0;        // kOutput roots

  const PlanValue& value(ValueIndex i) const { return values[static_cast<size_t>(i)]; }
  PlanValue& value(ValueIndex i) { return values[static_cast<size_t>(i)]; }
  const Root& root_of(ValueIndex i) const { return roots[static_cast<size_t>(value(i).root)]; }
};

// Whether the step's output took the place of what it adds to. Known once the memory is assigned.
inline bool adds_in_place(const ExecPlan& plan, const Step& step) {
  if (step.adds_to < 0) return false;
  const PlanValue& before = plan.value(step.inputs[static_cast<size_t>(step.adds_to)]);
  const PlanValue& after = plan.value(step.outputs[0]);
  return before.root >= 0 && before.root == after.root && before.offset == after.offset;
}

// "Conv conv1": the operator and the first node, for people.
std::string label_of(const ExecPlan& plan, const Step& step);

// One line a step, then the memory: for `inspect`, goldens and debugging.
std::string to_string(const ExecPlan& plan);

}  // namespace mts::exec
