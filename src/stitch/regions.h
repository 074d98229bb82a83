// The plan in words: neighbouring columns that run alike, and what else they could have done.
//
// In: the columns of a plan made with PlanOptions::explain, and what they are called. Out: regions in the
// order of the columns, group by group; a region's prices are summed over its columns by strategy, and where
// a column does not allow one, what it does cost counts.
#pragma once

#include "plan/plan.h"
#include "plan/plan_json.h"

#include <mts/stitch.h>

#include <vector>

namespace mts {

std::vector<StitchReport::Region> regions_of(const std::vector<ColumnPlan>& columns,
                                             const std::vector<ColumnName>& names);

}  // namespace mts
