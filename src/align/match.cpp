#include "align/match.h"

#include <algorithm>
#include <tuple>
#include <unordered_map>

namespace mts::alignment {
namespace {

using Fact = Profile::Fact;

// In bytes of shared weights, so that large weights outbid everything but equal values.
constexpr int64_t kSameValue = int64_t{1} << 50;
constexpr int64_t kOperandsAgree = 4096;  // all of them; a part for some
constexpr int64_t kSharedWeight = 8192;   // beside the bytes: a small weight tells layers apart, too
constexpr int64_t kSameSignature = 1024;
constexpr int64_t kSameForward = 1024;
constexpr int64_t kSameRole = 512;
constexpr int64_t kSameBackward = 256;
constexpr int64_t kSameContent = 1024;  // all constants, telling or not
constexpr uint64_t kMostBytes = uint64_t{1} << 40;

// Candidates of one kind looked at for a node. A content that occurs in more sets (zero biases) tells
// nothing.
constexpr size_t kMostCandidates = 64;
constexpr size_t kMostHolders = 16;

struct Pair {
  int64_t score;
  uint32_t node, set;
};

class Matcher {
 public:
  Matcher(const Profile& profile, uint32_t m)
      : profile_(profile),
        model_(profile.model(m)),
        set_of_(model_.nodes.size(), kNone),
        scores_(model_.nodes.size(), 0),
        taken_(profile.set_count(), 0),
        seen_(profile.set_count(), 0),
        wanted_by_(profile.set_count(), kNone) {}

  std::vector<Match> run() {
    note_wanted_sets();
    match_levels(false);
    // What is computed from constants alone belongs to its reader, not to whatever else looks like it.
    for (auto n = static_cast<uint32_t>(model_.nodes.size()); n-- > 0;)
      if (set_of_[n] == kNone) match_by_readers(n);
    match_levels(true);
    std::vector<Match> result;
    for (uint32_t n = 0; n < model_.nodes.size(); ++n) result.push_back({set_of_[n], scores_[n]});
    return result;
  }

 private:
  // How many nodes and sets hold a content that few do.
  struct Content {
    size_t nodes = 0, sets = 0;
  };

  const Operand* telling_weight(uint32_t n, std::span<const uint32_t>& holders, uint64_t& key) const {
    const Operand* weight = Profile::main_weight(model_, n);
    if (weight == nullptr) return nullptr;
    key = Profile::weight_key(model_.nodes[n], *weight);
    holders = profile_.find(Fact::kWeight, key);
    return holders.empty() || holders.size() > kMostHolders ? nullptr : weight;
  }

  // A set whose weight a node of the model holds is kept for that node, although others would fit it too,
  // unless there are more such sets than nodes.
  void note_wanted_sets() {
    std::unordered_map<uint64_t, uint32_t> ids;
    content_of_.assign(model_.nodes.size(), kNone);
    for (uint32_t n = 0; n < model_.nodes.size(); ++n) {
      std::span<const uint32_t> holders;
      uint64_t key = 0;
      if (model_.nodes[n].cone || telling_weight(n, holders, key) == nullptr) continue;
      const auto [it, is_new] = ids.emplace(key, static_cast<uint32_t>(contents_.size()));
      if (is_new) {
        contents_.push_back({0, holders.size()});
        for (const uint32_t set : holders) wanted_by_[set] = it->second;
      }
      content_of_[n] = it->second;
      ++contents_[it->second].nodes;
    }
  }

  bool is_kept_for_others(uint32_t set, uint32_t n) const {
    const uint32_t content = wanted_by_[set];
    if (content == kNone || content == content_of_[n]) return false;
    return contents_[content].nodes >= contents_[content].sets;
  }

  void consider(uint32_t n, std::span<const uint32_t> sets) {
    size_t looked_at = 0;
    for (const uint32_t set : sets) {
      if (taken_[set] != 0 || seen_[set] == stamp_ || profile_.set(set).form != model_.nodes[n].form)
        continue;
      if (is_kept_for_others(set, n)) continue;
      seen_[set] = stamp_;
      pairs_.push_back({score(profile_, set, model_, n, set_of_), n, set});
      if (++looked_at == kMostCandidates) break;
    }
  }

  void propose(uint32_t n) {
    ++stamp_;
    const NodeFeatures& node = model_.nodes[n];
    if (node.number != kNone) consider(n, profile_.find(Fact::kNumber, node.number));
    std::span<const uint32_t> holders;
    uint64_t key = 0;
    if (telling_weight(n, holders, key) != nullptr) consider(n, holders);
    if (Profile::operands_key(
            model_, n, [this](uint32_t producer) { return set_of_[producer]; }, key))
      consider(n, profile_.find(Fact::kOperands, key));
    consider(n, profile_.find(Fact::kForward, node.forward));
  }

  void take_best() {
    std::ranges::sort(pairs_, {}, [this](const Pair& pair) {
      return std::tuple(-pair.score, pair.node, profile_.position(pair.set));
    });
    for (const Pair& pair : pairs_)
      if (set_of_[pair.node] == kNone && taken_[pair.set] == 0) take(pair);
  }

  void take(const Pair& pair) {
    set_of_[pair.node] = pair.set;
    scores_[pair.node] = pair.score;
    taken_[pair.set] = 1;
    if (content_of_[pair.node] != kNone) --contents_[content_of_[pair.node]].nodes;
    if (wanted_by_[pair.set] != kNone) --contents_[wanted_by_[pair.set]].sets;
  }

  void match_levels(bool cones) {
    const auto& nodes = model_.nodes;
    for (uint32_t begin = 0, end = 0; begin < nodes.size(); begin = end) {
      pairs_.clear();
      for (; end < nodes.size() && nodes[end].depth == nodes[begin].depth; ++end)
        if (nodes[end].cone == cones && set_of_[end] == kNone) propose(end);
      take_best();
    }
  }

  void match_by_readers(uint32_t n) {
    ++stamp_;
    pairs_.clear();
    for (const Consumer& consumer : model_.consumers[n])
      if (set_of_[consumer.node] != kNone)
        consider(n, profile_.find(Fact::kOperandOf,
                                  Profile::operand_of_key(set_of_[consumer.node], consumer.slot)));
    take_best();
  }

  const Profile& profile_;
  const ModelFeatures& model_;
  std::vector<uint32_t> set_of_;
  std::vector<int64_t> scores_;
  std::vector<char> taken_;           // by set
  std::vector<uint32_t> seen_;        // by set: the search that last considered it
  uint32_t stamp_ = 0;                // of the present search
  std::vector<uint32_t> wanted_by_;   // by set: a content
  std::vector<uint32_t> content_of_;  // by node
  std::vector<Content> contents_;
  std::vector<Pair> pairs_;
};

}  // namespace

int64_t score(const Profile& profile, uint32_t set, const ModelFeatures& model, uint32_t node,
              const std::vector<uint32_t>& set_of) {
  const NodeFeatures& features = model.nodes[node];
  int64_t result = 1;
  if (features.number != kNone && profile.has(set, Fact::kNumber, features.number)) result += kSameValue;
  if (profile.has(set, Fact::kSignature, features.signature)) result += kSameSignature;
  if (profile.has(set, Fact::kForward, features.forward)) result += kSameForward;
  if (profile.has(set, Fact::kRole, features.role())) result += kSameRole;
  if (profile.has(set, Fact::kBackward, features.backward)) result += kSameBackward;
  if (profile.has(set, Fact::kContent, features.content)) result += kSameContent;
  uint64_t bytes = 0;
  int64_t operands = 0, agreeing = 0;
  for (const Operand& operand : model.operands_of(node)) {
    if (operand.telling && profile.has(set, Fact::kOperandContent, mix(operand.slot, operand.content))) {
      bytes += operand.bytes;
      continue;
    }
    if (operand.content != kNone && operand.producer == kNone) continue;
    ++operands;
    if (operand.source != kNone) {
      agreeing += profile.has(set, Fact::kOperandNumber, mix(operand.slot, operand.number)) ? 1 : 0;
    } else if (set_of[operand.producer] != kNone) {
      agreeing += profile.has(set, Fact::kOperandSet, mix(operand.slot, set_of[operand.producer])) ? 1 : 0;
    }
  }
  if (operands > 0) result += kOperandsAgree * agreeing / operands;
  if (bytes > 0) result += kSharedWeight + static_cast<int64_t>(std::min(bytes, kMostBytes));
  return result;
}

std::vector<Match> match_nodes(const Profile& profile, uint32_t model) {
  return Matcher(profile, model).run();
}

}  // namespace mts::alignment
