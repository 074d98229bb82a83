#include "partial/rows.h"

#include <algorithm>
#include <map>

namespace mts::partial {
namespace {

// Rows that are equal inside one member too (zeros) would be compared with each other again and again.
constexpr size_t kMaxCandidates = 64;

struct Candidate {
  NeuronId known = kNoNeuron;
  std::vector<std::pair<uint32_t, uint32_t>> members;
  std::map<uint32_t, std::vector<std::pair<uint32_t, Digest>>> hashes;  // by column group: member, hash
};

class Matcher {
 public:
  Matcher(const std::vector<Rows>& members, size_t worthwhile_part)
      : members_(members), worthwhile_part_(worthwhile_part) {}
  Matching run();

 private:
  using Key = std::pair<uint32_t, Digest>;  // column group, hash

  void find_repeated();
  bool may_have_equals(const Rows& rows, uint32_t row) const;
  uint32_t candidate_for(uint32_t member, uint32_t row);
  void add(uint32_t candidate, uint32_t member, uint32_t row);
  uint64_t pattern_of(const Candidate& candidate, size_t& saved) const;
  void note_equal(const Candidate& candidate, Matching& matching) const;

  const std::vector<Rows>& members_;
  const size_t worthwhile_part_;
  std::vector<uint64_t> repeated_;  // hashes that several rows have in one column group; ascending
  std::vector<Candidate> candidates_;
  std::map<NeuronId, uint32_t> by_neuron_;
  std::map<Key, std::vector<uint32_t>> by_hash_;
};

uint64_t mixed(uint32_t key, const Digest& hash) { return hash.low ^ (key * 0x9e3779b97f4a7c15ull); }

void Matcher::find_repeated() {
  for (const Rows& rows : members_)
    for (const auto& [key, hashes] : rows.hashes)
      for (const Digest& hash : hashes.of_row) repeated_.push_back(mixed(key, hash));
  std::ranges::sort(repeated_);
  size_t kept = 0;
  for (size_t i = 0, end = 0; i < repeated_.size(); i = end) {
    for (end = i + 1; end < repeated_.size() && repeated_[end] == repeated_[i];) ++end;
    if (end > i + 1) repeated_[kept++] = repeated_[i];
  }
  repeated_.resize(kept);
  repeated_.shrink_to_fit();
}

bool Matcher::may_have_equals(const Rows& rows, uint32_t row) const {
  return std::ranges::any_of(rows.hashes, [&](const auto& entry) {
    return std::ranges::binary_search(repeated_, mixed(entry.first, entry.second.of_row[row]));
  });
}

uint32_t Matcher::candidate_for(uint32_t member, uint32_t row) {
  constexpr uint32_t kNew = 0xffffffffu;
  const Rows& rows = members_[member];
  const NeuronId known = rows.neurons[row];
  if (known != kNoNeuron)
    if (const auto it = by_neuron_.find(known); it != by_neuron_.end()) return it->second;
  uint32_t best = kNew;
  size_t best_equal = 0;
  bool best_in_place = false;
  std::set<uint32_t> seen;
  for (const auto& [key, hashes] : rows.hashes) {
    const auto found = by_hash_.find({key, hashes.of_row[row]});
    if (found == by_hash_.end()) continue;
    // The last ones first: those are the ones that this member has not joined yet when rows come in order.
    for (size_t i = found->second.size(), tried = 0; i-- > 0 && tried < kMaxCandidates; ++tried) {
      const uint32_t c = found->second[i];
      const Candidate& candidate = candidates_[c];
      if (!seen.insert(c).second ||
          std::ranges::any_of(candidate.members, [&](const auto& one) { return one.first == member; }))
        continue;
      size_t equal = 0, comparable = 0;
      for (const auto& [other, mine] : rows.hashes) {
        const auto theirs = candidate.hashes.find(other);
        if (theirs == candidate.hashes.end()) continue;
        const bool same = std::ranges::any_of(
            theirs->second, [&](const auto& entry) { return entry.second == mine.of_row[row]; });
        if (same) equal += mine.bytes;
        if (same || !mine.tentative) comparable += mine.bytes;
      }
      const bool in_place =
          std::ranges::any_of(candidate.members, [&](const auto& one) { return one.second == row; });
      if (equal == 0 || 2 * equal < comparable) continue;
      if (best == kNew || equal > best_equal || (equal == best_equal && in_place && !best_in_place)) {
        best = c;
        best_equal = equal;
        best_in_place = in_place;
      }
    }
  }
  if (best == kNew) {
    best = static_cast<uint32_t>(candidates_.size());
    candidates_.emplace_back();
  }
  if (known != kNoNeuron) {
    candidates_[best].known = known;
    by_neuron_[known] = best;
  }
  return best;
}

void Matcher::add(uint32_t c, uint32_t member, uint32_t row) {
  Candidate& candidate = candidates_[c];
  candidate.members.emplace_back(member, row);
  for (const auto& [key, hashes] : members_[member].hashes) {
    candidate.hashes[key].emplace_back(member, hashes.of_row[row]);
    auto& list = by_hash_[{key, hashes.of_row[row]}];
    if (list.empty() || list.back() != c) list.push_back(c);
  }
}

uint64_t Matcher::pattern_of(const Candidate& candidate, size_t& saved) const {
  uint64_t pattern = 0;
  const auto mix = [&](uint64_t value) {
    pattern = (pattern ^ (value + 1)) * 0x9e3779b97f4a7c15ull, pattern ^= pattern >> 31;
  };
  for (const auto& [key, entries] : candidate.hashes) {
    std::map<Digest, uint32_t> labels;
    std::vector<uint32_t> line;
    for (const auto& [member, hash] : entries) line.push_back(labels.try_emplace(hash, member).first->second);
    const RowHashes& any = members_[entries.front().first].hashes.at(key);
    const size_t equal = entries.size() - labels.size();
    saved += equal * any.bytes;
    mix(key);
    if (equal == 0) continue;
    for (size_t i = 0; i < line.size(); ++i) mix((uint64_t{entries[i].first} << 32) + line[i]);
  }
  return pattern;
}

// Members whose rows are equal in the column group that has the most of them, by bytes.
void Matcher::note_equal(const Candidate& candidate, Matching& matching) const {
  std::map<Digest, Matching::Members> best;
  size_t best_bytes = 0;
  for (const auto& [key, entries] : candidate.hashes) {
    std::map<Digest, Matching::Members> groups;
    size_t bytes = 0;
    for (const auto& [member, hash] : entries) {
      const auto row = std::ranges::find(candidate.members, member, &std::pair<uint32_t, uint32_t>::first);
      Matching::Members& group = groups[hash];
      group.push_back(*row);
      if (group.size() > 1) bytes += members_[member].hashes.at(key).bytes;
    }
    if (bytes > best_bytes) {
      best = std::move(groups);
      best_bytes = bytes;
    }
  }
  for (const auto& [hash, group] : best)
    if (group.size() > 1) matching.equal.push_back(group);
}

Matching Matcher::run() {
  find_repeated();
  // Most rows of most models are like no other, and not known either: nothing can join them.
  for (uint32_t member = 0; member < members_.size(); ++member)
    for (uint32_t row = 0; row < members_[member].roots.size(); ++row)
      if (members_[member].neurons[row] != kNoNeuron || may_have_equals(members_[member], row))
        add(candidate_for(member, row), member, row);
  Matching matching;
  size_t saved = 0, largest = 0;
  for (const Candidate& candidate : candidates_) {
    if (candidate.members.size() < 2 && candidate.known == kNoNeuron) continue;
    const uint64_t pattern = pattern_of(candidate, saved);
    matching.rows.push_back({candidate.members, pattern});
    note_equal(candidate, matching);
  }
  for (const Rows& rows : members_) largest = std::max(largest, rows.total_bytes);
  matching.saved = saved;
  matching.worthwhile = saved > 0 && saved * worthwhile_part_ >= largest;
  return matching;
}

}  // namespace

Matching match_rows(const std::vector<Rows>& members, size_t worthwhile_part) {
  return Matcher(members, worthwhile_part).run();
}

}  // namespace mts::partial
