#include "partial/channels.h"

#include "partial/track.h"

#include <algorithm>
#include <numeric>

namespace mts::partial {
namespace {

// Each repetition learns at least one thing; real models need two or three.
constexpr int kMaxWalks = 16;

bool has_one_entry(const Type& type, size_t axis) {
  return type.has_rank() && axis < type.rank() && (*type.shape)[axis].value == 1;
}

// The first axis along which some model has several channels after a Reshape: heads come before their
// columns.
void hint_at_heads(const std::vector<Model>& models, const std::vector<Channels>& channels,
                   const AlignedSet& set, std::vector<Hints>& hints) {
  std::vector<std::pair<uint32_t, ValueId>> outputs;
  std::optional<size_t> axis;
  for (uint32_t m = 0; m < models.size(); ++m) {
    if (set.nodes[m] == kNoNode || !models[m].graph.node(set.nodes[m]).is("Reshape")) continue;
    outputs.emplace_back(m, models[m].graph.node(set.nodes[m]).outputs[0]);
    const auto& tracked = channels[m].tracked[index(outputs.back().second)];
    if (tracked && tracked->channels.size() > 1) axis = std::min(axis.value_or(tracked->axis), tracked->axis);
  }
  for (const auto& [m, output] : outputs)
    if (axis && has_one_entry(models[m].graph.value(output).type, *axis))
      hints[m].reshapes[set.nodes[m]] = *axis;
}

void hint_at_depthwise(const std::vector<Model>& models, const std::vector<Channels>& channels,
                       const AlignedSet& set, std::vector<Hints>& hints) {
  bool any = false;
  for (uint32_t m = 0; m < models.size(); ++m)
    any |= set.nodes[m] != kNoNode && channels[m].roles[index(set.nodes[m])].group_is_count;
  for (uint32_t m = 0; m < models.size() && any; ++m) {
    if (set.nodes[m] == kNoNode || !models[m].graph.node(set.nodes[m]).is("Conv")) continue;
    const Node& node = models[m].graph.node(set.nodes[m]);
    const WeightPtr& weight = models[m].graph.value(node.inputs[1]).weight;
    if (weight != nullptr && weight->dims().size() > 2 && weight->dims()[0] == 1 && weight->dims()[1] == 1)
      hints[m].depthwise.insert(set.nodes[m]);
  }
}

}  // namespace

Channels find_channels(const Model& model, const Hints& hints) {
  Tracker::Learnt learnt;
  for (int walk = 0; walk < kMaxWalks; ++walk)
    if (auto channels = Tracker(model, hints, learnt).run()) return std::move(*channels);
  // No stable view of this model: nothing in it is tracked.
  Channels none;
  none.tracked.resize(model.graph.value_count());
  none.roles.resize(model.graph.node_count());
  return none;
}

std::vector<Channels> find_channels(const std::vector<Model>& models, const Alignment& alignment) {
  std::vector<Channels> channels;
  for (const Model& model : models) channels.push_back(find_channels(model));
  std::vector<Hints> hints(models.size());
  for (const AlignedSet& set : alignment.sets) {
    hint_at_heads(models, channels, set, hints);
    hint_at_depthwise(models, channels, set, hints);
  }
  for (uint32_t m = 0; m < models.size(); ++m)
    if (!hints[m].reshapes.empty() || !hints[m].depthwise.empty())
      channels[m] = find_channels(models[m], hints[m]);
  return channels;
}

int64_t Tracker::dim(ValueId id, size_t axis) const {
  const Type& t = type(id);
  return t.has_rank() && axis < t.rank() ? (*t.shape)[axis].value : -1;
}

const std::optional<Tracked>& Tracker::tracked(ValueId id) const {
  static const std::optional<Tracked> kNothing;
  return id == kNoValue ? kNothing : channels_.tracked[index(id)];
}

uint32_t Tracker::find(uint32_t channel) {
  while (parent_[channel] != channel) channel = parent_[channel] = parent_[parent_[channel]];
  return channel;
}

Tracked Tracker::make(NodeId node, size_t axis, int64_t size, bool pinned) {
  int64_t unit = 1;
  if (const auto it = learnt_.units.find(node);
      node != kNoNode && it != learnt_.units.end() && size % it->second == 0)
    unit = it->second;
  Tracked result{axis, unit, {}, pinned};
  for (int64_t i = 0; i < size / unit; ++i) {
    result.channels.push_back(static_cast<Channel>(parent_.size()));
    parent_.push_back(static_cast<uint32_t>(parent_.size()));
    channels_.makers.push_back(node);
    channels_.batches.push_back(batches_);
  }
  ++batches_;
  if (node != kNoNode) {
    int64_t& sizes = sizes_.try_emplace(node, 0).first->second;
    sizes = std::gcd(sizes, size);
  }
  return result;
}

const Tracked* Tracker::pin(ValueId value, size_t axis) {
  auto& slot = channels_.tracked[index(value)];
  if (slot) return &*slot;
  const NodeId producer = graph_.value(value).producer;
  if (weight(value) != nullptr || dim(value, axis) < 0 ||
      (producer != kNoNode && channels_.roles[index(producer)].kind != NodeRole::Kind::kOpaque))
    return nullptr;
  slot = make(producer, axis, dim(value, axis), true);
  return &*slot;
}

bool Tracker::tie(const Tracked& a, const Tracked& b) {
  if (a.channels.size() * static_cast<size_t>(a.unit) != b.channels.size() * static_cast<size_t>(b.unit))
    return false;
  if (a.unit != b.unit) {
    const int64_t unit = std::lcm(a.unit, b.unit);
    coarsen(a, unit);
    coarsen(b, unit);
    return false;
  }
  for (size_t i = 0; i < a.channels.size(); ++i) {
    const uint32_t x = find(a.channels[i]), y = find(b.channels[i]);
    parent_[std::max(x, y)] = std::min(x, y);
  }
  return true;
}

void Tracker::coarsen(const Tracked& tracked, int64_t unit) {
  if (tracked.unit >= unit || unit % tracked.unit != 0) return;
  std::set<NodeId> makers;
  for (const Channel channel : tracked.channels) makers.insert(channels_.makers[channel]);
  std::map<NodeId, int64_t> units;
  for (const NodeId maker : makers) {
    if (maker == kNoNode) continue;
    const auto found = learnt_.units.find(maker);
    const int64_t known = found == learnt_.units.end() ? 1 : found->second;
    units[maker] = unit / tracked.unit * known;
    // Where one of them cannot, it is no use that the others do.
    if (sizes_.at(maker) % units[maker] != 0) return;
  }
  for (const auto& [maker, coarse] : units) learnt_.units[maker] = coarse;
}

bool Tracker::has_duplicates(const Tracked& tracked) {
  std::vector<uint32_t> roots;
  for (const Channel channel : tracked.channels) roots.push_back(find(channel));
  std::ranges::sort(roots);
  return std::ranges::adjacent_find(roots) != roots.end();
}

// Whether channels of two operands were made together or are tied to such: those are arranged together, so
// that the joined value would not be its operands one after another.
bool Tracker::joins_one_batch(NodeId id) {
  std::map<uint32_t, size_t> owners;  // by batch: the operand
  const Node& node = graph_.node(id);
  for (size_t i = 0; i < node.inputs.size(); ++i)
    for (const Channel channel : tracked(node.inputs[i])->channels)
      if (owners.try_emplace(channels_.batches[find(channel)], i).first->second != i) return true;
  return false;
}

std::optional<Channels> Tracker::run() {
  const Learnt before = learnt_;
  channels_.tracked.resize(graph_.value_count());
  channels_.roles.resize(graph_.node_count());
  for (const NodeId id : graph_.order()) visit(id);
  if (learnt_ != before) return std::nullopt;
  // Ties that came later may have made two channels of one value the same: who joined them must not.
  for (const NodeId id : graph_.order())
    for (const ValueId value : graph_.node(id).outputs)
      if (value != kNoValue && tracked(value) && has_duplicates(*tracked(value))) {
        learnt_.opaque.insert(id);
        for (const ValueId input : graph_.node(id).inputs)
          if (input != kNoValue)
            for (const Use& use : graph_.uses(input)) learnt_.opaque.insert(use.node);
      }
  for (const NodeId id : graph_.order())
    if (channels_.roles[index(id)].kind == NodeRole::Kind::kJoin && joins_one_batch(id))
      learnt_.opaque.insert(id);
  if (learnt_ != before) return std::nullopt;
  channels_.roots.resize(parent_.size());
  for (uint32_t c = 0; c < parent_.size(); ++c) channels_.roots[c] = find(c);
  return std::move(channels_);
}

void Tracker::visit(NodeId id) {
  const Node& node = graph_.node(id);
  if (learnt_.opaque.contains(id) || !node.domain.empty()) return;
  auto effect = effect_of(*this, id);
  if (!effect) return;
  channels_.roles[index(id)] = std::move(effect->role);
  if (effect->out) set(node.outputs[0], std::move(*effect->out));
}

std::optional<Effect> effect_of(Tracker& tracker, NodeId id) {
  const Node& node = tracker.graph().node(id);
  // Only what has one output keeps channels: masks and running statistics would have to be split too.
  size_t outputs = 0;
  for (const ValueId output : node.outputs)
    outputs += output != kNoValue && !tracker.graph().is_unused(output);
  if (outputs != 1 || node.outputs[0] == kNoValue || tracker.graph().is_unused(node.outputs[0]) ||
      !node.subgraphs().empty())
    return std::nullopt;
  for (const auto family :
       {layer_effect, channelwise_effect, elementwise_effect, movement_effect, reshape_effect, mixing_effect})
    if (auto effect = family(tracker, id)) return effect;
  return std::nullopt;
}

}  // namespace mts::partial
