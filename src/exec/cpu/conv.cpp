// Conv and ConvTranspose with oneDNN.
//
// Convolutions whose output is models-first run model by model, each on dense channels-last images: oneDNN's
// convolutions take no other strides (they fall back to plain loops), and one launch more costs a third of a
// microsecond, less than a copy of the images. Likewise the parts of a channel Concat (concat_parts.h): a
// launch each, that adds to the one before.
#include "exec/cpu/dnnl.h"
#include "exec/cpu/parallel.h"
#include "exec/cpu/window.h"
#include "exec/geometry.h"

#include <algorithm>
#include <string_view>

#include <omp.h>

namespace mts::exec {
namespace {

using dnnl::memory;

// The bias as the primitive takes it: a vector, absent when the node has none.
ValueIndex bias_of(const Step& step) { return step.node_inputs > 2 ? step.inputs[2] : kAbsent; }

// What the node reads as one image: the values, and the dims of the whole.
std::vector<ValueIndex> image_parts(const Step& step) {
  std::vector<ValueIndex> parts = {step.inputs[0]};
  parts.insert(parts.end(), step.inputs.end() - (step.parts - 1), step.inputs.end());
  return parts;
}
Dims image_dims(const ExecPlan& plan, const Step& step) {
  Dims dims = plan.value(step.inputs[0]).dims;
  for (auto part = step.inputs.end() - (step.parts - 1); part != step.inputs.end(); ++part)
    dims[1] += plan.value(*part).dims[1];
  return dims;
}

struct ConvShapes {
  Window window;
  Dims weight;                          // [G,] O, I, k... as oneDNN wants them
  std::vector<int64_t> weight_strides;  // over the model's bytes
};

// What one of `models` launches does. Precondition for more than one: see takes_models_first.
Result<ConvShapes> conv_shapes(const ExecPlan& plan, const Step& step, int64_t models) {
  const Dims& weight = plan.value(step.inputs[1]).dims;
  ConvShapes shapes;
  MTS_ASSIGN(shapes.window, window_of(plan.graph->node(step.node), image_dims(plan, step), weight));
  shapes.window.groups = std::max<int64_t>(1, shapes.window.groups / models);
  const int64_t groups = shapes.window.groups, outer = weight[0] / models;
  const std::vector<int64_t> strides = row_major_strides(weight);
  Dims dims = weight;
  std::vector<int64_t> lie = strides;
  if (shapes.window.transposed) {
    // ONNX: [I, O/g, k...]; oneDNN: [g, O/g, I/g, k...].
    dims[0] = weight[1];
    dims[1] = outer / groups;
    std::swap(lie[0], lie[1]);
  } else {
    dims[0] = outer / groups;
  }
  if (groups > 1) {
    const int64_t per_group = outer / groups * strides[0];
    dims.insert(dims.begin(), groups);
    lie.insert(lie.begin(), per_group);
  }
  shapes.weight = std::move(dims);
  shapes.weight_strides = std::move(lie);
  return shapes;
}

int64_t groups_of(const ExecPlan& plan, const Step& step) {
  return plan.graph->node(step.node).int_or("group", 1);
}

// Multiplications and additions.
int64_t operations(const ExecPlan& plan, const Step& step) {
  const Dims& weight = plan.value(step.inputs[1]).dims;
  const bool transposed = step.op == "ConvTranspose";
  const Dims& pixels = plan.value(transposed ? step.inputs[0] : step.outputs[0]).dims;
  return 2 * element_count(pixels) * element_count(std::span(weight).subspan(1));
}

struct Prepared {
  dnnl::primitive primitive;
  memory::desc source, weight, bias, output, scratchpad;
  std::string implementation;
};

// Of oneDNN 3.2's kernels for AVX-512 the one that it asks last is the faster one for few channels: by 5 to
// 30 % for up to 64 (measured on Zen 4, 3x3); both are as fast for more.
bool prefers_direct(const ConvShapes& shapes, const Dims& input, const Dims& output, int64_t work) {
  constexpr int64_t kFew = 64, kMuch = 40'000'000;
  const int64_t groups = shapes.window.groups;
  return !shapes.window.transposed && input[1] / groups <= kFew && output[1] / groups <= kFew &&
         element_count(shapes.window.kernel) > 1 && work < kMuch;
}

// The direct kernel where oneDNN would take another one and has it, too; `make` asks oneDNN.
template <class Make>
auto choose_direct(const Make& make) {
  auto first = make();
  if (!std::string_view(first.impl_info_str()).starts_with("brgconv:avx512")) return first;
  auto other = make();
  while (other.next_impl()) {
    if (std::string_view(other.impl_info_str()) == "jit:avx512_core") return other;
  }
  return first;
}

template <class Primitive, class Algorithm>
Prepared describe(Device& device, Algorithm algorithm, const ConvShapes& shapes, const Epilogue& epilogue,
                  const memory::desc& source, const memory::desc& weight, const memory::desc& bias,
                  const memory::desc& output, const Dims& input, bool direct) {
  const Window& w = shapes.window;
  const auto make = [&] {
    return typename Primitive::primitive_desc(device.engine, dnnl::prop_kind::forward_inference, algorithm,
                                              source, weight, bias, output, w.strides, minus_one(w.dilations),
                                              w.pads_begin, end_padding(w, input), epilogue.attributes);
  };
  const auto descriptor = direct ? choose_direct(make) : make();
  return {Primitive(descriptor),     descriptor.src_desc(), descriptor.weights_desc(),
          descriptor.bias_desc(),    descriptor.dst_desc(), descriptor.scratchpad_desc(),
          descriptor.impl_info_str()};
}

// `input`, `output`: dims of what one launch works on, in `layout`.
Prepared describe(Device& device, const ExecPlan& plan, const Step& step, const ConvShapes& shapes,
                  const Epilogue& epilogue, const Dims& input, const Dims& output, int32_t layout,
                  bool with_bias = true) {
  const memory::desc weight =
      plan.value(step.inputs[1]).is_constant()
          ? memory::desc(shapes.weight, memory::data_type::f32, memory::format_tag::any)
          : memory::desc(shapes.weight, memory::data_type::f32, shapes.weight_strides);
  const memory::desc bias = !with_bias || bias_of(step) == kAbsent ? memory::desc() : plain({output[1]});
  const memory::desc source = desc_of(input, layout), target = desc_of(output, layout);
  if (shapes.window.transposed) {
    return describe<dnnl::deconvolution_forward>(device, dnnl::algorithm::deconvolution_direct, shapes,
                                                 epilogue, source, weight, bias, target, input, false);
  }
  const bool direct = layout == kChannelsLast && plan.value(step.inputs[1]).is_constant() &&
                      prefers_direct(shapes, input, output, operations(plan, step));
  return describe<dnnl::convolution_forward>(device, dnnl::algorithm::convolution_direct, shapes, epilogue,
                                             source, weight, bias, target, input, direct);
}

uint64_t float_bytes(const memory::dims& dims) { return byte_size(DType::kFloat32, element_count(dims)); }

}  // namespace

bool accepts_conv(const ExecPlan& plan, const Step& step) {
  if (step.op != "Conv" && step.op != "ConvTranspose") return false;
  if (!is_float(plan, step) || step.outputs.size() != 1) return false;
  const PlanValue& input = plan.value(step.inputs[0]);
  if (input.dims.size() < 3 || input.dims.size() > 5 || is_empty(input.dims) ||
      is_empty(plan.value(step.outputs[0]).dims))
    return false;
  return conv_shapes(plan, step, 1).has_value();
}

bool takes_models_first(const ExecPlan& plan, const Step& step, int32_t layout) {
  const PlanValue &input = plan.value(step.inputs[0]), &output = plan.value(step.outputs[0]);
  if (step.op != "Conv" || output.dims[1] % layout != 0) return false;
  const int64_t groups = groups_of(plan, step);
  // Dense: the models share the input, and each has filters of its own.
  return groups == 1 ? !is_ambiguous(output.dims, layout)
                     : groups % layout == 0 && input.dims[1] % layout == 0;
}

int32_t preferred_conv_layout(Device& device, const ExecPlan& plan, const Step& step) {
  const auto shapes = conv_shapes(plan, step, 1);
  if (!shapes) return kRowMajor;
  const SmallWork scope(SmallWork::is_small(operations(plan, step)));
  try {
    const Dims input = image_dims(plan, step), &output = plan.value(step.outputs[0]).dims;
    const Epilogue epilogue = epilogue_of(plan, step, output, kChannelsLast, 1);
    const Prepared prepared = describe(device, plan, step, *shapes, epilogue, input, output, kChannelsLast);
    return prepared.implementation.starts_with("ref") ? kRowMajor : kChannelsLast;
  } catch (const dnnl::error&) {
    return kRowMajor;
  }
}

// ---- the launches of a step

namespace {

// How a step runs: for each of `models`, one launch a part of the image, each adding to the one before.
struct Launches {
  int64_t models = 1;
  bool one_source = false;  // the models read one image
  int32_t layout = kRowMajor;
  Dims output;                     // of a model
  std::vector<Dims> inputs;        // of a model, a part each
  std::vector<ConvShapes> shapes;  // a part each
  std::vector<uint64_t> weights;   // where a part's columns begin in a model's weights, in bytes
};

// `channels`: of the parts, a model.
Result<Launches> launches_of(const ExecPlan& plan, const Step& step, int32_t layout,
                             const std::vector<int64_t>& channels) {
  Launches run;
  run.models = is_models_first(layout) ? layout : 1;
  run.one_source = groups_of(plan, step) == 1;
  run.layout = run.models > 1 ? kChannelsLast : layout;
  run.output = plan.value(step.outputs[0]).dims;
  run.output[1] /= run.models;
  MTS_ASSIGN(const ConvShapes whole, conv_shapes(plan, step, run.models));
  int64_t first = 0;
  for (int64_t part : channels) {
    Dims input = plan.value(step.inputs[0]).dims;
    input[1] = part;
    run.inputs.push_back(std::move(input));
    run.shapes.push_back(whole);
    run.weights.push_back(0);
    if (channels.size() == 1) break;
    run.shapes.back().weight[1] = part;  // [O, I, k...]: one group
    run.weights.back() = static_cast<uint64_t>(first * whole.weight_strides[1]) * sizeof(float);
    first += part;
  }
  return run;
}

Result<Launches> launches_of(const ExecPlan& plan, const Step& step) {
  const int32_t layout = layout_between(plan.value(step.inputs[0]), plan.value(step.outputs[0]));
  const int64_t shares = is_models_first(layout) && groups_of(plan, step) > 1 ? layout : 1;
  std::vector<int64_t> channels;
  for (ValueIndex part : image_parts(step)) channels.push_back(plan.value(part).dims[1] / shares);
  return launches_of(plan, step, layout, channels);
}

// A primitive a part: the first has the bias, the last the epilogue.
struct PreparedParts {
  std::vector<Prepared> parts;
  Epilogue epilogue;
};

PreparedParts prepare_parts(Device& device, const ExecPlan& plan, const Step& step, const Launches& run) {
  PreparedParts result;
  for (size_t i = 0; i < run.inputs.size(); ++i) {
    const bool is_last = i + 1 == run.inputs.size();
    const Epilogue epilogue = is_last ? epilogue_of(plan, step, run.output, run.layout, 1, run.models, i > 0)
                                      : plain_sum(i > 0 || adds_in_place(plan, step));
    result.parts.push_back(
        describe(device, plan, step, run.shapes[i], epilogue, run.inputs[i], run.output, run.layout, i == 0));
    if (is_last) result.epilogue = epilogue;
  }
  return result;
}

}  // namespace

bool convolves_parts(Device& device, const ExecPlan& plan, const Step& step,
                     const std::vector<int64_t>& channels) {
  const auto models = static_cast<int32_t>(groups_of(plan, step));
  const auto run = launches_of(plan, step, models > 1 ? models : kChannelsLast, channels);
  if (!run) return false;
  const SmallWork scope(SmallWork::is_small(operations(plan, step)));
  try {
    const PreparedParts prepared = prepare_parts(device, plan, step, *run);
    return std::none_of(prepared.parts.begin(), prepared.parts.end(),
                        [](const Prepared& part) { return part.implementation.starts_with("ref"); });
  } catch (const dnnl::error&) {
    return false;
  }
}

KernelResult make_conv(Device& device, const ExecPlan& plan, const Step& step) {
  return guarded(plan, step, [&]() -> KernelResult {
    MTS_ASSIGN(const Launches run, launches_of(plan, step));
    const int64_t work = operations(plan, step);
    const int threads = omp_get_max_threads();
    const bool side_by_side = threads > 1 && run.models >= threads && !SmallWork::is_small(work);
    const bool small = side_by_side || SmallWork::is_small(work / run.models);
    const SmallWork scope(small);
    const PreparedParts prepared = prepare_parts(device, plan, step, run);
    const std::vector<ValueIndex> parts = image_parts(step);
    const bool is_constant = plan.value(step.inputs[1]).is_constant();
    const auto a_model = static_cast<uint64_t>(
        byte_size(DType::kFloat32, element_count(plan.value(step.inputs[1]).dims) / run.models));
    std::unique_ptr<DnnlKernel> kernel;
    for (uint64_t model = 0; model < static_cast<uint64_t>(run.models); ++model) {
      for (size_t i = 0; i < parts.size(); ++i) {
        const Prepared& part = prepared.parts[i];
        if (kernel == nullptr) {
          kernel = std::make_unique<DnnlKernel>(device, part.primitive, part.scratchpad, small);
        } else {
          kernel->add(part.primitive, part.scratchpad, i == 0);
        }
        kernel->bind(DNNL_ARG_SRC, parts[i], part.source,
                     run.one_source ? 0 : model * float_bytes(run.inputs[i]));
        const ConvShapes& shapes = run.shapes[i];
        const memory::desc given(shapes.weight, memory::data_type::f32, shapes.weight_strides);
        const uint64_t weight = model * a_model + run.weights[i];
        if (is_constant) {
          bind_constant(*kernel, DNNL_ARG_WEIGHTS, device, plan, step.inputs[1], given, part.weight, 1.f,
                        weight);
        } else {
          kernel->bind(DNNL_ARG_WEIGHTS, step.inputs[1], given, weight);
        }
        if (i == 0 && bias_of(step) != kAbsent) {
          kernel->bind(DNNL_ARG_BIAS, bias_of(step), part.bias,
                       model * static_cast<uint64_t>(run.output[1]) * sizeof(float));
        }
        kernel->bind(DNNL_ARG_DST, step.outputs[0], part.output, model * float_bytes(run.output));
        if (i + 1 == parts.size()) bind_epilogue(*kernel, prepared.epilogue, static_cast<int64_t>(model));
      }
    }
    if (side_by_side) kernel->run_side_by_side(threads);
    return kernel;
  });
}

}  // namespace mts::exec
