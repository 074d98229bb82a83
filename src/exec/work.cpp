#include "exec/work.h"

#include "exec/product.h"

#include <algorithm>
#include <set>
#include <utility>

namespace mts::exec {
namespace {

double count(const ExecPlan& plan, ValueIndex v) {
  if (v == kAbsent || !plan.value(v).is_static) return 0;
  return static_cast<double>(element_count(plan.value(v).dims));
}

double flops_of(const ExecPlan& plan, const Step& step) {
  double made = 0;
  for (ValueIndex output : step.outputs) made += count(plan, output);
  const double instructions = static_cast<double>(step.program.code.size());
  const auto of_weight = [&](size_t i) {  // [filters, ...]: elements a filter
    const double filters = static_cast<double>(plan.value(step.inputs[i]).dims[0]);
    return count(plan, step.inputs[i]) / std::max(1.0, filters);
  };
  const bool has_two = step.inputs.size() > 1 && step.inputs[0] != kAbsent && step.inputs[1] != kAbsent &&
                       !plan.value(step.inputs[1]).dims.empty();
  if (step.op == "Conv" && has_two) return made * (2 * of_weight(1) + instructions);
  if (step.op == "ConvTranspose" && has_two)
    return 2 * count(plan, step.inputs[0]) * of_weight(1) + made * instructions;
  if ((step.op == "MatMul" || step.op == "Gemm" || step.op == "MatMulInteger") && has_two)
    return made * (2 * static_cast<double>(product_of(plan, step).a.back()) + instructions);
  if ((step.op == "LSTM" || step.op == "GRU") && step.inputs.size() > 2) {
    const Dims& x = plan.value(step.inputs[0]).dims;
    return 2 * static_cast<double>(x[0] * x[1]) * (count(plan, step.inputs[1]) + count(plan, step.inputs[2]));
  }
  static constexpr std::string_view kCopies[] = {"Concat",         "DepthToSpace", "Expand", "Gather",
                                                 "GatherElements", "GatherND",     "Pad",    "Slice",
                                                 "SpaceToDepth",   "Split",        "Tile",   "Transpose"};
  if (step.kind == StepKind::kReorder || std::ranges::find(kCopies, step.op) != std::end(kCopies)) return 0;
  return made * std::max(1.0, instructions);
}

}  // namespace

std::vector<StepWork> work_of(const ExecPlan& plan) {
  std::vector<StepWork> result(plan.steps.size());
  std::set<std::pair<int32_t, uint64_t>> in_hand;  // constants and inputs that were read
  const std::set<ValueIndex> outputs(plan.outputs.begin(), plan.outputs.end());
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    const Step& step = plan.steps[i];
    if (step.kind == StepKind::kView) continue;
    StepWork& work = result[i];
    bool is_static = true, has_type = false;
    double made = 0;
    for (ValueIndex v : step.outputs) {
      if (v == kAbsent) continue;
      const PlanValue& value = plan.value(v);
      is_static = is_static && value.is_static;
      if (!value.is_static) continue;
      const auto bytes = static_cast<double>(value.bytes);
      made += bytes;
      work.bytes += bytes;
      if (outputs.contains(v) || (value.root >= 0 && plan.root_of(v).storage == Storage::kOutput))
        work.outer_bytes += bytes;
    }
    std::set<ValueIndex> seen;
    for (ValueIndex v : step.inputs) {
      if (v == kAbsent) continue;
      const PlanValue& value = plan.value(v);
      is_static = is_static && value.is_static;
      if (!value.is_static || !seen.insert(v).second) continue;
      if (!has_type || (!is_float(work.dtype) && is_float(value.dtype))) work.dtype = value.dtype;
      has_type = true;
      // A table is not read as a whole.
      const bool is_table = step.op.starts_with("Gather") && v == step.inputs[0];
      const double bytes =
          is_table ? std::min(made, static_cast<double>(value.bytes)) : static_cast<double>(value.bytes);
      work.bytes += bytes;
      if (value.root < 0) continue;
      const Storage storage = plan.root_of(v).storage;
      const bool is_outer = storage == Storage::kConstant || storage == Storage::kInput;
      if (is_outer && in_hand.insert({value.root, value.offset}).second) work.outer_bytes += bytes;
    }
    if (is_static) work.flops = flops_of(plan, step);
  }
  return result;
}

}  // namespace mts::exec
