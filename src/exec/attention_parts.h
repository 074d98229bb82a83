// What the kernels of every backend read from a step of attention.h: its extents, and the work on the scores
// one instruction after another, with constant scalars folded into it.
#pragma once

#include "exec/attention.h"

#include <cstdint>
#include <vector>

namespace mts::exec {

struct AttentionExtents {
  Dims batch;
  int64_t rows = 0, columns = 0, depth = 0, width = 0;  // S, T, D, E
};
// Precondition: a step that fuse_attention made (strides[0..4] are there).
AttentionExtents extents_of(const Step& step);
Dims scores_dims(const Step& step);  // batch..., S, T

// One instruction on the scores.
struct ScoresWork {
  Instruction instruction;     // its registers are those of the step's program
  ValueIndex other = kAbsent;  // the other operand of a binary instruction
  bool scores_first = true;
  std::vector<int64_t> strides;  // of `other`, along the scores' axes
};
// In order. Arithmetic with a constant scalar behind it becomes kLinear. Precondition: every operand
// broadcasts to the scores.
std::vector<ScoresWork> scores_work(const ExecPlan& plan, const Step& step);

// Takes the factors that the work begins with away and returns their product.
float leading_factor(std::vector<ScoresWork>& work);

}  // namespace mts::exec
