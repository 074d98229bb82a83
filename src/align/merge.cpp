#include "align/merge.h"

#include "align/chain.h"
#include "align/gap.h"
#include "align/match.h"

#include <algorithm>
#include <queue>
#include <tuple>

namespace mts::alignment {
namespace {

// Sets that the searches for paths of one model may look at.
constexpr size_t kSearchBudget = 20'000'000;

class Merger {
 public:
  Merger(Profile& profile, uint32_t m) : profile_(profile), m_(m), model_(profile.model(m)) {}

  void run() {
    wished_ = match_nodes(profile_, m_);
    set_of_.assign(model_.nodes.size(), kNone);
    order_nodes();
    keep_what_is_monotone();
    fill_gaps();
    splice();
    rescue_crossing_nodes();
    profile_.index_model(m_);
  }

 private:
  // A topological order of the model that follows the profile's as far as it can.
  void order_nodes() {
    const auto& nodes = model_.nodes;
    std::vector<uint32_t> waiting(nodes.size(), 0), key(nodes.size(), 0);
    for (uint32_t n = 0; n < nodes.size(); ++n)
      for (const Consumer& consumer : model_.consumers[n]) ++waiting[consumer.node];
    using Ready = std::pair<uint32_t, uint32_t>;  // key, node
    std::priority_queue<Ready, std::vector<Ready>, std::greater<>> ready;
    const auto release = [&](uint32_t n) {
      // 0 is before all sets. A node without a set goes as soon as it can.
      if (wished_[n].set != kNone) key[n] = std::max(key[n], profile_.position(wished_[n].set) + 1);
      ready.emplace(key[n], n);
    };
    for (uint32_t n = 0; n < nodes.size(); ++n)
      if (waiting[n] == 0) release(n);
    while (!ready.empty()) {
      const uint32_t n = ready.top().second;
      ready.pop();
      order_.push_back(n);
      for (const Consumer& consumer : model_.consumers[n]) {
        key[consumer.node] = std::max(key[consumer.node], key[n]);
        if (--waiting[consumer.node] == 0) release(consumer.node);
      }
    }
  }

  void keep_what_is_monotone() {
    std::vector<Link> links;
    for (uint32_t i = 0; i < order_.size(); ++i) {
      const Match& wish = wished_[order_[i]];
      if (wish.set != kNone) links.push_back({profile_.position(wish.set), i, wish.score});
    }
    for (const uint32_t link : heaviest_chain(links))
      set_of_[order_[links[link].item]] = wished_[order_[links[link].item]].set;
  }

  void fill_gaps() {
    const auto& sets = profile_.order();
    std::vector<std::pair<uint32_t, uint32_t>> found;  // node, set
    size_t set_begin = 0, node_begin = 0;
    const auto fill = [&](size_t set_end, size_t node_end) {
      if (set_begin < set_end && node_begin < node_end) {
        const auto gap_sets = std::span(sets).subspan(set_begin, set_end - set_begin);
        const auto gap_nodes = std::span(order_).subspan(node_begin, node_end - node_begin);
        for (const auto& [i, j] : align_gap(profile_, gap_sets, model_, gap_nodes, set_of_))
          found.emplace_back(gap_nodes[j], gap_sets[i]);
      }
      set_begin = set_end + 1;
      node_begin = node_end + 1;
    };
    for (size_t i = 0; i < order_.size(); ++i)
      if (set_of_[order_[i]] != kNone) fill(profile_.position(set_of_[order_[i]]), i);
    fill(sets.size(), order_.size());
    for (const auto& [node, set] : found) set_of_[node] = set;
  }

  // Both orders in one: what is new goes behind what the profile has between the same two matches.
  void splice() {
    std::vector<uint32_t> merged;
    const auto& sets = profile_.order();
    size_t next = 0;
    std::vector<uint32_t> fresh;
    const auto flush = [&](size_t set_end) {
      for (; next < set_end; ++next) merged.push_back(sets[next]);
      merged.insert(merged.end(), fresh.begin(), fresh.end());
      fresh.clear();
    };
    for (const uint32_t n : order_) {
      if (set_of_[n] == kNone) {
        fresh.push_back(profile_.add_set(m_, n));
        continue;
      }
      profile_.join(set_of_[n], m_, n);
      flush(profile_.position(set_of_[n]));
      merged.push_back(sets[next++]);
    }
    flush(sets.size());
    profile_.connect_model(m_);
    profile_.set_order(std::move(merged));
  }

  // Nodes of parallel branches may be matched although their orders cross, as long as no cycle comes of it.
  void rescue_crossing_nodes() {
    size_t budget = kSearchBudget;
    bool rescued = false;
    const auto attempt = [&](uint32_t n) {
      if (set_of_[n] == kNone && rescue(n, budget)) rescued = true;
    };
    for (const uint32_t n : order_) attempt(n);
    for (size_t i = order_.size(); i-- > 0;) attempt(order_[i]);
    if (rescued) profile_.set_order(profile_.order());
  }

  bool rescue(uint32_t n, size_t& budget) {
    std::vector<std::pair<int64_t, uint32_t>> candidates;
    const auto consider = [&](uint32_t set) {
      if (profile_.has_model(set, m_) || profile_.set(set).form != model_.nodes[n].form) return;
      candidates.emplace_back(-score(profile_, set, model_, n, set_of_), set);
    };
    if (wished_[n].set != kNone) consider(wished_[n].set);
    uint64_t key = 0;
    const auto agreed = [this](uint32_t producer) { return set_of_[producer]; };
    if (!model_.nodes[n].cone && Profile::operands_key(model_, n, agreed, key))
      for (const uint32_t set : profile_.find(Profile::Fact::kOperands, key)) consider(set);
    for (const Consumer& consumer : model_.consumers[n])
      if (set_of_[consumer.node] != kNone)
        for (const uint32_t set : profile_.find(
                 Profile::Fact::kOperandOf, Profile::operand_of_key(set_of_[consumer.node], consumer.slot)))
          consider(set);
    std::ranges::sort(candidates, {},
                      [this](const auto& c) { return std::tuple(c.first, profile_.position(c.second)); });
    for (const auto& candidate : candidates) {
      const uint32_t single = profile_.set_of(m_, n), set = candidate.second;
      const bool forward = profile_.position(single) < profile_.position(set);
      const uint32_t from = forward ? single : set, to = forward ? set : single;
      if (profile_.reaches(from, to, budget, reached_)) continue;
      const size_t moved = profile_.position(to) - profile_.position(from);
      if (moved > budget) continue;
      budget -= moved;
      profile_.bring_together(from, to, reached_);
      profile_.absorb(single, set);
      set_of_[n] = set;
      return true;
    }
    return false;
  }

  Profile& profile_;
  const uint32_t m_;
  const ModelFeatures& model_;
  std::vector<Match> wished_;
  std::vector<uint32_t> order_;   // of the model's nodes
  std::vector<uint32_t> set_of_;  // by node; kNone: alone
  std::vector<uint32_t> reached_;
};

}  // namespace

void merge_model(Profile& profile, uint32_t model) { Merger(profile, model).run(); }

}  // namespace mts::alignment
