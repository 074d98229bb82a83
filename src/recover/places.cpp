#include "recover/places.h"

#include <algorithm>
#include <utility>

namespace mts::recover_detail {

std::vector<Place> find_places(const std::vector<Model>& models, const Alignment& alignment) {
  std::vector<Place> places;
  for (const AlignedSet& set : alignment.sets) {
    size_t slots = 0;
    for (uint32_t m = 0; m < models.size(); ++m)
      if (set.nodes[m] != kNoNode) slots = std::max(slots, models[m].graph.node(set.nodes[m]).inputs.size());
    for (size_t slot = 0; slot < slots; ++slot) {
      std::vector<Place> by_form;  // one for each dtype and dims that occur
      for (uint32_t m = 0; m < models.size(); ++m) {
        if (set.nodes[m] == kNoNode) continue;
        const Graph& graph = models[m].graph;
        const Node& node = graph.node(set.nodes[m]);
        if (slot >= node.inputs.size() || node.inputs[slot] == kNoValue) continue;
        const WeightPtr& weight = graph.value(node.inputs[slot]).weight;
        if (weight == nullptr || !is_readable(weight->dtype()) || weight->element_count() == 0) continue;
        const auto same_form = [&](const Place& place) {
          const Member& first = place.members.front();
          const WeightPtr& other = models[first.model].graph.value(first.value).weight;
          return other->dtype() == weight->dtype() && other->dims() == weight->dims();
        };
        auto place = std::ranges::find_if(by_form, same_form);
        if (place == by_form.end()) place = by_form.insert(by_form.end(), {slot, {}});
        place->members.push_back({m, set.nodes[m], node.inputs[slot]});
      }
      for (Place& place : by_form)
        if (place.members.size() > 1) places.push_back(std::move(place));
    }
  }
  return places;
}

std::vector<Content> contents_of(const std::vector<Model>& models, const std::vector<Member>& members) {
  std::vector<Content> contents;
  for (const Member& member : members) {
    const WeightPtr& weight = models[member.model].graph.value(member.value).weight;
    const auto same = [&](const Content& content) {
      return content.elements->weight() == weight || content.elements->weight()->same_content(*weight);
    };
    auto content = std::ranges::find_if(contents, same);
    if (content == contents.end()) {
      contents.emplace_back();
      content = contents.end() - 1;
      content->elements = std::make_unique<Elements>(weight);
    }
    content->members.push_back(member);
  }
  return contents;
}

}  // namespace mts::recover_detail
