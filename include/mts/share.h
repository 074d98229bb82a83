// What the models share: equal constant content, and values that are provably equal at run time.
#pragma once

#include <mts/error.h>
#include <mts/graph.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace mts {

struct ValueRef {
  uint32_t model = 0;
  ValueId value = kNoValue;
  auto operator<=>(const ValueRef&) const = default;
};

// Constants by content (dtype + bytes; dims may differ inside a class), over the top graphs and all
// subgraphs' attributes.
struct WeightClasses {
  struct Class {
    WeightPtr weight;               // of the first member
    std::vector<ValueRef> members;  // constants of the top graphs, in order
  };
  std::vector<Class> classes;                  // in order of first occurrence: deterministic
  std::vector<std::vector<int32_t>> class_of;  // [model][value index]; -1: not constant, or nothing reads it
  uint64_t unique_bytes = 0;                   // content counted once
  uint64_t total_bytes = 0;                    // what the inputs store
};
// Digests run on all cores; equal digests are confirmed bytewise.
WeightClasses classify_weights(const std::vector<Model>& models);

// One graph input of the fused model that feeds inputs of several models (after `--share-input` was
// resolved).
struct SharedInput {
  std::string name;
  std::vector<ValueRef> members;
};

// Global value numbering over all models: equal numbers mean provably equal values (same constant content AND
// dims, same shared input, or the same deterministic operator with equal attributes on equally numbered
// operands). Operators that are random, unknown to ONNX's own domains, or stateful never share a number.
// Control flow shares when its bodies are structurally equal and the captures have equal numbers.
struct Numbering {
  std::vector<std::vector<uint32_t>> of;  // [model][value index]; kNone for dead values
  std::vector<ValueRef> first;            // [number]: first value that has it, in (model, topological) order
  static constexpr uint32_t kNone = 0xffffffffu;
};
struct NumberingOptions {
  bool merge_nodes =
      true;  // false: only constants and shared inputs get common numbers (`concat`, `netfuse`)
  bool merge_constants = true;  // false: every model keeps its own constants (`netfuse`)
};
Numbering number_values(const std::vector<Model>& models, const WeightClasses& classes,
                        const std::vector<SharedInput>& shared_inputs, const NumberingOptions& options = {});

}  // namespace mts
