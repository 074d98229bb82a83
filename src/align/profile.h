// The alignment so far: sets in an order that is topological for every model merged into it, with indices by
// which the nodes of the next model find the sets that they could join.
#pragma once

#include "align/features.h"

#include <cstdint>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace mts::alignment {

struct Set {
  struct Member {
    uint32_t model, node;
  };
  std::vector<Member> members;       // in order of models; empty: the set was merged into another
  std::vector<uint32_t> successors;  // sets that read an output of a member
  uint32_t form = 0;
};

class Profile {
 public:
  // What a set is looked up by, and what it can be asked for.
  enum class Fact : uint32_t {
    kForward,    // a member has this forward hash
    kNumber,     // a member's output has this value number
    kWeight,     // the main weight of a member holds this: weight_key
    kOperands,   // the operands of a member come from these sets: operands_key
    kOperandOf,  // a member is read by a member of this set: operand_of_key
    // The rest is only asked for.
    kSignature,
    kRole,
    kBackward,
    kContent,         // all constant operands of a member together
    kOperandContent,  // mix(slot, content)
    kOperandSet,      // mix(slot, set)
    kOperandNumber,   // mix(slot, number), graph inputs
  };
  static constexpr bool is_indexed(Fact fact) { return fact <= Fact::kOperandOf; }

  explicit Profile(const std::vector<ModelFeatures>& models);

  // A new set of one node, not in the order yet.
  uint32_t add_set(uint32_t model, uint32_t node);
  // `node` joins `set`, which has no node of the model yet and the same form.
  void join(uint32_t set, uint32_t model, uint32_t node);
  // The only node of `single` joins `set`; `single` is no more.
  void absorb(uint32_t single, uint32_t set);
  // When all nodes of a model have a set: the edges between those, and the order of all sets.
  void connect_model(uint32_t model);
  void set_order(std::vector<uint32_t> order);  // sets that were absorbed are left out
  // At the end of a model: records what its nodes say about their sets.
  void index_model(uint32_t model);

  size_t set_count() const { return sets_.size(); }  // merged ones included
  const Set& set(uint32_t id) const { return sets_[id]; }
  const std::vector<uint32_t>& order() const { return order_; }
  uint32_t position(uint32_t set) const { return position_[set]; }
  uint32_t set_of(uint32_t model, uint32_t node) const { return set_of_[model][node]; }
  bool has_model(uint32_t set, uint32_t model) const {
    return !sets_[set].members.empty() && sets_[set].members.back().model == model;
  }
  const NodeFeatures& representative(uint32_t set) const {
    const Set::Member& first = sets_[set].members.front();
    return models_[first.model].nodes[first.node];
  }
  const ModelFeatures& model(uint32_t m) const { return models_[m]; }

  bool has(uint32_t set, Fact fact, uint64_t value) const {
    return facts_.contains(fact_key(set, fact, value));
  }
  // Sets of which the fact holds, oldest first; only for indexed facts.
  std::span<const uint32_t> find(Fact fact, uint64_t value) const;

  // Keys of the index.
  static uint64_t weight_key(const NodeFeatures& node, const Operand& operand) {
    return mix(mix(node.form, operand.slot), operand.content);
  }
  // `set_of(producer)` is the set of an operand's producer, kNone when it is not known: then there is no key
  // (false).
  template <class SetOf>
  static bool operands_key(const ModelFeatures& model, uint32_t node, SetOf&& set_of, uint64_t& key);
  static uint64_t operand_of_key(uint32_t reader, uint32_t slot) { return mix(reader, slot); }
  // The constant operand that tells the layer apart best; null when there is none.
  static const Operand* main_weight(const ModelFeatures& model, uint32_t node);

  // Whether a path leads from one set to the other, which is later in the order; `reached`: the sets between
  // them that can be reached from `from`, `from` included. Gives up (true) when `budget` sets have been
  // looked at.
  bool reaches(uint32_t from, uint32_t to, size_t& budget, std::vector<uint32_t>& reached);
  // Makes `from` and `to` (no path, `reached` of the call above) neighbours in the order, so that one can
  // absorb the other; what depends on `from` moves behind `to`.
  void bring_together(uint32_t from, uint32_t to, const std::vector<uint32_t>& reached);

 private:
  static uint64_t fact_key(uint32_t set, Fact fact, uint64_t value) {
    return mix((uint64_t{set} << 8) | static_cast<uint64_t>(fact), value);
  }
  static uint64_t index_key(Fact fact, uint64_t value) { return mix(static_cast<uint64_t>(fact), value); }
  // Whether it was new.
  bool learn(uint32_t set, Fact fact, uint64_t value);
  void connect(uint32_t from, uint32_t to);

  const std::vector<ModelFeatures>& models_;
  std::vector<Set> sets_;
  std::vector<uint32_t> order_, position_;
  std::vector<std::vector<uint32_t>> set_of_;
  std::unordered_set<uint64_t> facts_;  // hashes: they only decide what is tried and preferred
  std::unordered_set<uint64_t> edges_;  // from, to: exact, since acyclicity rests on it
  std::unordered_map<uint64_t, std::vector<uint32_t>> index_;
  std::vector<char> mark_;  // of reaches and bring_together
};

template <class SetOf>
bool Profile::operands_key(const ModelFeatures& model, uint32_t node, SetOf&& set_of, uint64_t& key) {
  key = model.nodes[node].form;
  for (const Operand& operand : model.operands_of(node)) {
    key = mix(key, operand.slot);
    if (operand.content != kNone || operand.producer == kNone) {
      key = mix(key, operand.source);  // constants: kNone
      continue;
    }
    const uint32_t set = set_of(operand.producer);
    if (set == kNone) return false;
    key = mix(mix(key, set), operand.output + uint64_t{1});
  }
  return true;
}

}  // namespace mts::alignment
