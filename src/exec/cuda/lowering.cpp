#include "exec/cuda/lowering.h"

#include "exec/cuda/layout.h"
#include "exec/geometry.h"
#include "exec/product.h"

#include <algorithm>
#include <utility>

namespace mts::exec::cuda {
namespace {

bool is_present(const Step& step, size_t input) {
  return static_cast<int32_t>(input) < step.node_inputs && step.inputs[input] != kAbsent;
}

// All of the step's own operands are of one type that libraries know, and not empty.
bool all_float(const ExecPlan& plan, const Step& step) {
  const DType dtype = plan.value(step.outputs[0]).dtype;
  if (dtype != DType::kFloat32 && dtype != DType::kFloat16 && dtype != DType::kBfloat16) return false;
  const auto is_float = [&](ValueIndex v) {
    return v == kAbsent ||
           (plan.value(v).is_static && plan.value(v).dtype == dtype && element_count(plan.value(v).dims) > 0);
  };
  return std::all_of(step.inputs.begin(), step.inputs.begin() + step.node_inputs, is_float) &&
         std::all_of(step.outputs.begin(), step.outputs.end(), is_float);
}

// 16-bit products are exact in float32: tensor cores lose nothing.
Math math_for(DType dtype, Math float32) { return dtype == DType::kFloat32 ? float32 : Math::kFast; }

// The end padding that makes floor((in + pads - reach) / stride) + 1 the output that ONNX wants.
std::vector<int64_t> end_padding(const Window& w, const Dims& input) {
  std::vector<int64_t> pads = w.pads_end;
  for (size_t i = 0; i < pads.size(); ++i) {
    const int64_t reach = (w.kernel[i] - 1) * w.dilations[i] + 1;
    pads[i] = std::max<int64_t>(0, (w.output[i] - 1) * w.strides[i] + reach - input[i + 2] - w.pads_begin[i]);
  }
  return pads;
}

// One spatial axis becomes two: libraries know images and volumes.
void widen(Dims& dims) {
  if (dims.size() == 3) dims.insert(dims.begin() + 2, 1);
}
void widen(std::vector<int64_t>& by_axis, int64_t value) {
  if (by_axis.size() == 1) by_axis.insert(by_axis.begin(), value);
}

bool is_pointwise(const Window& w) {
  const auto all = [](const std::vector<int64_t>& list, int64_t wanted) {
    return std::all_of(list.begin(), list.end(), [&](int64_t x) { return x == wanted; });
  };
  return all(w.kernel, 1) && all(w.strides, 1) && all(w.pads_begin, 0) && all(w.pads_end, 0);
}

CallOperand value(ValueIndex v) { return {CallOperand::Kind::kValue, v}; }

int64_t pixels_of(const Dims& dims) { return element_count(std::span(dims).subspan(2)); }

}  // namespace

bool is_pool(const Step& step) {
  return step.op == "MaxPool" || step.op == "AveragePool" || step.op == "GlobalMaxPool" ||
         step.op == "GlobalAveragePool";
}

bool Lowering::is_library_step(const ExecPlan& plan, const Step& step) {
  if (step.kind == StepKind::kHost || step.outputs.size() != 1 || step.outputs[0] == kAbsent) return false;
  if (step.op == "Conv") {
    if (!all_float(plan, step)) return false;
    const size_t rank = plan.value(step.inputs[0]).dims.size();
    if (rank < 3 || rank > 5) return false;
    const auto window = window_of(plan.graph->node(step.node), plan.value(step.inputs[0]).dims,
                                  plan.value(step.inputs[1]).dims);
    return window.has_value();
  }
  if (step.op == "MatMul" || step.op == "Gemm") {
    if (!all_float(plan, step)) return false;
    const Product product = product_of(plan, step);
    if (product.c.size() > 3) return false;  // batches that do not merge into one axis
    if (step.op == "MatMul" || !is_present(step, 2)) return true;
    // C is a bias (one value a column) or a whole addend; anything else is added by own kernels.
    if (plan.graph->node(step.node).float_or("beta", 1.f) != 1.f) return false;
    const Dims& c = plan.value(step.inputs[2]).dims;
    const bool whole = c == product.c;
    const bool row = !c.empty() && c.back() == product.c.back() && element_count(c) == product.c.back();
    return whole || row;
  }
  if (is_pool(step)) {
    const size_t rank = plan.value(step.inputs[0]).dims.size();
    return all_float(plan, step) && (rank == 4 || rank == 5);
  }
  return false;
}

bool Lowering::library_accepts_epilogue(const ExecPlan& plan, const Step& step, const Instruction& next,
                                        ValueIndex operand) const {
  if (is_pool(step)) return false;
  const EpilogueRules rules = epilogue_rules_of(plan, step);
  std::optional<LibraryEpilogue> epilogue = parse_epilogue(plan, step, rules);
  return epilogue && extend_epilogue(plan, step, rules, next, operand, *epilogue);
}

bool Lowering::own_accepts(const ExecPlan& plan, const Step& step) const {
  Step grown = step;
  grown.program.code.clear();
  if (step.op != "Elementwise") {
    if (!own_.accepts(plan, grown)) return false;
    for (const Instruction& next : step.program.code) {
      const ValueIndex operand =
          is_binary(next.op) ? step.inputs[static_cast<size_t>(step.node_inputs + next.b - 1)] : kAbsent;
      if (!own_.accepts_epilogue(plan, grown, next, operand)) return false;
      grown.program.code.push_back(next);
    }
    return true;
  }
  return own_.accepts(plan, step);
}

std::vector<LoweredCall> Lowering::lower(const ExecPlan& plan, const Step& step) const {
  if (!is_library_step(plan, step)) return {};
  if (step.op == "Conv") return lower_conv(plan, step);
  if (is_pool(step)) return lower_pool(plan, step);
  return lower_gemm(plan, step);
}

std::vector<LoweredCall> Lowering::lower_conv(const ExecPlan& plan, const Step& step) const {
  const auto epilogue = parse_epilogue(plan, step, epilogue_rules_of(plan, step));
  if (!epilogue) return {};
  const Dims &input = plan.value(step.inputs[0]).dims, &weight = plan.value(step.inputs[1]).dims,
             &output = plan.value(step.outputs[0]).dims;
  const auto window = window_of(plan.graph->node(step.node), input, weight);
  if (!window) return {};
  const ValueIndex bias = is_present(step, 2) ? step.inputs[2] : epilogue->bias;
  const DType dtype = plan.value(step.outputs[0]).dtype;

  if (is_pointwise(*window)) {
    // Channels-last, a 1x1 convolution is [pixels, C] x [K, C]^T; groups are columns of both.
    const int64_t groups = window->groups, channels = input[1], filters = output[1];
    GemmCall call;
    call.dtype = dtype;
    call.math = math_for(dtype, math_);
    call.batch = groups;
    call.rows = input[0] * pixels_of(input);
    call.columns = filters / groups;
    call.inner = channels / groups;
    call.b_transposed = true;
    call.lda = channels;
    call.ldb = call.inner;
    call.ldd = filters;
    if (groups > 1) {
      call.stride_a = call.inner;
      call.stride_b = call.inner * call.columns;
      call.stride_d = call.columns;
      call.stride_bias = bias != kAbsent ? call.columns : 0;
    }
    call.addend = epilogue->addend != kAbsent;
    call.bias = bias != kAbsent;
    call.activation = epilogue->activation;
    if (libraries_.takes(call)) {
      LoweredCall lowered{call, {value(step.inputs[0]), value(step.inputs[1])}};
      if (call.addend) lowered.operands.push_back(value(epilogue->addend));
      if (call.bias) lowered.operands.push_back(value(bias));
      lowered.operands.push_back(value(step.outputs[0]));
      return {lowered};
    }
  }

  ConvCall call;
  call.dtype = dtype;
  call.math = math_for(dtype, math_);
  call.x = input;
  call.w = weight;
  call.y = output;
  call.strides = window->strides;
  call.dilations = window->dilations;
  call.pads_begin = window->pads_begin;
  call.pads_end = end_padding(*window, input);
  for (Dims* dims : {&call.x, &call.w, &call.y}) widen(*dims);
  for (std::vector<int64_t>* ones : {&call.strides, &call.dilations}) widen(*ones, 1);
  for (std::vector<int64_t>* zeros : {&call.pads_begin, &call.pads_end}) widen(*zeros, 0);
  call.groups = window->groups;
  call.addend = epilogue->addend != kAbsent;
  // cuDNN's ready-made kernels add a bias before they activate: without one, zeros.
  call.bias = bias != kAbsent || call.addend || epilogue->activation != Activation::kNone;
  call.activation = epilogue->activation;
  if (!libraries_.takes(call)) return {};
  // A weight that is made at run time is a value like any other, which the layout chooser has repacked.
  const bool known = plan.value(step.inputs[1]).is_constant();
  const CallOperand filters{known ? CallOperand::Kind::kPackedWeight : CallOperand::Kind::kValue,
                            step.inputs[1]};
  LoweredCall lowered{call, {value(step.inputs[0]), filters}};
  if (call.addend) lowered.operands.push_back(value(epilogue->addend));
  if (bias != kAbsent) {
    lowered.operands.push_back(value(bias));
  } else if (call.bias) {
    lowered.operands.push_back({CallOperand::Kind::kZeros, step.outputs[0]});
  }
  lowered.operands.push_back(value(step.outputs[0]));
  return {lowered};
}

std::vector<LoweredCall> Lowering::lower_gemm(const ExecPlan& plan, const Step& step) const {
  const auto epilogue = parse_epilogue(plan, step, epilogue_rules_of(plan, step));
  if (!epilogue) return {};
  const Product product = product_of(plan, step);
  const size_t last = product.c.size() - 1;
  GemmCall call;
  call.dtype = plan.value(step.outputs[0]).dtype;
  call.math = math_for(call.dtype, math_);
  call.rows = product.c[last - 1];
  call.columns = product.c[last];
  call.inner = product.a[last];
  if (step.op == "Gemm") {
    const Node& node = plan.graph->node(step.node);
    call.a_transposed = node.int_or("transA", 0) != 0;
    call.b_transposed = node.int_or("transB", 0) != 0;
    call.alpha = node.float_or("alpha", 1.f);
  }
  call.lda = call.a_transposed ? call.rows : call.inner;
  call.ldb = call.b_transposed ? call.inner : call.columns;
  call.ldd = call.columns;
  if (product.c.size() == 3) {
    call.batch = product.c[0];
    call.stride_a = product.a[0] > 1 ? call.rows * call.inner : 0;
    call.stride_b = product.b[0] > 1 ? call.inner * call.columns : 0;
    call.stride_d = call.rows * call.columns;
  }
  ValueIndex addend = epilogue->addend, bias = epilogue->bias;
  if (is_present(step, 2)) {
    (epilogue_rules_of(plan, step).has_addend ? addend : bias) = step.inputs[2];
  }
  call.addend = addend != kAbsent;
  call.bias = bias != kAbsent;
  call.activation = epilogue->activation;
  if (!libraries_.takes(call)) return {};
  LoweredCall lowered{call, {value(step.inputs[0]), value(step.inputs[1])}};
  if (call.addend) lowered.operands.push_back(value(addend));
  if (call.bias) lowered.operands.push_back(value(bias));
  lowered.operands.push_back(value(step.outputs[0]));
  return {lowered};
}

std::vector<LoweredCall> Lowering::lower_pool(const ExecPlan& plan, const Step& step) const {
  const PlanValue &input = plan.value(step.inputs[0]), &output = plan.value(step.outputs[0]);
  const Node& node = plan.graph->node(step.node);
  PoolCall call;
  call.dtype = output.dtype;
  call.x = input.dims;
  call.y = output.dims;
  if (step.op.starts_with("Global")) {
    call.kernel.assign(input.dims.begin() + 2, input.dims.end());
    call.strides.assign(call.kernel.size(), 1);
    call.pads_begin = call.pads_end = std::vector<int64_t>(call.kernel.size(), 0);
  } else {
    const auto window = window_of(node, input.dims, {});
    if (!window) return {};
    if (std::any_of(window->dilations.begin(), window->dilations.end(), [](int64_t d) { return d != 1; }))
      return {};
    call.kernel = window->kernel;
    call.strides = window->strides;
    call.pads_begin = window->pads_begin;
    call.pads_end = end_padding(*window, input.dims);
    for (size_t i = 0; i < call.kernel.size(); ++i) {
      // Every window must hold an element, and one that sticks out beyond the padding divides by fewer.
      if (call.pads_begin[i] >= call.kernel[i] || call.pads_end[i] >= call.kernel[i]) return {};
      if (node.int_or("count_include_pad", 0) != 0 && call.pads_end[i] > window->pads_end[i]) return {};
    }
  }
  const bool is_max = step.op == "MaxPool" || step.op == "GlobalMaxPool";
  call.pooling = is_max                                     ? Pooling::kMax
                 : node.int_or("count_include_pad", 0) != 0 ? Pooling::kAveragePadded
                                                            : Pooling::kAverage;
  if (!libraries_.takes(call)) return {};
  return {LoweredCall{call, {value(step.inputs[0]), value(step.outputs[0])}}};
}

LoweredCall lower_reorder(const ExecPlan& plan, const Step& step) {
  const PlanValue &from = plan.value(step.inputs[0]), &to = plan.value(step.outputs[0]);
  CopyCall call;
  call.element_bytes = static_cast<size_t>(bit_width(from.dtype)) / 8;
  if (from.dims == to.dims) {
    call.dims = from.dims;
    call.from_strides = strides_of(from.dims, from.layout);
    call.to_strides = strides_of(to.dims, to.layout);
  } else {
    // Channels-last images whose models move between batch and channels, seen as [batch, models, channels,
    // pixels].
    const auto by_model = [](const Dims& dims, const Dims& other, Dims& seen) {
      const int64_t batch = std::min(dims[0], other[0]), channels = std::min(dims[1], other[1]);
      const int64_t models = std::max(dims[0], other[0]) / batch, pixels = pixels_of(dims);
      const bool in_batch = dims[0] > other[0];
      seen = {batch, models, channels, pixels};
      return std::vector<int64_t>{models * pixels * channels, in_batch ? pixels * channels : channels, 1,
                                  in_batch ? channels : models * channels};
    };
    call.from_strides = by_model(from.dims, to.dims, call.dims);
    call.to_strides = by_model(to.dims, from.dims, call.dims);
  }
  return {call, {value(step.inputs[0]), value(step.outputs[0])}};
}

std::vector<LoweredCall> lower_parts(const ExecPlan& plan, const Step& step) {
  const bool is_split = step.op == "Split";
  const ValueIndex whole_index = is_split ? step.inputs[0] : step.outputs[0];
  const PlanValue& whole = plan.value(whole_index);
  const std::vector<ValueIndex>& parts = is_split ? step.outputs : step.inputs;
  const auto axis =
      normal_axis(plan.graph->node(step.node).int_or("axis", is_split ? 0 : 1), whole.dims.size())
          .value_or(0);
  const std::vector<int64_t> whole_strides = strides_of(whole.dims, whole.layout);
  std::vector<LoweredCall> calls;
  int64_t at = 0;
  const size_t count = is_split ? parts.size() : static_cast<size_t>(step.node_inputs);
  for (size_t i = 0; i < count; ++i) {
    if (parts[i] == kAbsent) continue;  // the layout chooser leaves such steps alone
    const PlanValue& part = plan.value(parts[i]);
    CopyCall call;
    call.element_bytes = static_cast<size_t>(bit_width(whole.dtype)) / 8;
    call.dims = part.dims;
    const std::vector<int64_t> part_strides = strides_of(part.dims, whole.layout);
    call.from_strides = is_split ? whole_strides : part_strides;
    call.to_strides = is_split ? part_strides : whole_strides;
    (is_split ? call.from_offset : call.to_offset) = at * whole_strides[axis];
    at += part.dims[axis];
    if (element_count(part.dims) == 0) continue;
    calls.push_back(is_split ? LoweredCall{call, {value(whole_index), value(parts[i])}}
                             : LoweredCall{call, {value(parts[i]), value(whole_index)}});
  }
  return calls;
}

}  // namespace mts::exec::cuda
