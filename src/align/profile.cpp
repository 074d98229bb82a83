#include "align/profile.h"

#include <algorithm>

namespace mts::alignment {
Profile::Profile(const std::vector<ModelFeatures>& models) : models_(models) {
  for (const ModelFeatures& model : models) set_of_.emplace_back(model.nodes.size(), kNone);
}

uint32_t Profile::add_set(uint32_t model, uint32_t node) {
  const auto id = static_cast<uint32_t>(sets_.size());
  sets_.push_back({{{model, node}}, {}, models_[model].nodes[node].form});
  set_of_[model][node] = id;
  return id;
}

void Profile::join(uint32_t set, uint32_t model, uint32_t node) {
  sets_[set].members.push_back({model, node});
  set_of_[model][node] = set;
}

void Profile::connect(uint32_t from, uint32_t to) {
  if (edges_.insert(uint64_t{from} << 32 | to).second) sets_[from].successors.push_back(to);
}

void Profile::connect_model(uint32_t model) {
  const ModelFeatures& features = models_[model];
  for (uint32_t node = 0; node < features.nodes.size(); ++node)
    for (const Consumer& consumer : features.consumers[node])
      connect(set_of_[model][node], set_of_[model][consumer.node]);
}

void Profile::absorb(uint32_t single, uint32_t set) {
  const auto [model, node] = sets_[single].members.front();
  sets_[single] = {};
  join(set, model, node);
  const ModelFeatures& features = models_[model];
  for (const Consumer& consumer : features.consumers[node]) connect(set, set_of_[model][consumer.node]);
  for (const Operand& operand : features.operands_of(node)) {
    if (operand.producer == kNone) continue;
    const uint32_t producer = set_of_[model][operand.producer];
    std::erase(sets_[producer].successors, single);
    connect(producer, set);
  }
}

void Profile::set_order(std::vector<uint32_t> order) {
  order_ = std::move(order);
  std::erase_if(order_, [this](uint32_t set) { return sets_[set].members.empty(); });
  position_.resize(sets_.size());
  mark_.resize(sets_.size());
  for (uint32_t i = 0; i < order_.size(); ++i) position_[order_[i]] = i;
}

bool Profile::learn(uint32_t set, Fact fact, uint64_t value) {
  if (!facts_.insert(fact_key(set, fact, value)).second) return false;
  if (is_indexed(fact)) index_[index_key(fact, value)].push_back(set);
  return true;
}

std::span<const uint32_t> Profile::find(Fact fact, uint64_t value) const {
  const auto it = index_.find(index_key(fact, value));
  return it == index_.end() ? std::span<const uint32_t>() : it->second;
}

const Operand* Profile::main_weight(const ModelFeatures& model, uint32_t node) {
  // A stored weight before one that is computed: the latter is matched by what it is computed from.
  const auto rank = [](const Operand& operand) {
    return std::pair(operand.producer == kNone, operand.bytes);
  };
  const Operand* best = nullptr;
  for (const Operand& operand : model.operands_of(node))
    if (operand.telling && (best == nullptr || rank(operand) > rank(*best))) best = &operand;
  return best;
}

void Profile::index_model(uint32_t m) {
  const ModelFeatures& model = models_[m];
  const auto set_of = [&](uint32_t producer) { return set_of_[m][producer]; };
  for (uint32_t n = 0; n < model.nodes.size(); ++n) {
    const NodeFeatures& node = model.nodes[n];
    const uint32_t set = set_of_[m][n];
    learn(set, Fact::kForward, node.forward);
    if (node.number != kNone) learn(set, Fact::kNumber, node.number);
    if (const Operand* weight = main_weight(model, n); weight != nullptr)
      learn(set, Fact::kWeight, weight_key(node, *weight));
    if (uint64_t key = 0; !node.cone && operands_key(model, n, set_of, key)) learn(set, Fact::kOperands, key);
    learn(set, Fact::kSignature, node.signature);
    learn(set, Fact::kRole, node.role());
    learn(set, Fact::kBackward, node.backward);
    learn(set, Fact::kContent, node.content);
    for (const Operand& operand : model.operands_of(n)) {
      if (operand.content != kNone) learn(set, Fact::kOperandContent, mix(operand.slot, operand.content));
      if (operand.source != kNone) learn(set, Fact::kOperandNumber, mix(operand.slot, operand.number));
      if (operand.producer == kNone) continue;
      learn(set, Fact::kOperandSet, mix(operand.slot, set_of(operand.producer)));
      learn(set_of(operand.producer), Fact::kOperandOf, operand_of_key(set, operand.slot));
    }
  }
}

bool Profile::reaches(uint32_t from, uint32_t to, size_t& budget, std::vector<uint32_t>& reached) {
  reached.assign(1, from);
  mark_[from] = 1;
  bool found = false;
  for (size_t i = 0; i < reached.size() && !found; ++i)
    for (const uint32_t next : sets_[reached[i]].successors) {
      if (budget == 0 || next == to) {
        found = true;
        break;
      }
      --budget;
      if (mark_[next] != 0 || position_[next] > position_[to]) continue;
      mark_[next] = 1;
      reached.push_back(next);
    }
  for (const uint32_t set : reached) mark_[set] = 0;
  return found;
}

void Profile::bring_together(uint32_t from, uint32_t to, const std::vector<uint32_t>& reached) {
  for (const uint32_t set : reached) mark_[set] = 1;
  std::vector<uint32_t> later;
  uint32_t position = position_[from];
  const uint32_t end = position_[to];
  const auto place = [&](uint32_t set) {
    order_[position] = set;
    position_[set] = position++;
  };
  for (uint32_t i = position; i < end; ++i) {
    const uint32_t set = order_[i];
    if (mark_[set] == 0) {
      place(set);
    } else if (set != from) {
      later.push_back(set);
    }
  }
  place(from);
  place(to);
  for (const uint32_t set : later) place(set);
  for (const uint32_t set : reached) mark_[set] = 0;
}

}  // namespace mts::alignment
