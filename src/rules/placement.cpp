#include "rules/placement.h"

#include <algorithm>

namespace mts {
namespace {

// A product of sizes in a normal form that can be compared.
struct Product {
  int64_t factor = 1;
  std::vector<std::string> symbols;
  bool operator==(const Product&) const = default;
};

Product prefix_product(const Extents& extents, size_t count) {
  Product product;
  for (size_t i = 0; i < count; ++i) {
    product.factor *= extents[i].factor;
    if (!extents[i].is_known()) product.symbols.push_back(extents[i].symbol);
  }
  std::ranges::sort(product.symbols);
  return product;
}

Extent times(const Extent& extent, int64_t factor) { return {extent.factor * factor, extent.symbol}; }

bool computable(const Dim& dim) { return dim.is_known() || (dim.is_symbolic() && dim.symbol.front() != '?'); }

// The size of the concatenation of the members along an axis.
Extent sum_of(std::span<const Type> members, size_t axis) {
  const Dim& first = (*members.front().shape)[axis];
  const bool equal =
      std::ranges::all_of(members, [&](const Type& t) { return (*t.shape)[axis].same_as(first); });
  if (equal) {
    const auto count = static_cast<int64_t>(members.size());
    return first.is_known() ? Extent{first.value * count, {}} : Extent{count, first.symbol};
  }
  int64_t known = 0;
  std::vector<std::string> symbols;
  for (const Type& member : members) {
    const Dim& dim = (*member.shape)[axis];
    if (dim.is_known()) {
      known += dim.value;
    } else {
      symbols.push_back(dim.symbol);
    }
  }
  if (symbols.empty()) return {known, {}};
  std::string sum = known > 0 ? std::to_string(known) : std::string();
  for (const std::string& symbol : symbols) sum += (sum.empty() ? "" : "+") + symbol;
  return {1, sum};
}

}  // namespace

std::string to_string(const Placement& placement) {
  const char* fold = placement.fold == Fold::kConcat    ? "concat"
                     : placement.fold == Fold::kStacked ? "stacked"
                                                        : "interleaved";
  return std::string(fold) + "(" + std::to_string(placement.axis) + ")";
}

Extents extents_of(const Type& type) {
  Extents extents;
  for (size_t i = 0; i < type.shape->size(); ++i) {
    const Dim& dim = (*type.shape)[i];
    if (dim.is_known()) {
      extents.push_back({dim.value, {}});
    } else {
      extents.push_back({1, dim.symbol.empty() ? "?" + std::to_string(i) : dim.symbol});
    }
  }
  return extents;
}

bool placeable(std::span<const Type> members, Placement placement) {
  const Type& first = members.front();
  if (!first.has_rank()) return false;
  const auto rank = static_cast<int32_t>(first.rank());
  const bool in_range = placement.fold == Fold::kStacked  ? placement.axis >= 0 && placement.axis <= rank
                        : placement.fold == Fold::kConcat ? placement.axis >= 0 && placement.axis < rank
                                                          : placement.axis >= 1 && placement.axis <= rank;
  if (!in_range) return false;
  const int32_t free_axis = placement.fold == Fold::kConcat ? placement.axis : -1;
  for (const Type& member : members) {
    if (!member.has_rank() || member.dtype != first.dtype || member.rank() != first.rank()) return false;
    for (int32_t axis = 0; axis < rank; ++axis) {
      const Dim& dim = (*member.shape)[static_cast<size_t>(axis)];
      const bool equal = dim.same_as((*first.shape)[static_cast<size_t>(axis)]);
      // Sizes that differ must be numbers or sizes of inputs, so that the members can be told apart again.
      if (!equal &&
          (axis != free_axis || !computable(dim) || !computable((*first.shape)[static_cast<size_t>(axis)])))
        return false;
      if (dim.is_known() && dim.value == 0) return false;  // Reshape's 0 means copy: empty tensors stay apart
    }
  }
  return true;
}

Extents fused_extents(std::span<const Type> members, Placement placement) {
  Extents extents = extents_of(members.front());
  const auto axis = static_cast<size_t>(placement.axis);
  const auto count = static_cast<int64_t>(members.size());
  switch (placement.fold) {
    case Fold::kConcat:
      extents[axis] = sum_of(members, axis);
      break;
    case Fold::kStacked:
      extents.insert(extents.begin() + placement.axis, Extent{count, {}});
      break;
    case Fold::kInterleaved:
      extents[axis - 1] = times(extents[axis - 1], count);
      break;
  }
  return extents;
}

Type type_of(DType dtype, const Extents& extents) {
  Shape shape;
  for (const Extent& extent : extents) {
    if (extent.is_known()) {
      shape.push_back(Dim::known(extent.factor));
    } else {
      shape.push_back(Dim::symbolic(
          extent.factor == 1 ? extent.symbol : std::to_string(extent.factor) + "*" + extent.symbol));
    }
  }
  return Type::tensor(dtype, std::move(shape));
}

Type fused_type(std::span<const Type> members, Placement placement) {
  return type_of(members.front().dtype, fused_extents(members, placement));
}

bool can_reshape(const Extents& from, const Extents& to) {
  size_t underived = 0;
  for (const Extent& size : to) {
    if (size.is_known()) continue;
    const bool derivable = std::ranges::any_of(from, [&](const Extent& source) {
      return source.symbol == size.symbol &&
             (size.factor % source.factor == 0 || source.factor % size.factor == 0);
    });
    if (!derivable) ++underived;
  }
  return underived <= 1;
}

bool same_prefix(const Extents& a, size_t a_count, const Extents& b, size_t b_count) {
  return prefix_product(a, a_count) == prefix_product(b, b_count);
}

Distance distance(std::span<const Type> members, Placement from, Placement to) {
  if (from == to) return Distance::kSame;
  const Extents shape = extents_of(members.front());
  // Memory orders agree when everything between the two positions of the model axis has size 1, and when the
  // members' sizes are equal (a ragged concatenation has no other form).
  const auto low = static_cast<size_t>(std::min(from.axis, to.axis));
  const auto high = static_cast<size_t>(std::max(from.axis, to.axis));
  for (size_t axis = low; axis < high; ++axis)
    if (shape[axis] != Extent{1, {}}) return Distance::kTranspose;
  return Distance::kReshape;
}

}  // namespace mts
