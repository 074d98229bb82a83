// Who makes each value of a plan, and who reads it.
#pragma once

#include "exec/plan.h"

#include <cstdint>
#include <vector>

namespace mts::exec {

struct Uses {                     // by ValueIndex
  std::vector<int32_t> producer;  // step; -1: none
  std::vector<std::vector<int32_t>>
      readers;  // steps, once for each input or capture; -1: an output of the plan
};

Uses uses_of(const ExecPlan& plan);

}  // namespace mts::exec
