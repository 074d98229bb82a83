// Into which groups the models are divided.
//
// In: a program over all models, the cost model, and what is asked for. Out: groups to be run one after
// another, each stitched within itself: those of the least predicted latency, or what the options ask for.
// Models are ordered by similarity, and the order is cut by dynamic programming; a piece costs what its own
// plan is predicted to take, and pieces of equal signature are planned once. Deterministic; the number of
// plans is bounded. Errors: kUsage for more groups than models; kCheckFailed for budgets that no division
// keeps, with the least that would do.
#pragma once

#include "plan/grouping.h"
#include "plan/plan.h"

#include <mts/error.h>
#include <mts/stitch.h>

#include <cstdint>
#include <optional>

namespace mts {

struct GroupSearchOptions {
  PlanOptions plan = {};
  const Plan* whole = nullptr;           // that of all models in one group, where there is one already
  int64_t groups = 0;                    // how many; 0: as many as are fastest
  std::optional<double> memory_budget;   // bytes, for constants and activations: the least latency within it
  double held = 0;                       // bytes of it that values needed by several groups take
  std::optional<double> latency_budget;  // nanoseconds: the least memory within it
};

Result<Groups> choose_groups(const Program& program, const CostModel& cost,
                             const GroupSearchOptions& options);

}  // namespace mts
