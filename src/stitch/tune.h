// Chooses a plan by measuring candidates on the device.
//
// In: an undivided program, the cost model that proposes, and a Tuner that measures. Out: the divided program
// and its plan. First the layers one by one (measure_layers): the cost model proposes once more with what
// they took. Then whole plans: what is predicted best, by either, everything stitched, what pays stitched,
// and everything apart, each in groups of 1, 2, 4, ... models; then the best of them part by part: a part of
// the columns apart that was stitched, and the other way round. Candidates are measured a few at a time
// beside the best one so far, so that a device that slows down slows down both; what the budget leaves no
// time for is not proposed. Every candidate keeps contract 3 and the memory budget. Results are cached on
// disk by device and by what the planner sees of the models.
#pragma once

#include "plan/plan.h"
#include "plan/plan_json.h"

#include <mts/error.h>
#include <mts/stitch.h>

#include <functional>
#include <string>

namespace mts {

struct Tuned {
  Program program;
  Plan plan;  // with what was measured, explained
};
// The fused model of a program and its plan.
using BuildModel = std::function<Result<Model>(const Program&, const Plan&)>;

Result<Tuned> tune(const Program& program, const CostModel& cost, const StitchOptions& options,
                   const PlanFlags& flags, const BuildModel& build);

}  // namespace mts
