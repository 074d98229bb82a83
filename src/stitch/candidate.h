// One way to stitch: models as they are given to the planner, and the plan. There may be two, with weights
// whole and with what is shared inside them split off; they are compared by bytes and predicted latency.
#pragma once

#include "plan/plan.h"
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
  uint64_t unique_bytes = 0;  // of float and quantised weights, each content once; no fills of zeros or ones
};

// `facts`: of infer_types, one a model.
std::unique_ptr<Candidate> make_candidate(std::vector<Model> models, const std::vector<ShapeFacts>& facts,
                                          const std::vector<SharedInput>& shared_inputs,
                                          const CostModel& cost, const StitchOptions& options);

std::vector<Model> copy_models(const std::vector<Model>& models);

}  // namespace mts
