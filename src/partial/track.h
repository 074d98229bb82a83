// The walk that finds channels, and what single operators do to them.
#pragma once

#include "partial/channels.h"

namespace mts::partial {

// State of one walk. A walk may find that channels must be coarser (heads instead of columns) or that a node
// cannot keep them after all; it is then repeated with what was learnt.
class Tracker {
 public:
  struct Learnt {
    std::map<NodeId, int64_t> units;  // elements a channel for what the node makes
    std::set<NodeId> opaque;
    bool operator==(const Learnt&) const = default;
  };

  Tracker(const Model& model, const Hints& hints, Learnt& learnt)
      : graph_(model.graph), hints_(hints), learnt_(learnt) {}
  // Empty when something was learnt and the walk has to be repeated.
  std::optional<Channels> run();

  const Graph& graph() const { return graph_; }
  const Type& type(ValueId id) const { return graph_.value(id).type; }
  // A static dimension, -1 where it is not known.
  int64_t dim(ValueId id, size_t axis) const;
  WeightPtr weight(ValueId id) const { return id == kNoValue ? nullptr : graph_.value(id).weight; }
  const std::optional<Tracked>& tracked(ValueId id) const;

  // Where the channels of what a Reshape makes are known to lie.
  std::optional<size_t> known_axis(NodeId reshape) const {
    const auto found = hints_.reshapes.find(reshape);
    return found == hints_.reshapes.end() ? std::nullopt : std::optional(found->second);
  }

  bool is_known_depthwise(NodeId id) const { return hints_.depthwise.contains(id); }

  // New channels that `node` makes (kNoNode: nobody does) along an axis of `size` elements.
  Tracked make(NodeId node, size_t axis, int64_t size, bool pinned);
  // The channels of a value; one that is not tracked yet gets pinned ones along `axis`. nullptr where nobody
  // can have some of them alone: a constant, or what a node makes of all channels of its operand.
  const Tracked* pin(ValueId value, size_t axis);
  void set(ValueId value, Tracked tracked) { channels_.tracked[index(value)] = std::move(tracked); }
  // Ties the channels of two values of the same axis together; false when they differ in number or unit.
  bool tie(const Tracked& a, const Tracked& b);
  // Asks that channels of this value have a multiple of `unit` elements where they are made.
  void coarsen(const Tracked& tracked, int64_t unit);

 private:
  uint32_t find(uint32_t channel);
  void visit(NodeId id);
  bool has_duplicates(const Tracked& tracked);
  bool joins_one_batch(NodeId id);

  const Graph& graph_;
  const Hints& hints_;
  Learnt& learnt_;
  Channels channels_;
  std::vector<uint32_t> parent_;
  uint32_t batches_ = 0;
  std::map<NodeId, int64_t> sizes_;  // of the axes that a node makes channels along: what divides all of them
};

// What a node does to channels; nullopt: it is opaque. `out` is set when the output is tracked. Operators
// that are not known are opaque.
struct Effect {
  NodeRole role;
  std::optional<Tracked> out;
};
std::optional<Effect> effect_of(Tracker& tracker, NodeId id);

// Families, one a file; nullopt: not of this family, or opaque.
std::optional<Effect> layer_effect(Tracker& tracker, NodeId id);
std::optional<Effect> elementwise_effect(Tracker& tracker, NodeId id);
std::optional<Effect> channelwise_effect(Tracker& tracker, NodeId id);
std::optional<Effect> movement_effect(Tracker& tracker, NodeId id);
std::optional<Effect> reshape_effect(Tracker& tracker, NodeId id);
std::optional<Effect> mixing_effect(Tracker& tracker, NodeId id);

}  // namespace mts::partial
