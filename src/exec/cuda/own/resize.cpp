// Resize and Upsample, as far as resize_plan.h goes.
#include "exec/cuda/kernels/resize.h"

#include "exec/cuda/own/families.h"
#include "exec/cuda/own/launch_kernel.h"
#include "exec/cuda/own/operands.h"
#include "exec/resize_plan.h"

namespace mts::exec::cuda {
namespace {

Result<const ResizeTap*> upload(OwnDevice& device, const std::vector<ResizePlan::Tap>& taps) {
  std::vector<ResizeTap> table;
  for (const ResizePlan::Tap& tap : taps)
    table.push_back({static_cast<int32_t>(tap.first), static_cast<int32_t>(tap.second), tap.weight});
  MTS_ASSIGN(const void* const copy, device.upload(std::as_bytes(std::span(table))));
  return static_cast<const ResizeTap*>(copy);
}

}  // namespace

bool accepts_resize(const ExecPlan& plan, const Step& step) {
  if (step.op != "Resize" && step.op != "Upsample") return false;
  return node_of(plan, step) != nullptr && all_fit(plan, step) && all_row_major(plan, step) &&
         float_type_of(plan.value(step.inputs[0]).dtype) && resize_plan_of(plan, step);
}

KernelResult make_resize(OwnDevice& device, const ExecPlan& plan, const Step& step) {
  const ResizePlan taps = *resize_plan_of(plan, step);
  const PlanValue& input = plan.value(step.inputs[0]);
  ResizeArgs args;
  args.type = *float_type_of(input.dtype);
  args.linear = taps.linear;
  args.planes = input.dims[0] * input.dims[1];
  args.height = static_cast<int32_t>(taps.height);
  args.width = static_cast<int32_t>(taps.width);
  args.rows = static_cast<int32_t>(taps.rows.size());
  args.columns = static_cast<int32_t>(taps.columns.size());
  MTS_ASSIGN(args.row_taps, upload(device, taps.rows));
  MTS_ASSIGN(args.column_taps, upload(device, taps.columns));
  return make_launch(device, launch_resize, args,
                     [from = step.inputs[0], to = step.outputs[0]](ResizeArgs& a, const Pointers& p) {
                       a.input = p[from];
                       a.output = p[to];
                     });
}

}  // namespace mts::exec::cuda
