#include "stitch/bundles.h"

#include "stitch/relayout.h"

#include <algorithm>
#include <cassert>

namespace mts {

std::vector<Type> Bundles::types_of(std::span<const Number> members) const {
  std::vector<Type> types;
  for (const Number number : members) types.push_back(program_.types[number]);
  return types;
}

void Bundles::add(std::vector<Number> members, Placement placement, ValueId value) {
  const auto [it, added] = by_members_.try_emplace(members, bundles_.size());
  if (added) {
    for (size_t i = 0; i < members.size(); ++i)
      if (bundle_of_[members[i]].first == kNoBundle) bundle_of_[members[i]] = {bundles_.size(), i};
    bundles_.push_back({.members = std::move(members), .forms = {}, .first = placement});
  }
  bundles_[it->second].forms.emplace(placement, value);
}

ValueId Bundles::form_of(Bundle& bundle, Placement placement) {
  const auto it = bundle.forms.find(placement);
  if (it != bundle.forms.end()) return it->second;
  const ValueId value =
      relayout(bundle.forms.at(bundle.first), types_of(bundle.members), bundle.first, placement, builder_);
  bundle.forms.emplace(placement, value);
  return value;
}

ValueId Bundles::single(Number number) {
  if (singles_[number] != kNoValue) return singles_[number];
  if (program_.weights[number] != nullptr)
    return singles_[number] = builder_.constant(program_.weights[number]);
  const auto [index, position] = bundle_of_[number];
  (void)position;
  assert(index != kNoBundle);
  Bundle& bundle = bundles_[index];
  const auto types = types_of(bundle.members);
  // A concatenation at hand saves a Reshape.
  Placement from = bundle.first;
  for (const auto& [placement, value] : bundle.forms)
    if (placement.fold == Fold::kConcat) from = placement;
  const auto parts = extract(bundle.forms.at(from), types, from, builder_);
  for (size_t i = 0; i < parts.size(); ++i)
    if (singles_[bundle.members[i]] == kNoValue) singles_[bundle.members[i]] = parts[i];
  return singles_[number];
}

ValueId Bundles::fused(const std::vector<Number>& members, Placement placement) {
  if (const auto it = by_members_.find(members); it != by_members_.end())
    return form_of(bundles_[it->second], placement);
  const auto types = types_of(members);
  const bool constant =
      std::ranges::all_of(members, [&](Number n) { return program_.weights[n] != nullptr; });
  const bool repeated = std::ranges::all_of(members, [&](Number n) { return n == members.front(); });
  ValueId value = kNoValue;
  if (repeated && (!constant || !allow_duplicates_)) {
    value = repeat(single(members.front()), types.front(), members.size(), placement, builder_);
  } else {
    std::vector<ValueId> parts;
    for (const Number member : members) parts.push_back(single(member));
    const bool needed_elsewhere =
        std::ranges::any_of(members, [&](Number n) { return program_.use_counts[n] > 1; });
    value = assemble(parts, types, placement, constant && needed_elsewhere && !allow_duplicates_, builder_);
  }
  add(members, placement, value);
  return value;
}

}  // namespace mts
