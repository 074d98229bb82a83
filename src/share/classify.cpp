// Weight classes: see share.h. Constants that nothing reads are no members of any class and count for no
// bytes, since they are not written either.
#include "base/parallel.h"
#include "share/content.h"

#include <mts/share.h>

#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>

namespace mts {
namespace {

// All weights that are written, in (model, value, node) order.
struct Occurrence {
  WeightPtr weight;
  ValueRef value;  // kNoValue: a tensor attribute or a constant of a body
};

void collect_graph(const Graph& graph, uint32_t model, bool top, std::vector<Occurrence>& found);

void collect_attributes(const Node& node, uint32_t model, std::vector<Occurrence>& found) {
  for (const Attribute& attribute : node.attributes) {
    if (const auto* one = std::get_if<WeightPtr>(&attribute.value))
      found.push_back({*one, {model, kNoValue}});
    if (const auto* many = std::get_if<std::vector<WeightPtr>>(&attribute.value))
      for (const WeightPtr& weight : *many) found.push_back({weight, {model, kNoValue}});
  }
  for (const Graph* child : node.subgraphs()) collect_graph(*child, model, false, found);
}

void collect_graph(const Graph& graph, uint32_t model, bool top, std::vector<Occurrence>& found) {
  for (size_t i = 0; i < graph.value_count(); ++i) {
    const auto id = static_cast<ValueId>(i);
    if (!graph.value(id).is_constant() || graph.is_unused(id)) continue;
    found.push_back({graph.value(id).weight, {model, top ? id : kNoValue}});
  }
  for (const NodeId id : graph.order()) collect_attributes(graph.node(id), model, found);
}

// The class of each of the distinct weights: dense ids in order of first occurrence.
std::vector<uint32_t> classify(const std::vector<WeightPtr>& weights) {
  // Only weights of equal dtype and size can be equal: one that is alone needs no digest, so a model that
  // shares nothing is not even read.
  using Form = std::pair<DType, std::pair<size_t, int64_t>>;
  std::map<Form, std::vector<size_t>> by_form;
  for (size_t i = 0; i < weights.size(); ++i)
    by_form[{weights[i]->dtype(), {weights[i]->byte_size(), weights[i]->element_count()}}].push_back(i);
  std::vector<size_t> candidates;
  for (const auto& [form, members] : by_form)
    if (members.size() > 1) candidates.insert(candidates.end(), members.begin(), members.end());

  uint64_t bytes = 0;
  for (const size_t i : candidates) bytes += weights[i]->byte_size();

  // The largest first, so that the threads end together.
  std::vector<size_t> by_size = candidates;
  std::ranges::stable_sort(by_size, std::greater<>(), [&](size_t i) { return weights[i]->byte_size(); });
  for_each_parallel(by_size.size(), threads_for(bytes),
                    [&](size_t i) { static_cast<void>(weights[by_size[i]]->digest()); });

  std::ranges::sort(candidates);
  std::vector<Digest> digests;
  digests.reserve(candidates.size());
  for (const size_t i : candidates) digests.push_back(weights[i]->digest());
  const auto group = share::group_by_content(digests, bytes, [&](size_t a, size_t b) {
    return weights[candidates[a]]->same_content(*weights[candidates[b]]);
  });

  constexpr uint32_t kUnset = 0xffffffffU;
  std::vector<uint32_t> group_of(weights.size(), kUnset);
  for (size_t i = 0; i < candidates.size(); ++i) group_of[candidates[i]] = group[i];
  std::vector<uint32_t> class_of_group(candidates.size(), kUnset);
  std::vector<uint32_t> result(weights.size());
  uint32_t classes = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    if (group_of[i] == kUnset) {
      result[i] = classes++;
    } else {
      uint32_t& known = class_of_group[group_of[i]];
      if (known == kUnset) known = classes++;
      result[i] = known;
    }
  }
  return result;
}

}  // namespace

WeightClasses classify_weights(const std::vector<Model>& models) {
  std::vector<Occurrence> found;
  for (size_t m = 0; m < models.size(); ++m)
    collect_graph(models[m].graph, static_cast<uint32_t>(m), true, found);

  std::vector<WeightPtr> distinct;
  std::unordered_map<const Weight*, size_t> position;
  for (const Occurrence& occurrence : found)
    if (position.emplace(occurrence.weight.get(), distinct.size()).second)
      distinct.push_back(occurrence.weight);
  const std::vector<uint32_t> content = classify(distinct);

  WeightClasses result;
  for (const Model& model : models) result.class_of.emplace_back(model.graph.value_count(), -1);
  for (size_t i = 0; i < distinct.size(); ++i) {
    if (content[i] != result.classes.size()) continue;
    result.classes.push_back({distinct[i], {}});
    result.unique_bytes += distinct[i]->byte_size();
  }
  for (const Occurrence& occurrence : found) {
    result.total_bytes += occurrence.weight->byte_size();
    if (occurrence.value.value == kNoValue) continue;
    const uint32_t id = content[position.at(occurrence.weight.get())];
    result.classes[id].members.push_back(occurrence.value);
    result.class_of[occurrence.value.model][index(occurrence.value.value)] = static_cast<int32_t>(id);
  }
  return result;
}

}  // namespace mts
