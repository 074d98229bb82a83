#include "stitch/constants.h"

#include <map>
#include <vector>

namespace mts {

namespace {

Metadata origin_of_a_reader(const Graph& graph, ValueId id) {
  for (const Use& use : graph.uses(id))
    for (const auto& entry : graph.node(use.node).metadata)
      if (entry.first == "mts.origin") return {entry};
  return {};
}

}  // namespace

void store_constants_once(Graph& graph) {
  std::map<std::pair<Digest, size_t>, std::vector<ValueId>>
      stored;  // by content: one value a shape, the first one stored
  const size_t count = graph.value_count();
  for (size_t i = 0; i < count; ++i) {
    const auto id = static_cast<ValueId>(i);
    const WeightPtr weight = graph.value(id).weight;
    if (weight == nullptr) continue;
    if (graph.is_unused(id)) {
      graph.value(id).weight = nullptr;
      continue;
    }
    auto& same = stored[{weight->digest(), weight->byte_size()}];
    if (same.empty()) {
      same.push_back(id);
      continue;
    }
    if (!graph.value(same.front()).weight->same_content(*weight)) continue;  // a collision of digests
    ValueId replacement = kNoValue;
    for (const ValueId candidate : same)
      if (graph.value(candidate).type == graph.value(id).type) replacement = candidate;
    if (replacement == kNoValue && weight->element_count() == 0) {
      same.push_back(id);  // nothing is stored, and the entry 0 of a shape means something else to Reshape
      continue;
    }
    if (replacement == kNoValue) {
      const ValueId shape =
          graph.add_constant(graph.value(id).name + "/shape", Weight::int64s(weight->dims()));
      replacement = graph.add_value(graph.value(id).name + "/reshaped", graph.value(id).type);
      Node reshape;
      reshape.op_type = "Reshape";
      reshape.name = graph.value(id).name + "/Reshape";
      reshape.inputs = {same.front(), shape};
      reshape.outputs = {replacement};
      reshape.metadata = origin_of_a_reader(graph, id);
      if (graph.order().empty()) {
        graph.add_node(std::move(reshape));
      } else {
        graph.insert_before(graph.order().front(), std::move(reshape));
      }
      same.push_back(replacement);
    }
    graph.replace_uses(id, replacement);
    graph.value(id).weight = nullptr;
  }
}

}  // namespace mts
