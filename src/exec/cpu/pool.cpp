// Pools with oneDNN.
#include "exec/cpu/dnnl.h"
#include "exec/cpu/parallel.h"
#include "exec/cpu/window.h"
#include "exec/geometry.h"

namespace mts::exec {

bool accepts_pool(const ExecPlan& plan, const Step& step) {
  const bool global = step.op == "GlobalAveragePool" || step.op == "GlobalMaxPool";
  if (!global && step.op != "MaxPool" && step.op != "AveragePool") return false;
  if (!is_float(plan, step) || step.outputs.size() != 1) return false;
  const PlanValue& input = plan.value(step.inputs[0]);
  if (input.dims.size() < 3 || input.dims.size() > 5 || is_empty(input.dims) ||
      is_empty(plan.value(step.outputs[0]).dims))
    return false;
  if (global) return true;
  const Node& node = plan.graph->node(step.node);
  const auto window = window_of(node, input.dims, {});
  if (!window) return false;
  const std::vector<int64_t> end = end_padding(*window, input.dims);
  for (size_t i = 0; i < end.size(); ++i) {
    // A window that sticks out beyond the padding divides by fewer elements than oneDNN would count.
    if (step.op == "AveragePool" && node.int_or("count_include_pad", 0) != 0 && end[i] > window->pads_end[i])
      return false;
    // Every window must hold an element.
    const int64_t reach = (window->kernel[i] - 1) * window->dilations[i] + 1;
    if (window->pads_begin[i] >= reach || end[i] >= reach) return false;
    if (window->dilations[i] != 1 && (window->pads_begin[i] > 0 || end[i] > 0)) return false;
  }
  return true;
}

KernelResult make_pool(Device& device, const ExecPlan& plan, const Step& step) {
  return guarded(plan, step, [&]() -> KernelResult {
    const PlanValue& input = plan.value(step.inputs[0]);
    const PlanValue& output = plan.value(step.outputs[0]);
    const bool is_max = step.op == "MaxPool" || step.op == "GlobalMaxPool";
    const Node& node = plan.graph->node(step.node);
    Window window;
    if (step.op.starts_with("Global")) {
      window.kernel.assign(input.dims.begin() + 2, input.dims.end());
      const size_t spatial = window.kernel.size();
      window.strides = window.dilations = window.output = std::vector<int64_t>(spatial, 1);
      window.pads_begin = window.pads_end = std::vector<int64_t>(spatial, 0);
    } else {
      MTS_ASSIGN(window, window_of(node, input.dims, {}));
    }
    const auto algorithm = is_max ? dnnl::algorithm::pooling_max
                           : node.int_or("count_include_pad", 0) != 0
                               ? dnnl::algorithm::pooling_avg_include_padding
                               : dnnl::algorithm::pooling_avg_exclude_padding;
    const int32_t layout = layout_between(input, output);
    const int64_t models = is_models_first(layout) ? layout : 1;
    // Models-first is channels-last of the models one after another in the batch.
    const auto seen = [&](Dims dims) {
      dims[0] *= models;
      dims[1] /= models;
      return desc_of(dims, models > 1 ? kChannelsLast : layout);
    };
    const dnnl::memory::desc source = seen(input.dims), target = seen(output.dims);
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const bool small = SmallWork::is_small(8 * element_count(input.dims));
    const SmallWork scope(small);
    const dnnl::pooling_forward::primitive_desc descriptor(
        device.engine, dnnl::prop_kind::forward_inference, algorithm, source, target, window.strides,
        window.kernel, minus_one(window.dilations), window.pads_begin, end_padding(window, input.dims),
        attributes);
    auto kernel = std::make_unique<DnnlKernel>(device, dnnl::pooling_forward(descriptor),
                                               descriptor.scratchpad_desc(), small);
    kernel->bind(DNNL_ARG_SRC, step.inputs[0], source);
    kernel->bind(DNNL_ARG_DST, step.outputs[0], target);
    return kernel;
  });
}

}  // namespace mts::exec
