// The decision, apart from the mutation: for every column, which members run as one and how. Plain data.
#pragma once

#include "plan/cost.h"
#include "plan/grouping.h"
#include "plan/program.h"
#include "rules/rule.h"

#include <mts/stitch.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace mts {

struct LanePlan {
  std::vector<uint32_t> members;  // of the column, ascending
  Option option;                  // meaningless for a single member
  bool fused() const { return members.size() > 1; }
};

// What the nodes of a column would cost by a strategy at its best, changes of placement not counted.
struct Alternative {
  Strategy strategy = Strategy::kApart;
  Nanoseconds cost = 0;                 // predicted
  std::optional<Nanoseconds> measured;  // as layers by themselves, where there are figures of all lanes
};

// A plan that was measured as a whole.
struct MeasuredPlan {
  std::string name;
  Nanoseconds measured = 0;
  Nanoseconds predicted = 0;  // by the device profile
  Nanoseconds by_layers = 0;  // with measured prices of layers
};

struct ColumnPlan {
  std::vector<LanePlan> lanes;
  std::vector<Alternative> alternatives;  // with PlanOptions::explain: by strategy, the chosen one among them
  Strategy strategy = Strategy::kApart;
  std::string refusal;  // why a column of several members is (partly) apart; empty when it is not
};

struct PredictedMemory {  // bytes
  double constants = 0;
  double activations = 0;  // the most that are held at one time
  double peak() const { return constants + activations; }
};

struct LaneRef {
  uint32_t column = 0, lane = 0;
  bool operator==(const LaneRef&) const = default;
};

struct Plan {
  std::vector<ColumnPlan> columns;
  std::vector<LaneRef> order;  // in which the lanes run: every lane once, each after what it reads
  Groups groups;
  Nanoseconds predicted = 0;
  Nanoseconds predicted_grouped = 0;     // of it what runs as one with a weight a member
  Nanoseconds predicted_apart = 0;       // every member by itself
  Nanoseconds predicted_sequential = 0;  // every node of every model by itself
  PredictedMemory predicted_memory;
  Nanoseconds floor = 0;               // see roofline_floor
  std::vector<MeasuredPlan> measured;  // when it was chosen by measuring: the candidates, itself as the last
};

enum class Force : uint8_t { kNone, kApart, kStitched };

struct PlanOptions {
  StitchOptions::Strategy strategy = StitchOptions::Strategy::kAuto;
  bool allow_duplicates = false;   // weights may be stored more than once
  bool explain = false;            // price the alternatives
  std::vector<Force> forced = {};  // by Column::id: what is not left to prices; empty: nothing
  Groups groups = {};              // of the program (in_groups); empty: all models are one
};

Plan make_plan(const Program& program, const CostModel& cost, const PlanOptions& options);

// What a plan for the program would take by another cost model.
Nanoseconds predicted_time(const Program& program, const CostModel& cost,
                           const std::vector<ColumnPlan>& plan);

// The lane of some members of a column as the rules see it. With `distinct_weights` every floating-point or
// quantised weight counts as distinct, also where it is shared (netfuse).
Lane make_lane(const Program& program, const Column& column, std::span<const uint32_t> members,
               bool distinct_weights);

}  // namespace mts
