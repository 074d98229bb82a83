// What a rule sees of the members that might run as one, and what it answers.
#pragma once

#include "rules/placement.h"

#include <mts/graph.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mts {

enum class Strategy : uint8_t {
  kOnce,       // one node: everything is shared
  kBatch,      // mapped input, shared weights: the same operator on a folded input
  kFanOut,     // shared input, distinct weights: filters concatenated
  kGroup,      // mapped input, distinct weights: grouped convolution, batched MatMul
  kPartition,  // weight classes inside the set: batch inside a class, apart (or group) across classes
  kPartialRows,
  kPartialBlocks,
  kApart,
};
std::string_view name_of(Strategy strategy);  // "once", "batch", "fan_out", ...

// One operand position over all members.
struct Operand {
  enum class Kind : uint8_t { kAbsent, kOnce, kMapped };
  Kind kind = Kind::kAbsent;
  bool constant = false;              // every member's operand is a constant
  std::vector<Type> types;            // per member; one entry when once
  std::vector<WeightPtr> weights;     // like types, when constant
  std::vector<Placement> candidates;  // mapped and not constant: placements at hand without a transposition

  bool absent() const { return kind == Kind::kAbsent; }
  bool once() const { return kind == Kind::kOnce; }
  bool mapped() const { return kind == Kind::kMapped; }
  const Type& type() const { return types.front(); }
  int32_t rank() const { return static_cast<int32_t>(types.front().rank()); }
  // The value of a constant that is the same for all members.
  const Weight* shared_weight() const { return once() && constant ? weights.front().get() : nullptr; }
};

// Corresponding nodes of two or more members. All have one operator type and domain and equal attributes.
struct Lane {
  std::vector<const Node*> nodes;          // per member
  std::vector<Operand> operands;           // per input position
  std::vector<std::vector<Type>> outputs;  // [output][member]; empty types for absent outputs
  int64_t opset = 0;                       // of ai.onnx

  const Node& node() const { return *nodes.front(); }
  size_t size() const { return nodes.size(); }
  // Absent when the position is beyond the inputs.
  const Operand& operand(size_t position) const;
  bool has_output(size_t position) const { return position < outputs.size() && !outputs[position].empty(); }
  const Type& output_type(size_t position = 0) const { return outputs[position].front(); }
};

// How a rule wants an operand, or hands over an output.
struct Form {
  enum class Kind : uint8_t { kAbsent, kOnce, kFused };
  Kind kind = Kind::kAbsent;
  Placement placement;  // when fused

  static Form once() { return {Kind::kOnce, {}}; }
  static Form fused(Placement p) { return {Kind::kFused, p}; }
  static Form absent() { return {}; }
  bool is_fused() const { return kind == Kind::kFused; }
  auto operator<=>(const Form&) const = default;
};
std::string to_string(const Form& form);

// One legal way to run a lane as one. Plain data: it can be printed, compared and replayed.
struct Option {
  Strategy strategy = Strategy::kBatch;
  std::vector<Form> operands;  // a once operand may be asked for fused (it is then repeated: costs bytes)
  std::vector<Form> outputs;
  int32_t variant = 0;         // for the rule's own use
  int32_t extra_launches = 0;  // nodes beyond the first that the emission needs
  auto operator<=>(const Option&) const = default;
};

// Mapped activations and constants decide the name of what a rule does.
Strategy strategy_of(const Lane& lane);

}  // namespace mts
