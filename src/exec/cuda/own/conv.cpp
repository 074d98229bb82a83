// Conv and ConvTranspose in either layout: implicit GEMM for wide groups, direct kernels for the others.
#include "exec/cuda/kernels/conv.h"

#include "exec/cuda/own/epilogue.h"
#include "exec/cuda/own/families.h"
#include "exec/cuda/own/launch_kernel.h"
#include "exec/cuda/own/window.h"

namespace mts::exec::cuda {
namespace {

// Below, a thread's few channels read the input as often as the tiles of a product would, without their
// overhead.
constexpr int32_t kWideGroup = 16;
// Narrower ones would leave most of a tensor core's tile empty.
constexpr int32_t kTensorCoreGroup = 32;

struct Work {
  ConvArgs args;
  std::vector<ValueIndex> epilogue;
};

ImageStrides image_strides(const PlanValue& image, int64_t channels) {
  int64_t pixels = 1;
  for (size_t i = 2; i < image.dims.size(); ++i) pixels *= image.dims[i];
  const int64_t all = image.dims[1];
  if (image.layout == kChannelsLast) return {all * pixels, channels, 1, all};
  return {all * pixels, channels * pixels, pixels, 1};
}

std::optional<Work> work_of(const ExecPlan& plan, const Step& step) {
  if (!has_input(step, 0) || !has_input(step, 1) || step.outputs.size() != 1) return std::nullopt;
  const PlanValue &input = plan.value(step.inputs[0]), &weight = plan.value(step.inputs[1]),
                  &output = plan.value(step.outputs[0]);
  const auto type = float_type_of(output.dtype);
  if (!type || float_type_of(input.dtype) != type || float_type_of(weight.dtype) != type) return std::nullopt;
  if (input.dims.size() < 3 || input.dims.size() > 5) return std::nullopt;
  const auto window = window_of(*node_of(plan, step), input.dims, weight.dims);
  if (!window) return std::nullopt;
  Work work;
  ConvArgs& args = work.args;
  args.type = *type;
  args.batch = static_cast<int32_t>(input.dims[0]);
  args.groups = static_cast<int32_t>(window->groups);
  args.in_channels = static_cast<int32_t>(input.dims[1] / window->groups);
  args.out_channels = static_cast<int32_t>(output.dims[1] / window->groups);
  args.window = window_shape(*window, input.dims);
  args.in = image_strides(input, args.in_channels);
  args.out = image_strides(output, args.out_channels);
  const OutputView view{{output.dims[0]}, output.dims[1], element_count(std::span(output.dims).subspan(2))};
  std::optional<std::pair<ValueIndex, EpilogueOperand>> bias;
  if (has_input(step, 2)) {
    const auto bias_type = float_type_of(plan.value(step.inputs[2]).dtype);
    if (!bias_type) return std::nullopt;
    EpilogueOperand operand;
    operand.row = 1;
    operand.type = *bias_type;
    bias.emplace(step.inputs[2], operand);
  }
  std::optional<StepEpilogue> epilogue = epilogue_of(plan, step, view, bias);
  if (!epilogue) return std::nullopt;
  args.epilogue = epilogue->epilogue;
  work.epilogue = std::move(epilogue->values);
  return work;
}

}  // namespace

bool accepts_conv(const ExecPlan& plan, const Step& step) {
  if (step.op != "Conv" && step.op != "ConvTranspose") return false;
  return node_of(plan, step) != nullptr && all_fit(plan, step) && work_of(plan, step).has_value();
}

KernelResult make_conv(OwnDevice& device, const ExecPlan& plan, const Step& step) {
  std::optional<Work> work = work_of(plan, step);
  if (!work) return fail(ErrorCode::kInternal, "no convolution kernel for " + step.op);
  work->args.tensor_cores = work->args.out_channels >= kTensorCoreGroup &&
                            (work->args.type != FloatType::kFloat32 || device.allows_tf32());
  const auto launcher = step.op == "ConvTranspose"              ? launch_transposed_conv
                        : work->args.out_channels >= kWideGroup ? launch_implicit_gemm
                                                                : launch_direct_conv;
  return make_launch(device, launcher, work->args,
                     [x = step.inputs[0], w = step.inputs[1], y = step.outputs[0], epilogue = work->epilogue](
                         ConvArgs& args, const Pointers& p) {
                       args.input = p[x];
                       args.weights[0] = p[w];
                       args.output = p[y];
                       bind_epilogue(args.epilogue, epilogue, p);
                     });
}

}  // namespace mts::exec::cuda
