// Every own kernel against the reference evaluator, op by op, through the shim (see tests/exec/harness.h,
// whose cases these are).
#pragma once

#include "exec/plan.h"
#include "tests/exec/harness.h"

#include <mts/graph.h>
#include <mts/tensor.h>

#include <string>
#include <vector>

namespace mts::exec::cuda {

// In which numbers the shim works, and how near the reference that is (README).
struct ShimPrecision {
  DType held = DType::kFloat32;
  bool tf32 = false;
  double tolerance = 1e-4;
};
inline constexpr ShimPrecision kStrict{}, kTf32{DType::kFloat32, true, 5e-3},
    kFloat16{DType::kFloat16, false, 5e-3}, kBfloat16{DType::kBfloat16, false, 2e-2};

// The plan that the shim backend runs for these inputs.
ExecPlan shim_plan(const Model& model, const std::vector<Datum>& inputs,
                   const ShimPrecision& precision = kStrict);

// Runs a model on the reference evaluator and, twice, on the shim, and expects equal outputs.
void expect_same_on_shim(const Model& model, const std::vector<Datum>& inputs, const std::string& what,
                         const ShimPrecision& precision = kStrict);

// One node; `c.on_host` says whether it is expected to have no kernel.
void check_kernel(const Case& c, const ShimPrecision& precision = kStrict);

}  // namespace mts::exec::cuda
