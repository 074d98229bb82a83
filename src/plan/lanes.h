// The choices of one column: how its members are divided into lanes, and how each lane runs.
#pragma once

#include "plan/plan.h"

#include <functional>
#include <optional>
#include <set>
#include <span>
#include <vector>

namespace mts {

struct Choice {
  std::vector<LanePlan> lanes;
  Strategy strategy = Strategy::kApart;
  Nanoseconds cost = 0;           // of the nodes, without changes of placement
  std::vector<uint32_t> lane_of;  // the lane of each member
};

// Priced; `lanes` hold every member of the column.
Choice make_choice(const Program& program, const Column& column, const CostModel& cost,
                   std::vector<LanePlan> lanes, Strategy strategy);
std::vector<uint32_t> everyone(const Column& column);                  // its members
std::vector<LanePlan> apart_lanes(std::span<const uint32_t> members);  // each by itself

struct ColumnChoices {
  std::vector<Choice> choices;  // the last one is: every member apart
  std::string refusal;          // why all members do not run as one
};

// Which constants may be stored as a part of a bigger weight: those that no other place reads.
class WeightUse {
 public:
  WeightUse(const Program& program, bool allow_duplicates);
  // Whether the constants of an operand position can be concatenated without storing any content twice.
  bool may_concatenate(std::span<const Number> numbers) const;

 private:
  const Program& program_;
  bool allow_duplicates_;
};

// Placements in which a number may be had without a transposition, as far as is known when its column is
// reached.
using Candidates = std::function<std::span<const Placement>(Number)>;

// The ways in which some members of a column can run as one. `candidates`: the placements at hand of an
// operand that is not constant. With `distinct_weights`: see make_lane().
Proposal propose_lane(const Program& program, const Column& column, std::span<const uint32_t> members,
                      const WeightUse& weights, bool distinct_weights,
                      const std::function<std::vector<Placement>(size_t operand)>& candidates);

// What the rules have answered for members of one column. The same column is looked at by several searches.
struct KnownProposals {
  struct Known {
    std::vector<uint32_t> members;
    std::vector<std::vector<Placement>> candidates;  // by operand
    Proposal proposal;
  };
  std::vector<Known> all;
};

// `known`: of this column, these weights and this strategy as far as it is netfuse or not; grows.
ColumnChoices enumerate_choices(const Program& program, const Column& column, const CostModel& cost,
                                const PlanOptions& options, const WeightUse& weights,
                                const Candidates& candidates, KnownProposals& known);

}  // namespace mts
