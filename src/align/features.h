// What alignment knows of each node, comparable across models.
//
// in:  models (top graphs, topologically ordered), weight classes, value numbers
// out: per model its nodes in canonical order: by depth, local signature, forward hash, role, backward hash,
// position in
//      the file. Ids are interned over all models, so equal ids mean equal things, not equal hashes.
#pragma once

#include <mts/graph.h>
#include <mts/share.h>

#include <cstdint>
#include <span>
#include <vector>

namespace mts::alignment {

inline constexpr uint32_t kNone = 0xffffffffU;

struct Operand {
  uint32_t slot = 0;  // position in Node::inputs; captures of bodies follow from kCaptureSlot on
  uint32_t producer =
      kNone;  // position of the producing node in ModelFeatures::nodes; kNone: constant or graph input
  uint32_t output = 0;       // which of the producer's outputs
  uint32_t content = kNone;  // what it holds, when that is constant: equal ids, equal content and dims
  uint64_t bytes = 0;        // of that content
  bool telling = false;      // content that two unrelated layers do not have by chance: no zero bias, no axis
  uint32_t number = kNone;   // of the value (Numbering)
  uint32_t source = kNone;   // graph inputs: the id of their type
};
inline constexpr uint32_t kCaptureSlot = 1U << 16;

inline constexpr size_t kRounds = 4;

struct NodeFeatures {
  NodeId id = kNoNode;
  uint32_t depth = 0;  // longest path from the inputs, in nodes
  uint32_t form = 0;   // operator, attributes, kinds, dtypes and ranks of operands and outputs: what must be
                       // equal in a set
  uint32_t signature = 0;  // form and the dims of constant operands
  uint32_t forward =
      0;  // signature and the forward ids of the operands: the upstream cone with its weight dims
  uint64_t up[kRounds] = {};  // forms seen within 1, 2, ... steps upstream
  uint64_t down[kRounds] =
      {};  // and downstream: what reads the node, and in which slot; heads far away do not matter
  uint64_t backward = 0;    // the whole downstream cone
  uint32_t number = kNone;  // of the first output that exists
  uint64_t content = 0;     // over all constant operands
  bool cone = false;  // computed from constants only (a dequantised weight): belongs to whoever reads it
  uint32_t first_operand = 0, operand_count = 0;

  uint64_t role() const { return down[kRounds - 1]; }
};

struct Consumer {
  uint32_t node;
  uint32_t slot;
};

struct ModelFeatures {
  std::vector<NodeFeatures> nodes;
  std::vector<Operand> operands;  // absent ones left out
  std::vector<std::vector<Consumer>> consumers;

  std::span<const Operand> operands_of(size_t node) const {
    return std::span(operands).subspan(nodes[node].first_operand, nodes[node].operand_count);
  }
};

std::vector<ModelFeatures> extract_features(const std::vector<Model>& models, const WeightClasses& classes,
                                            const Numbering& numbering);

// Mixes `value` into a hash.
uint64_t mix(uint64_t hash, uint64_t value);

}  // namespace mts::alignment
