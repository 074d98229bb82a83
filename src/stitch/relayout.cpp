#include "stitch/relayout.h"

#include <algorithm>

namespace mts {
namespace {

bool all_equal(std::span<const Type> members) {
  return std::ranges::all_of(members, [&](const Type& t) { return t == members.front(); });
}

}  // namespace

ValueId relayout(ValueId value, std::span<const Type> members, Placement from, Placement to,
                 Builder& builder) {
  if (from == to) return value;
  const Extents source = fused_extents(members, from), target = fused_extents(members, to);
  if (distance(members, from, to) == Distance::kReshape) return builder.reshape(value, source, target);
  const Placement stacked_from{from.axis, Fold::kStacked}, stacked_to{to.axis, Fold::kStacked};
  const Extents before = fused_extents(members, stacked_from), after = fused_extents(members, stacked_to);
  value = builder.reshape(value, source, before);
  std::vector<int64_t> permutation;
  for (int64_t axis = 0; axis < static_cast<int64_t>(before.size()); ++axis)
    if (axis != from.axis) permutation.push_back(axis);
  permutation.insert(permutation.begin() + to.axis, from.axis);
  value = builder.transpose(value, permutation, type_of(members.front().dtype, after));
  return builder.reshape(value, after, target);
}

std::vector<ValueId> extract(ValueId value, std::span<const Type> members, Placement from, Builder& builder) {
  const auto rank = static_cast<int32_t>(members.front().rank());
  std::vector<Type> types(members.begin(), members.end());
  if (from.axis < rank) {
    const Placement concat{from.axis, Fold::kConcat};
    value = relayout(value, members, from, concat, builder);
    std::vector<Dim> sizes;
    for (const Type& member : members) sizes.push_back((*member.shape)[static_cast<size_t>(from.axis)]);
    if (std::ranges::all_of(sizes, &Dim::is_known)) {
      std::vector<int64_t> numbers;
      for (const Dim& size : sizes) numbers.push_back(size.value);
      return builder.split(value, from.axis, numbers, types);
    }
    if (std::ranges::all_of(sizes, [&](const Dim& size) { return size == sizes.front(); }))
      return builder.split_equally(value, from.axis, types);
    std::vector<ValueId> parts;  // the models' batches may differ: sizes from their inputs
    for (const Dim& size : sizes)
      parts.push_back(size.is_known() ? builder.ints({size.value}) : builder.size_of(size.symbol));
    const Type vector = Type::tensor(DType::kInt64, {Dim::known(static_cast<int64_t>(parts.size()))});
    return builder.split(value, from.axis, builder.concat(std::move(parts), 0, vector), types);
  }
  // The model axis is the last one.
  value = relayout(value, members, from, {from.axis, Fold::kStacked}, builder);
  for (Type& type : types) type.shape->push_back(Dim::known(1));
  std::vector<ValueId> parts =
      builder.split(value, from.axis, std::vector<int64_t>(members.size(), 1), types);
  for (ValueId& part : parts) part = builder.squeeze(part, {from.axis});
  return parts;
}

ValueId assemble(std::span<const ValueId> values, std::span<const Type> members, Placement to,
                 bool at_run_time, Builder& builder) {
  const auto rank = static_cast<int32_t>(members.front().rank());
  std::vector<ValueId> parts(values.begin(), values.end());
  if (to.axis < rank && (to.fold == Fold::kConcat || all_equal(members))) {
    const Placement concat{to.axis, Fold::kConcat};
    const ValueId joined =
        builder.concat(std::move(parts), to.axis, fused_type(members, concat), at_run_time);
    return relayout(joined, members, concat, to, builder);
  }
  for (ValueId& part : parts) part = builder.unsqueeze(part, {to.axis});
  const Placement stacked{to.axis, Fold::kStacked};
  const ValueId joined = builder.concat(std::move(parts), to.axis, fused_type(members, stacked), at_run_time);
  return relayout(joined, members, stacked, to, builder);
}

ValueId repeat(ValueId value, const Type& type, size_t count, Placement to, Builder& builder) {
  const std::vector<Type> members(count, type);
  const Placement stacked{to.axis, Fold::kStacked};
  const Extents extents = fused_extents(members, stacked);
  std::vector<int64_t> target(extents.size(), 1);  // 1 keeps a size
  target[static_cast<size_t>(to.axis)] = static_cast<int64_t>(count);
  const ValueId wide = builder.unsqueeze(value, {to.axis});
  const ValueId expanded =
      builder.node("Expand", {wide, builder.ints(std::move(target))}, {}, type_of(type.dtype, extents));
  return relayout(expanded, members, stacked, to, builder);
}

}  // namespace mts
