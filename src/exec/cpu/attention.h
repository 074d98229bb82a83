// Attention tile by tile: k and v are packed for a head, then some rows of q at a time give their scores,
// whose elementwise work, Softmax and product with v are done while they are in the cache.
#pragma once

#include "exec/backend.h"

#include <memory>

namespace mts::exec {

// Whether the step of attention.h can run so, and is faster so (measured).
bool accepts_attention(const ExecPlan& plan, const Step& step);
Result<std::unique_ptr<Kernel>> make_attention(const ExecPlan& plan, const Step& step);

}  // namespace mts::exec
