#include "partial/arrangement.h"

#include <algorithm>
#include <tuple>

namespace mts::partial {

std::vector<uint32_t> Arrangement::positions(const std::vector<uint32_t>& which) const {
  std::vector<uint32_t> result;
  for (const uint32_t p : which)
    result.insert(result.end(), pieces[p].positions.begin(), pieces[p].positions.end());
  return result;
}

std::vector<uint32_t> Arrangement::all() const {
  std::vector<uint32_t> result(pieces.size());
  for (uint32_t p = 0; p < result.size(); ++p) result[p] = p;
  return result;
}

std::vector<int64_t> entries_of(const std::vector<uint32_t>& positions, int64_t unit) {
  std::vector<int64_t> entries;
  entries.reserve(positions.size() * static_cast<size_t>(unit));
  for (const uint32_t position : positions)
    for (int64_t k = 0; k < unit; ++k) entries.push_back(static_cast<int64_t>(position) * unit + k);
  return entries;
}

Segments::Segments(const std::vector<Channels>& channels, const Neurons& neurons, const Detail& detail)
    : channels_(channels) {
  // A segment: who shares it and how, and where its channels were made (in the first of its models).
  using Key = std::tuple<uint64_t, uint32_t, uint32_t, std::vector<uint32_t>>;
  const auto members_of = [](const Neuron& neuron) {
    std::vector<uint32_t> members;
    for (uint32_t m = 0; m < neuron.channels.size(); ++m)
      if (neuron.channels[m] != kNoChannel) members.push_back(m);
    return members;
  };
  const auto key_of = [&](const Neuron& neuron, std::vector<uint32_t> members) {
    const uint32_t first = members.front();
    return Key{detail.by_pattern ? neuron.signature : 0, first,
               channels[first].batches[neuron.channels[first]], std::move(members)};
  };
  std::map<Key, size_t> counts;
  for (const Neuron& neuron : neurons.all)
    if (auto members = members_of(neuron); !members.empty()) ++counts[key_of(neuron, std::move(members))];
  std::map<std::pair<uint32_t, uint32_t>, size_t> made;  // by model and batch: channels
  for (uint32_t m = 0; m < channels.size(); ++m)
    for (Channel c = 0; c < channels[m].roots.size(); ++c)
      if (channels[m].root(c) == c) ++made[{m, channels[m].batches[c]}];
  std::map<Key, SegmentId> segments;
  const auto segment = [&](Key key) {
    return segments.try_emplace(std::move(key), static_cast<SegmentId>(segments.size())).first->second;
  };
  for (const Channels& one : channels) places_.emplace_back(one.roots.size());
  for (NeuronId n = 0; n < neurons.all.size(); ++n) {
    const Neuron& neuron = neurons.all[n];
    std::vector<uint32_t> members = members_of(neuron);
    if (members.empty()) continue;  // became one with another
    Key key = key_of(neuron, members);
    const auto size = static_cast<double>(counts.at(key));
    const bool small = std::ranges::all_of(members, [&](uint32_t m) {
      return size <
             detail.least_part * static_cast<double>(made.at({m, channels[m].batches[neuron.channels[m]]}));
    });
    if (small) continue;
    const SegmentId id = segment(std::move(key));
    for (const uint32_t m : members) places_[m][neuron.channels[m]] = {id, n};
  }
  for (uint32_t m = 0; m < channels.size(); ++m)
    for (Channel c = 0; c < channels[m].roots.size(); ++c)
      if (channels[m].root(c) == c && places_[m][c].segment == kNoSegment)
        places_[m][c] = {segment({0, m, channels[m].batches[c], {}}), kNoNeuron};
}

Arrangement Segments::arrange(uint32_t model, const Tracked& tracked) const {
  // Channels made together stay together; among them what more than one model has comes first.
  struct Order {
    uint32_t batch;
    bool alone;
    SegmentId segment;
    NeuronId neuron;
    uint32_t position;
    auto operator<=>(const Order&) const = default;
  };
  std::vector<Order> order;
  std::map<uint32_t, uint32_t> batches;  // in order of first occurrence
  for (uint32_t i = 0; i < tracked.channels.size(); ++i) {
    const Channel root = channels_[model].root(tracked.channels[i]);
    const Place& place = places_[model][root];
    const auto batch =
        batches.try_emplace(channels_[model].batches[root], static_cast<uint32_t>(batches.size()))
            .first->second;
    order.push_back({batch, place.neuron == kNoNeuron, place.segment, place.neuron, i});
  }
  std::ranges::sort(order);
  Arrangement result;
  for (size_t i = 0; i < order.size(); ++i) {
    if (i == 0 || order[i].segment != order[i - 1].segment || order[i].batch != order[i - 1].batch)
      result.pieces.push_back({order[i].segment, {}});
    result.pieces.back().positions.push_back(order[i].position);
    result.identity &= order[i].position == i;
  }
  return result;
}

}  // namespace mts::partial
