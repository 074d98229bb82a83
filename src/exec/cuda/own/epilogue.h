// Epilogues of steps as kernels take them (kernels/epilogue.h).
#pragma once

#include "exec/backend.h"
#include "exec/cuda/kernels/epilogue.h"
#include "exec/cuda/own/operands.h"

#include <array>
#include <optional>
#include <vector>

namespace mts::exec::cuda {

// The output of a product as the kernel counts it: how many axes of the value are outer (batch), rows and
// columns, in this order; each part is walked as one (rows, columns) or as up to kMaxOuter axes (outer).
struct OutputView {
  std::vector<int64_t> outer;  // extents
  int64_t rows = 0, columns = 0;
};

// Strides of an operand by the axes of the view, for a value of `dims` that is broadcast to the output of
// `output_dims`, which the view splits at its axes. Nothing when the operand's memory cannot be walked so.
std::optional<EpilogueOperand> epilogue_operand(const PlanValue& operand,
                                                std::span<const int64_t> output_dims, const OutputView& view);

// The step's epilogue; its operand k is `values[k]`, to be filled in at launch. `bias`, if given, is added
// first.
struct StepEpilogue {
  Epilogue epilogue;
  std::vector<ValueIndex> values;
};
std::optional<StepEpilogue> epilogue_of(const ExecPlan& plan, const Step& step, const OutputView& view,
                                        const std::optional<std::pair<ValueIndex, EpilogueOperand>>& bias);

inline void bind_epilogue(Epilogue& epilogue, const std::vector<ValueIndex>& values,
                          const Pointers& pointers) {
  for (size_t k = 0; k < values.size(); ++k) epilogue.operands[k].data = pointers[values[k]];
}

}  // namespace mts::exec::cuda
