// Changes of placement: the only place that emits them.
#pragma once

#include "rules/builder.h"
#include "rules/placement.h"

#include <span>

namespace mts {

// `value` holds the members in placement `from`; returns them in placement `to`. Free (one Reshape or
// nothing) when the memory orders agree, else one Transpose with Reshapes around it. Both placements must be
// placeable.
ValueId relayout(ValueId value, std::span<const Type> members, Placement from, Placement to,
                 Builder& builder);

// The members one by one, as one Split (with a Reshape or Squeezes where the model axis stands alone).
std::vector<ValueId> extract(ValueId value, std::span<const Type> members, Placement from, Builder& builder);

// The members put together, as one Concat (with a Reshape or Unsqueezes). Constants are put together offline,
// unless `at_run_time`: their content is also needed elsewhere.
ValueId assemble(std::span<const ValueId> values, std::span<const Type> members, Placement to,
                 bool at_run_time, Builder& builder);

// One value repeated for `count` members.
ValueId repeat(ValueId value, const Type& type, size_t count, Placement to, Builder& builder);

}  // namespace mts
