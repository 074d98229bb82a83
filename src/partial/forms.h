// The tensors in which a rewritten model has a value: some of its pieces, one after another. Asked for
// others, it makes them: by Concat, Split, or, where a value's own order must be restored or left, Gather.
#pragma once

#include "partial/arrangement.h"

#include <mts/graph.h>

#include <map>
#include <string>
#include <unordered_set>
#include <vector>

namespace mts::partial {

class Forms {
 public:
  Forms(Graph& graph, const Channels& channels, const Segments& segments, uint32_t model);

  bool is_tracked(ValueId value) const;
  const Tracked& tracked(ValueId value) const { return *channels_.tracked[index(value)]; }
  const Arrangement& arrangement(ValueId value);
  // In pieces, or in another order than its own.
  bool is_changed(ValueId value) { return is_tracked(value) && !arrangement(value).trivial(); }

  // The nodes that made `value` are replaced: only what was given has it.
  bool is_replaced(ValueId value) const { return replaced_.contains(index(value)); }
  void give(ValueId value, const std::vector<uint32_t>& pieces, ValueId tensor);
  // All of the value in groups of pieces that need not lie together. Unless single pieces will be asked for,
  // they are brought into the order of the arrangement at once.
  void give_groups(ValueId value, const std::vector<std::vector<uint32_t>>& groups,
                   const std::vector<ValueId>& tensors, bool as_pieces);
  // These pieces of the value, in this order.
  ValueId get(ValueId value, const std::vector<uint32_t>& pieces);
  // All of it in its own order.
  ValueId original(ValueId value);

  // New values and constants; `base` is the name of what they are a part of.
  ValueId add_value(const std::string& base, Type type);
  ValueId add_constant(const std::string& base, WeightPtr weight);
  // The type of `value` with only some of its channels.
  Type part_type(ValueId value, const std::vector<uint32_t>& pieces);

 private:
  struct Form {
    std::vector<uint32_t> pieces;
    ValueId tensor;
  };
  ValueId single(ValueId value, uint32_t piece);
  ValueId add_node(ValueId of, Node node, Type type);
  ValueId select(ValueId value, ValueId tensor, const std::vector<uint32_t>& positions, Type type);
  const Form* find(ValueId value, const std::vector<uint32_t>& pieces) const;

  Graph& graph_;
  const Channels& channels_;
  const Segments& segments_;
  uint32_t model_;
  std::map<size_t, Arrangement> arrangements_;
  std::map<size_t, std::vector<Form>> forms_;
  std::map<size_t, ValueId> originals_;
  std::unordered_set<size_t> replaced_;
  std::unordered_set<std::string> names_;
};

}  // namespace mts::partial
