// How Resize and Upsample read their input, for all backends: along the last two axes of an image (or the
// last of a signal), nearest or linear. Nothing for cubic, antialiasing, cropping, aspect policies, and
// scales that are not known: those run on the host.
#pragma once

#include "exec/plan.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace mts::exec {

struct ResizePlan {
  // Which two input positions make an output position, and how much of the second.
  struct Tap {
    int64_t first = 0, second = 0;
    float weight = 0.f;
  };
  int64_t height = 1, width = 1;   // of the input
  std::vector<Tap> rows, columns;  // one an output position
  bool linear = false;
};
std::optional<ResizePlan> resize_plan_of(const ExecPlan& plan, const Step& step);

}  // namespace mts::exec
