// Layouts of the CUDA executor: row-major, and channels-last for images between convolutions.
//
// choose_layouts: in: a plan whose steps are fused, all values row-major. Out: PlanValue::layout set; Reorder
// steps where a consumer wants another layout than the producer wrote (one for all such consumers); epilogues
// that no library takes together with their step are split off; graph inputs and outputs stay row-major.
// Convolutions and products that libraries take set the layout, elementwise work, pools and concatenations
// keep what they get, the rest is row-major.
#pragma once

#include "exec/plan.h"

#include <cstdint>
#include <vector>

namespace mts::exec::cuda {

class Lowering;

inline constexpr int32_t kRowMajor = 0, kChannelsLast = 1;
inline constexpr uint64_t kPartAlignment = 16;  // what libraries load at once

// Both layouts are the same bytes: one channel, one pixel, or no spatial axes. Such values are marked
// row-major.
bool is_ambiguous(const Dims& dims);
// Element strides of the logical axes.
std::vector<int64_t> strides_of(const Dims& dims, int32_t layout);

void choose_layouts(const Lowering& lowering, ExecPlan& plan);

}  // namespace mts::exec::cuda
