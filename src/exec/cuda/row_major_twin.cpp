#include "exec/cuda/row_major_twin.h"

#include <algorithm>

namespace mts::exec::cuda {

RowMajorTwin row_major_twin(const ExecPlan& plan, const Step& step) {
  RowMajorTwin twin;
  twin.plan.graph = plan.graph;
  twin.plan.opset = plan.opset;
  const size_t rank = plan.value(step.outputs[0]).dims.size();
  const auto add = [&](ValueIndex original) {
    PlanValue value = plan.value(original);
    // Broadcast operands get ones in front, so that their channel axis is known; scalars stay as they are.
    if (element_count(value.dims) > 1 && value.dims.size() > 1) {
      value.dims.insert(value.dims.begin(), rank - value.dims.size(), 1);
      std::rotate(value.dims.begin() + 1, value.dims.begin() + 2, value.dims.end());
    } else if (element_count(value.dims) > 1) {
      // A vector along the last axis, which is now the last but one.
      value.dims.push_back(1);
    }
    value.layout = 0;
    value.root = -1;
    if (value.is_constant()) {
      twin.plan.constants.push_back(plan.constants[static_cast<size_t>(value.constant)]);
      value.constant = static_cast<int32_t>(twin.plan.constants.size() - 1);
    }
    twin.plan.values.push_back(std::move(value));
    twin.values.push_back(original);
    return static_cast<ValueIndex>(twin.plan.values.size() - 1);
  };
  Step copy = step;
  for (ValueIndex& input : copy.inputs) input = add(input);
  for (ValueIndex& output : copy.outputs) output = add(output);
  twin.plan.steps.push_back(std::move(copy));
  return twin;
}

}  // namespace mts::exec::cuda
