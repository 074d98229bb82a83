#include "partial/neurons.h"

#include "partial/finder.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

namespace mts::partial {
namespace {

// Smaller equal weights, and those of one value (zeros, ones), may be equal by chance and say nothing about
// which channel is which.
constexpr size_t kTellingBytes = 16;

bool is_telling(const Weight& weight) {
  if (weight.byte_size() < kTellingBytes) return false;
  const auto bytes = weight.bytes();
  const size_t element = static_cast<size_t>(bit_width(weight.dtype())) / 8;
  return bytes.size() <= element ||
         std::memcmp(bytes.data(), bytes.data() + element, bytes.size() - element) != 0;
}

uint64_t mix(uint64_t a, uint64_t b) {
  uint64_t x = (a ^ (b + 0x9e3779b97f4a7c15ull + (a << 6) + (a >> 2))) * 0xbf58476d1ce4e5b9ull;
  return x ^ (x >> 29);
}

}  // namespace

const Tracked& made_by(const Channels& channels, const Model& model, NodeId id) {
  return *channels.tracked[index(model.graph.node(id).outputs[0])];
}

Finder::Members Finder::members_of(const AlignedSet& set, NodeRole::Kind kind) const {
  Members members;
  for (uint32_t m = 0; m < set.nodes.size(); ++m)
    if (set.nodes[m] != kNoNode && role(m, set.nodes[m]).kind == kind) members.emplace_back(m, set.nodes[m]);
  return members;
}

Neurons Finder::run() {
  // Whole weights that are equal first: their rows and columns correspond by position, whatever else is
  // equal.
  for (const AlignedSet& set : alignment_.sets) match_by_position(members_of(set, NodeRole::Kind::kLayer));
  for (uint32_t s = 0; s < alignment_.sets.size(); ++s) {
    match_layers(s, members_of(alignment_.sets[s], NodeRole::Kind::kLayer));
    for (const auto kind : {NodeRole::Kind::kLayer, NodeRole::Kind::kEach, NodeRole::Kind::kWhole})
      match_parameters(s, members_of(alignment_.sets[s], kind));
  }
  return std::move(result_);
}

void Finder::match_by_position(const Members& members) {
  std::map<int32_t, Members> groups;
  for (const auto& [m, id] : members) {
    const ValueId weight = role(m, id).layer.weight;
    if (is_telling(*models_[m].graph.value(weight).weight))
      groups[classes_.class_of[m][index(weight)]].emplace_back(m, id);
  }
  for (const auto& [content, group] : groups) {
    if (group.size() < 2 || content < 0) continue;
    const auto dims = [&](const auto& member) {
      return models_[member.first].graph.value(role(member.first, member.second).layer.weight).weight->dims();
    };
    if (std::ranges::any_of(group, [&](const auto& member) { return dims(member) != dims(group.front()); }))
      continue;
    std::vector<const Tracked*> rows, columns;
    for (const auto& [m, id] : group) {
      rows.push_back(&made_by(channels_[m], models_[m], id));
      columns.push_back(&role(m, id).layer.columns);
    }
    tie_positions(group, columns);
    tie_positions(group, rows);
  }
}

// One neuron for each position, where the channels there are in no other neuron yet.
void Finder::tie_positions(const Members& group, const std::vector<const Tracked*>& places) {
  for (const Tracked* place : places)
    if (place->unit != places.front()->unit || place->channels.size() != places.front()->channels.size())
      return;
  for (size_t i = 0; i < places.front()->channels.size(); ++i) {
    std::vector<std::pair<uint32_t, Channel>> roots;
    for (size_t g = 0; g < group.size(); ++g)
      roots.emplace_back(group[g].first, channels_[group[g].first].root(places[g]->channels[i]));
    join(roots, 0);
  }
}

// Puts channels, and the neurons that they are in already, into one neuron. Leaves everything as it is when a
// model would have two channels in it.
void Finder::join(const std::vector<std::pair<uint32_t, Channel>>& roots, uint64_t signature) {
  std::set<NeuronId> known;
  std::vector<Channel> channels(models_.size(), kNoChannel);
  const auto put = [&](uint32_t m, Channel root) {
    if (root == kNoChannel) return true;
    if (channels[m] != kNoChannel && channels[m] != root) return false;
    channels[m] = root;
    return true;
  };
  for (const auto& [m, root] : roots) {
    if (!put(m, root)) return;
    if (result_.of_root[m][root] != kNoNeuron) known.insert(result_.of_root[m][root]);
  }
  for (const NeuronId one : known)
    for (uint32_t m = 0; m < models_.size(); ++m)
      if (!put(m, result_.all[one].channels[m])) return;
  if (known.empty()) {
    known.insert(static_cast<NeuronId>(result_.all.size()));
    result_.all.emplace_back();
  }
  const NeuronId target = *known.begin();
  for (const NeuronId one : known) result_.all[one].channels.assign(models_.size(), kNoChannel);
  result_.all[target].channels = channels;
  for (uint32_t m = 0; m < models_.size(); ++m)
    if (channels[m] != kNoChannel) result_.of_root[m][channels[m]] = target;
  if (signature != 0) result_.all[target].signature = mix(result_.all[target].signature, signature);
}

void Finder::record(uint32_t set, const std::vector<Rows>& rows, const Matching& matching) {
  for (const MatchedRow& matched : matching.rows) {
    std::vector<std::pair<uint32_t, Channel>> roots;
    for (const auto& [member, row] : matched.members)
      roots.emplace_back(rows[member].model, rows[member].roots[row]);
    join(roots, mix(set + 1, matched.pattern));
  }
}

Neurons find_neurons(const std::vector<Model>& models, const std::vector<Channels>& channels,
                     const Alignment& alignment, const WeightClasses& classes) {
  return Finder(models, channels, alignment, classes).run();
}

}  // namespace mts::partial
