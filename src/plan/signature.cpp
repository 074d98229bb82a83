#include "plan/signature.h"

#include "rules/rule.h"

#include <algorithm>
#include <map>
#include <tuple>

#include <xxhash.h>

namespace mts {
namespace {

uint32_t kind_of(const Program& program, std::vector<const Node*>& kinds, const Member& member) {
  const Node& node = program.node(member);
  for (uint32_t k = 0; k < kinds.size(); ++k) {
    const Node* pair[] = {kinds[k], &node};
    if (kinds[k]->outputs.size() == node.outputs.size() && differing_attribute(pair).empty()) return k;
  }
  kinds.push_back(&node);
  return static_cast<uint32_t>(kinds.size() - 1);
}

}  // namespace

Signatures::Signatures(const Program& program)
    : program_(program),
      places_(program.models->size()),
      local_(program.types.size(), 0),
      stamp_(program.types.size(), 0) {
  for (uint32_t c = 0; c < program.columns.size(); ++c) {
    std::vector<const Node*> kinds;
    for (uint32_t m = 0; m < program.columns[c].members.size(); ++m) {
      const Member& member = program.columns[c].members[m];
      const uint32_t kind = kind_of(program, kinds, member);
      for (const auto& [model, node] : member.origins) places_[model].push_back({c, m, kind});
    }
  }
  std::map<std::tuple<std::string, bool, bool>, uint32_t> kinds;
  for (Number number = 0; number < program.types.size(); ++number)
    type_kinds_.push_back(
        kinds
            .try_emplace({to_string(program.types[number]), program.weights[number] != nullptr,
                          program.use_counts[number] > 1},
                         static_cast<uint32_t>(kinds.size()))
            .first->second);
  number_models();
}

// The same over one model alone, with the numbers that other models have too by themselves: sets of models
// of equal kinds have equal signatures.
void Signatures::number_models() {
  constexpr uint32_t kNobody = 0xffffffffU, kSeveral = 0xfffffffeU;
  std::vector<uint32_t> owner(type_kinds_.size(), kNobody);
  const auto for_each_number = [&](uint32_t model, const auto& each) {
    for (const Place& place : places_[model]) {
      const Member& member = program_.columns[place.column].members[place.member];
      for (const auto* numbers : {&member.operands, &member.captures, &member.outputs}) {
        for (const Number number : *numbers) each(number);
        each(kNoNumber);
      }
    }
  };
  for (uint32_t model = 0; model < places_.size(); ++model)
    for_each_number(model, [&](Number number) {
      if (number != kNoNumber && owner[number] != model)
        owner[number] = owner[number] == kNobody ? model : kSeveral;
    });
  std::map<std::vector<uint32_t>, uint32_t> kinds;
  for (uint32_t model = 0; model < places_.size(); ++model) {
    std::vector<uint32_t> text;
    for (const Place& place : places_[model]) {
      const Member& member = program_.columns[place.column].members[place.member];
      text.insert(text.end(), {place.column, place.kind, static_cast<uint32_t>(member.operands.size()),
                               static_cast<uint32_t>(member.captures.size()),
                               static_cast<uint32_t>(member.outputs.size())});
    }
    ++set_;
    uint32_t next = 0;
    for_each_number(model, [&](Number number) {
      if (number == kNoNumber) {
        text.push_back(kNoNumber);
      } else if (owner[number] == kSeveral) {
        text.insert(text.end(), {kSeveral, number});
      } else {
        if (stamp_[number] != set_) local_[number] = next++;
        stamp_[number] = set_;
        text.insert(text.end(), {type_kinds_[number], local_[number]});
      }
    });
    kind_of_model_.push_back(
        kinds.try_emplace(std::move(text), static_cast<uint32_t>(kinds.size())).first->second);
  }
}

Signature Signatures::of(std::span<const uint32_t> models) {
  std::vector<uint32_t> kinds;
  for (const uint32_t model : models) kinds.push_back(kind_of_model_[model]);
  const XXH128_hash_t key = XXH3_128bits(kinds.data(), kinds.size() * sizeof(uint32_t));
  const auto [known, fresh] = known_.try_emplace({key.low64, key.high64});
  if (fresh) known->second = read(models);
  return known->second;
}

Signature Signatures::read(std::span<const uint32_t> models) {
  ++set_;
  uint32_t next = 0;
  std::vector<uint32_t> text;
  const auto add = [&](const std::vector<Number>& numbers) {
    for (const Number number : numbers) {
      if (number == kNoNumber) {
        text.push_back(kNoNumber);
        continue;
      }
      if (stamp_[number] != set_) {
        stamp_[number] = set_;
        local_[number] = next++;
        text.push_back(type_kinds_[number]);
      }
      text.push_back(local_[number]);
    }
    text.push_back(kNoNumber - 1);
  };
  for (const uint32_t model : models) {
    text.push_back(kNoNumber - 2);
    for (const Place& place : places_[model]) {
      const Member& member = program_.columns[place.column].members[place.member];
      text.push_back(place.column);
      text.push_back(place.kind);
      add(member.operands);
      add(member.captures);
      add(member.outputs);
    }
  }
  const XXH128_hash_t digest = XXH3_128bits(text.data(), text.size() * sizeof(uint32_t));
  return {digest.low64, digest.high64};
}

}  // namespace mts
