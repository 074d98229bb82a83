// Plans as JSON: what `mts stitch --save-plan` writes and `--plan` replays.
//
// A plan file says which decisions were taken, not what the models hold: it fits models of the same
// architecture and sharing, whatever their weights. Replaying asks no cost model and no device: the same
// models and flags give the same bytes on every machine. README.md of the plan folder's profiles describes
// device profiles; this is the format of plans:
//   schema_version 1; target, strategy, objective, share_inputs, independent_dims: the flags it was made
//   with; partial: how far weights were split below the tensor; groups: names of models; predicted:
//   nanoseconds and bytes; columns: per set of corresponding nodes, in the order of the groups, its operator,
//   strategy, why it is apart, and its lanes: members (places in the set) and, where they run as one, how.
// What follows explains and is not replayed. Plans made with PlanOptions::explain: per column its group, the
// first of its nodes, and its alternatives: strategy, nanoseconds predicted and, where layers were measured,
// measured; predicted.peak_bytes and floor_ns. Tuned plans: measured, the plans that were measured as a
// whole, the one that was chosen as the last.
#pragma once

#include "plan/plan.h"

#include <mts/error.h>

#include <string>
#include <string_view>
#include <vector>

namespace mts {

// The flags of a stitching that a plan depends on.
struct PlanFlags {
  std::string target;  // name of the device profile
  StitchOptions::Strategy strategy = StitchOptions::Strategy::kAuto;
  StitchOptions::Objective objective = StitchOptions::Objective::kBytes;
  std::vector<std::string> share_inputs;
  bool independent_dims = false;
  std::string
      partial;  // how far weights were split below the tensor: see partial::name_of; empty: not at all
};

// How a column is explained.
struct ColumnName {
  std::string node;  // "model:node" of its first one
  size_t group = 0;
};
std::vector<ColumnName> column_names(const Program& program, const Plan& plan);

struct RecordedPlan {
  PlanFlags flags;
  std::vector<std::vector<std::string>> groups;  // names of models
  std::vector<std::string> operators;            // [column]
  std::vector<ColumnName> names;                 // [column]; empty where the plan is not explained
  Plan plan;  // without groups and order; of the predicted memory only the peak, as activations
};

// `program`: divided into the plan's groups.
std::string to_json(const Program& program, const Plan& plan, const PlanFlags& flags);
// kUsage, with file and field, when it is malformed.
Result<RecordedPlan> parse_plan(std::string_view json, const std::string& file);

// The groups as models of `program`; kUsage when the models are not those of the plan.
Result<Groups> recorded_groups(const RecordedPlan& recorded, const Program& program, const std::string& file);
// The recorded plan for `program`, divided into those groups: every lane is proposed anew by its operator's
// rule. kUsage, naming the set of nodes, when the plan does not fit.
Result<Plan> replay(const RecordedPlan& recorded, const Program& program, const Groups& groups,
                    const std::string& file);

}  // namespace mts
