// MaxPool (with indices in row-major order), AveragePool and LRN.
#include "exec/cuda/kernels/pool.h"

#include "exec/cuda/own/families.h"
#include "exec/cuda/own/launch_kernel.h"
#include "exec/cuda/own/operands.h"
#include "exec/cuda/own/window.h"

namespace mts::exec::cuda {
namespace {

std::optional<PoolArgs> args_of(const ExecPlan& plan, const Step& step) {
  const Node& node = *node_of(plan, step);
  const PlanValue& input = plan.value(step.inputs[0]);
  PoolArgs args;
  args.maximum = step.op == "MaxPool";
  args.count_padding = !args.maximum && node.int_or("count_include_pad", 0) != 0;
  const auto type = scalar_type_of(input.dtype);
  const bool known = type && (arithmetic_of(*type) != Arithmetic::kInteger ||
                              (args.maximum && (*type == ScalarType::kInt8 || *type == ScalarType::kUint8)));
  if (!known || input.dims.size() < 3 || input.dims.size() > 5 || step.outputs[0] == kAbsent)
    return std::nullopt;
  args.type = *type;
  const bool indices = step.outputs.size() > 1 && step.outputs[1] != kAbsent;
  if (indices && node.int_or("storage_order", 0) != 0) return std::nullopt;
  const auto window = window_of(node, input.dims, {});
  if (!window) return std::nullopt;
  args.window = window_shape(*window, input.dims);
  args.planes = input.dims[0] * input.dims[1];
  return args;
}

std::optional<LrnArgs> lrn_args(const ExecPlan& plan, const Step& step) {
  if (step.op != "LRN") return std::nullopt;
  const Node& node = *node_of(plan, step);
  const Dims& dims = plan.value(step.inputs[0]).dims;
  const auto type = common_float_type(plan, step);
  const int64_t size = node.int_or("size", 0);
  if (!type || dims.size() < 3 || size < 1 || size > std::numeric_limits<int32_t>::max()) return std::nullopt;
  LrnArgs args;
  args.type = *type;
  args.batch = dims[0];
  args.channels = static_cast<int32_t>(dims[1]);
  args.pixels = static_cast<int32_t>(element_count(std::span(dims).subspan(2)));
  args.size = static_cast<int32_t>(size);
  args.alpha = node.float_or("alpha", 1e-4f);
  args.beta = node.float_or("beta", 0.75f);
  args.bias = node.float_or("bias", 1.f);
  return args;
}

}  // namespace

bool accepts_pool(const ExecPlan& plan, const Step& step) {
  if (step.op == "LRN")
    return node_of(plan, step) != nullptr && all_fit(plan, step) && all_row_major(plan, step) &&
           lrn_args(plan, step).has_value();
  if (step.op != "MaxPool" && step.op != "AveragePool") return false;
  return node_of(plan, step) != nullptr && all_fit(plan, step) && all_row_major(plan, step) &&
         args_of(plan, step).has_value();
}

KernelResult make_pool(OwnDevice& device, const ExecPlan& plan, const Step& step) {
  if (const auto lrn = lrn_args(plan, step)) {
    return make_launch(device, launch_lrn, *lrn,
                       [input = step.inputs[0], output = step.outputs[0]](LrnArgs& a, const Pointers& p) {
                         a.input = p[input];
                         a.output = p[output];
                       });
  }
  return make_launch(device, launch_pool, *args_of(plan, step),
                     [input = step.inputs[0], outputs = step.outputs](PoolArgs& a, const Pointers& p) {
                       const bool indices = outputs.size() > 1 && outputs[1] != kAbsent;
                       a.input = p[input];
                       a.output = p[outputs[0]];
                       a.indices = indices ? reinterpret_cast<int64_t*>(p[outputs[1]]) : nullptr;
                     });
}

}  // namespace mts::exec::cuda
