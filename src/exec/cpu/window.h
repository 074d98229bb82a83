// What convolutions and pools share: their window as oneDNN's primitives want it.
#pragma once

#include "exec/geometry.h"
#include "exec/plan.h"

#include <cstdint>
#include <vector>

namespace mts::exec {

// All values of the step.
bool is_float(const ExecPlan& plan, const Step& step);
bool is_empty(const Dims& dims);

// Dilations as the primitives count them: from 0.
std::vector<int64_t> minus_one(std::vector<int64_t> values);
// The end padding that makes the primitive's formula give the output that ONNX wants, for an input of these
// dims.
std::vector<int64_t> end_padding(const Window& window, const Dims& input);

}  // namespace mts::exec
