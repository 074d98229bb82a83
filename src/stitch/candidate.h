// One way to stitch: models as they are given to the planner, and the plan. There may be two, with weights
// whole and with what is shared inside them split off; they are compared by bytes and predicted latency.
#pragma once

#include "plan/plan.h"
#include "plan/plan_json.h"
#include "stitch/symbolic_shapes.h"

#include <mts/model_io.h>
#include <mts/share.h>
#include <mts/stitch.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace mts {

struct Candidate {
  std::vector<Model> models;  // `program` refers to them
  SymbolicShapes shapes;
  Numbering numbering;
  Program program;
  Plan plan;
  std::string partial;        // partial::name_of the depth to which weights were split; empty: they are whole
  uint64_t unique_bytes = 0;  // of float and quantised weights, each content once; no fills of zeros or ones
};

// How a candidate is planned: by prices, or as `recorded` says (then it is not null).
struct Planner {
  const CostModel& cost;
  const RecordedPlan* recorded = nullptr;
};

// `facts`: of infer_types, one a model. Errors: those of choose_groups and replay.
Result<std::unique_ptr<Candidate>> make_candidate(std::vector<Model> models,
                                                  const std::vector<ShapeFacts>& facts,
                                                  const std::vector<SharedInput>& shared_inputs,
                                                  const Planner& planner, const StitchOptions& options);

}  // namespace mts
