#include "align/gap.h"

#include "align/chain.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

namespace mts::alignment {
namespace {

// Points of a pair of equal form.
constexpr int32_t kForm = 8;
constexpr int32_t kSignature = 16;
constexpr int32_t kRound =
    4;  // for each step, upstream or downstream, up to which the surroundings are equal
constexpr int32_t kNeighbour = 24;  // for each operand or reader that is matched with the set's

struct Gap {
  const Profile& profile;
  const ModelFeatures& model;
  const std::vector<uint32_t>& set_of;
  size_t most_cells;
};

int32_t surroundings(const NodeFeatures& a, const NodeFeatures& b) {
  int32_t points = 0;
  for (size_t r = 0; r < kRounds && a.up[r] == b.up[r]; ++r) points += kRound;
  for (size_t r = 0; r < kRounds && a.down[r] == b.down[r]; ++r) points += kRound;
  return points;
}

int32_t neighbours(const Gap& gap, uint32_t set, uint32_t node) {
  using Fact = Profile::Fact;
  const auto& set_of = gap.set_of;
  int32_t points = 0;
  for (const Operand& operand : gap.model.operands_of(node))
    if (operand.producer != kNone && set_of[operand.producer] != kNone &&
        gap.profile.has(set, Fact::kOperandSet, mix(operand.slot, set_of[operand.producer])))
      points += kNeighbour;
  for (const Consumer& consumer : gap.model.consumers[node])
    if (set_of[consumer.node] != kNone &&
        gap.profile.has(set_of[consumer.node], Fact::kOperandSet, mix(consumer.slot, set)))
      points += kNeighbour;
  return points;
}

// Of a set and a node of equal form. 0: nothing but the operator is the same, which does not make a pair.
int32_t points_of(const Gap& gap, uint32_t set, uint32_t node) {
  const NodeFeatures &a = gap.profile.representative(set), &b = gap.model.nodes[node];
  const int32_t around = surroundings(a, b) + neighbours(gap, set, node);
  return around == 0 ? 0 : around + kForm + (a.signature == b.signature ? kSignature : 0);
}

// The table of best scores, row by row; `nodes` are the columns.
Pairs align_by_table(const Gap& gap, std::span<const uint32_t> sets, std::span<const uint32_t> nodes) {
  enum Step : char { kSkipSet, kSkipNode, kPair };
  const size_t columns = nodes.size();
  std::vector<Step> steps(sets.size() * columns);
  std::vector<int32_t> above(columns + 1, 0), here(columns + 1, 0), points(columns, 0);
  std::unordered_map<uint32_t, std::vector<uint32_t>> columns_of_form;
  for (uint32_t j = 0; j < columns; ++j) columns_of_form[gap.model.nodes[nodes[j]].form].push_back(j);
  for (size_t i = 0; i < sets.size(); ++i) {
    const auto candidates = columns_of_form.find(gap.profile.set(sets[i]).form);
    std::ranges::fill(points, 0);
    if (candidates != columns_of_form.end())
      for (const uint32_t j : candidates->second) points[j] = points_of(gap, sets[i], nodes[j]);
    for (size_t j = 0; j < columns; ++j) {
      int32_t best = above[j + 1];
      Step step = kSkipSet;
      if (here[j] > best) {
        best = here[j];
        step = kSkipNode;
      }
      if (points[j] > 0 && above[j] + points[j] > best) {
        best = above[j] + points[j];
        step = kPair;
      }
      here[j + 1] = best;
      steps[i * columns + j] = step;
    }
    std::swap(above, here);
  }
  Pairs pairs;
  for (size_t i = sets.size(), j = columns; i > 0 && j > 0;) {
    const Step step = steps[(i - 1) * columns + (j - 1)];
    if (step == kPair) pairs.emplace_back(static_cast<uint32_t>(i - 1), static_cast<uint32_t>(j - 1));
    if (step != kSkipNode) --i;
    if (step != kSkipSet) --j;
  }
  std::ranges::reverse(pairs);
  return pairs;
}

// What two places have in common, from much to little; the last level only needs the form.
constexpr size_t kLevels = 4;
uint64_t common(const NodeFeatures& node, size_t level) {
  switch (level) {
    case 0:
      return mix(mix(node.signature, node.up[3]), node.down[3]);
    case 1:
      return mix(mix(node.signature, node.up[1]), node.down[1]);
    case 2:
      return mix(node.signature, node.up[0]);
    default:
      return node.form;
  }
}

void align(const Gap& gap, std::span<const uint32_t> sets, std::span<const uint32_t> nodes, size_t set_offset,
           size_t node_offset, size_t level, Pairs& pairs) {
  if (sets.empty() || nodes.empty()) return;
  const auto emit = [&](const Pairs& found) {
    for (const auto& [i, j] : found)
      pairs.emplace_back(static_cast<uint32_t>(set_offset + i), static_cast<uint32_t>(node_offset + j));
  };
  if (sets.size() <= gap.most_cells / nodes.size()) return emit(align_by_table(gap, sets, nodes));

  // The k-th place of a kind with the k-th; the longest chain of those cuts the stretch.
  std::unordered_map<uint64_t, std::vector<uint32_t>> places;
  for (uint32_t i = 0; i < sets.size(); ++i)
    places[common(gap.profile.representative(sets[i]), level)].push_back(i);
  std::unordered_map<uint64_t, size_t> used;
  std::vector<Link> links;
  for (uint32_t j = 0; j < nodes.size(); ++j) {
    const NodeFeatures& node = gap.model.nodes[nodes[j]];
    const uint64_t key = common(node, level);
    const auto it = places.find(key);
    if (it == places.end()) continue;
    const size_t k = used[key]++;
    if (k >= it->second.size() || gap.profile.set(sets[it->second[k]]).form != node.form) continue;
    links.push_back({it->second[k], j, 1});
  }
  const auto chain = heaviest_chain(links);
  if (level + 1 == kLevels) {  // nothing finer to try: these are the pairs
    Pairs found;
    for (const uint32_t link : chain) found.emplace_back(links[link].position, links[link].item);
    return emit(found);
  }
  size_t i = 0, j = 0;
  const auto stretch = [&](size_t set_end, size_t node_end) {
    align(gap, sets.subspan(i, set_end - i), nodes.subspan(j, node_end - j), set_offset + i, node_offset + j,
          level + 1, pairs);
  };
  for (const uint32_t link : chain) {
    stretch(links[link].position, links[link].item);
    emit({{links[link].position, links[link].item}});
    i = links[link].position + size_t{1};
    j = links[link].item + size_t{1};
  }
  stretch(sets.size(), nodes.size());
}

}  // namespace

Pairs align_gap(const Profile& profile, std::span<const uint32_t> sets, const ModelFeatures& model,
                std::span<const uint32_t> nodes, const std::vector<uint32_t>& set_of, size_t most_cells) {
  // What has no counterpart of its form at all only makes the table larger.
  std::unordered_set<uint32_t> set_forms, node_forms;
  for (const uint32_t set : sets) set_forms.insert(profile.set(set).form);
  for (const uint32_t node : nodes) node_forms.insert(model.nodes[node].form);
  std::vector<uint32_t> set_index, node_index, set_ids, node_ids;
  for (uint32_t i = 0; i < sets.size(); ++i)
    if (node_forms.contains(profile.set(sets[i]).form)) {
      set_index.push_back(i);
      set_ids.push_back(sets[i]);
    }
  for (uint32_t j = 0; j < nodes.size(); ++j)
    if (set_forms.contains(model.nodes[nodes[j]].form)) {
      node_index.push_back(j);
      node_ids.push_back(nodes[j]);
    }
  Pairs pairs;
  align({profile, model, set_of, most_cells}, set_ids, node_ids, 0, 0, 0, pairs);
  for (auto& [i, j] : pairs) {
    i = set_index[i];
    j = node_index[j];
  }
  return pairs;
}

}  // namespace mts::alignment
