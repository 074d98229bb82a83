// What the nodes of a lane cost, without changes of placement: their work by the cost model, where they run
// inside other steps, and what was measured of their layers.
#pragma once

#include "plan/cost.h"
#include "plan/plan.h"

#include <optional>

namespace mts {

// Of all members together; what they share is read once.
Work work_of(const Column& column, const LanePlan& lane);

// Whether the node runs inside the step that feeds it, on devices that do so: it is elementwise, and the only
// reader of what another node makes.
bool runs_inside_producer(const Program& program, const Member& member, const CostModel& cost);

// What one member costs by itself.
Nanoseconds member_cost(const Program& program, const Member& member, const CostModel& cost);

// What a lane's nodes cost: as measured where the cost model has figures of them, else as predicted.
Nanoseconds lane_cost(const Program& program, const Column& column, const CostModel& cost,
                      const LanePlan& lane);
// As measured alone, on the absolute scale; nothing where there are no figures.
std::optional<Nanoseconds> measured_cost(const Program& program, const Column& column, const CostModel& cost,
                                         const LanePlan& lane);

}  // namespace mts
