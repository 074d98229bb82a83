#include "exec/cpu/dnnl.h"

#include "exec/cpu/layout.h"
#include "exec/cpu/parallel.h"
#include "exec/geometry.h"

#include <algorithm>

#include <omp.h>

namespace mts::exec {
namespace {

using dnnl::memory;

std::optional<float> scalar(const ExecPlan& plan, ValueIndex index) {
  const PlanValue& value = plan.value(index);
  if (!value.is_constant() || value.dtype != DType::kFloat32 || element_count(value.dims) != 1)
    return std::nullopt;
  return *plan.constants[static_cast<size_t>(value.constant)].tensor()->as<float>();
}

// `dims` of an operand aligned to the output's rank.
std::vector<int64_t> aligned(const Dims& dims, size_t rank) {
  std::vector<int64_t> result(rank, 1);
  for (size_t i = 0; i < dims.size() && i < rank; ++i) result[rank - 1 - i] = dims[dims.size() - 1 - i];
  return result;
}

bool is_along(const Dims& dims, size_t rank, size_t axis, int64_t extent) {
  if (dims.size() > rank) return false;
  const std::vector<int64_t> full = aligned(dims, rank);
  for (size_t i = 0; i < rank; ++i) {
    if (full[i] != (i == axis ? extent : 1)) return false;
  }
  return true;
}

std::optional<dnnl::algorithm> binary_of(ElementOp op) {
  switch (op) {
    case ElementOp::kAdd:
      return dnnl::algorithm::binary_add;
    case ElementOp::kSub:
      return dnnl::algorithm::binary_sub;
    case ElementOp::kMul:
      return dnnl::algorithm::binary_mul;
    case ElementOp::kDiv:
      return dnnl::algorithm::binary_div;
    default:
      return std::nullopt;  // max and min differ on NaN
  }
}

struct Eltwise {
  dnnl::algorithm algorithm;
  float alpha, beta;
};
std::optional<Eltwise> eltwise_of(const Instruction& i) {
  using A = dnnl::algorithm;
  switch (i.op) {
    case ElementOp::kRelu:
      return Eltwise{A::eltwise_relu, 0.f, 0.f};
    case ElementOp::kLeakyRelu:
      return Eltwise{A::eltwise_relu, i.alpha, 0.f};
    case ElementOp::kElu:
      return Eltwise{A::eltwise_elu, i.alpha, 0.f};
    case ElementOp::kSigmoid:
      return Eltwise{A::eltwise_logistic, 0.f, 0.f};
    case ElementOp::kTanh:
      return Eltwise{A::eltwise_tanh, 0.f, 0.f};
    case ElementOp::kClip:
      return i.alpha <= i.beta ? std::optional(Eltwise{A::eltwise_clip, i.alpha, i.beta}) : std::nullopt;
    case ElementOp::kHardSigmoid:
      return Eltwise{A::eltwise_hardsigmoid, i.alpha, i.beta};
    case ElementOp::kHardSwish:
      return Eltwise{A::eltwise_hardswish, 1.f / 6.f, 0.5f};
    case ElementOp::kGeluErf:
      return Eltwise{A::eltwise_gelu_erf, 0.f, 0.f};
    case ElementOp::kGeluTanh:
      return Eltwise{A::eltwise_gelu_tanh, 0.f, 0.f};
    case ElementOp::kSilu:
      return Eltwise{A::eltwise_swish, 1.f, 0.f};
    case ElementOp::kSquare:
      return Eltwise{A::eltwise_square, 0.f, 0.f};
    case ElementOp::kAbs:
      return Eltwise{A::eltwise_abs, 0.f, 0.f};
    case ElementOp::kRound:
      return Eltwise{A::eltwise_round, 0.f, 0.f};
    case ElementOp::kLinear:
      return Eltwise{A::eltwise_linear, i.alpha, i.beta};
    default:
      return std::nullopt;
  }
}

}  // namespace

std::optional<memory> PackedWeights::find(const std::string& key) const {
  const auto found = packed_.find(key);
  return found == packed_.end() ? std::nullopt : std::optional(found->second);
}
void PackedWeights::keep(const std::string& key, memory packed) {
  bytes_ += packed.get_desc().get_size();
  packed_.emplace(key, std::move(packed));
}

int32_t layout_between(const PlanValue& input, const PlanValue& output) {
  if (is_models_first(input.layout) || is_models_first(output.layout))
    return std::max(input.layout, output.layout);
  const bool any = is_ambiguous(input.dims) && is_ambiguous(output.dims);
  return any || input.layout == kChannelsLast || output.layout == kChannelsLast ? kChannelsLast : kRowMajor;
}

memory::desc plain(const std::vector<int64_t>& dims) {
  return memory::desc(dims, memory::data_type::f32, row_major_strides(dims));
}

memory::desc desc_of(const Dims& dims, int32_t layout) {
  return memory::desc(dims, memory::data_type::f32, strides_of(dims, layout));
}

DnnlKernel::DnnlKernel(Device& device, dnnl::primitive primitive, const memory::desc& scratchpad, bool small)
    : device_(device), small_(small) {
  add(std::move(primitive), scratchpad, true);
}
void DnnlKernel::add(dnnl::primitive primitive, const memory::desc& scratchpad, bool starts_chain) {
  if (starts_chain) chains_.push_back(launches_.size());
  Launch launch;
  launch.primitive = std::move(primitive);
  const uint64_t bytes = scratchpad.get_size();
  if (bytes != 0) {
    constexpr uint64_t kAlignment = 64;
    workspace_ = std::max(workspace_, (bytes + kAlignment - 1) / kAlignment * kAlignment);
    launch.has_scratchpad = true;
    launch.scratchpad = memory(scratchpad, device_.engine, nullptr);
    add_argument(launch, DNNL_ARG_SCRATCHPAD, launch.scratchpad);
  }
  launches_.push_back(std::move(launch));
}
void DnnlKernel::add_argument(Launch& launch, int argument, const memory& memory) {
  launch.arguments.push_back({argument, memory.get()});
}
void DnnlKernel::bind(int argument, ValueIndex value, const memory::desc& desc, uint64_t offset) {
  memory handle(desc, device_.engine, nullptr);
  add_argument(launches_.back(), argument, handle);
  launches_.back().operands.push_back({value, offset, std::move(handle), nullptr});
}
bool DnnlKernel::reads(ValueIndex value) const {
  return std::any_of(launches_.begin(), launches_.end(), [&](const Launch& launch) {
    return std::any_of(launch.operands.begin(), launch.operands.end(),
                       [&](const Operand& operand) { return operand.value == value; });
  });
}
void DnnlKernel::bind(int argument, memory fixed) {
  add_argument(launches_.back(), argument, fixed);
  launches_.back().fixed.push_back(std::move(fixed));
}

Result<void> DnnlKernel::run(Launch& launch, const Pointers& pointers, std::byte* scratchpad) {
  // Runs mostly find everything where the last one had it.
  for (Operand& operand : launch.operands) {
    std::byte* const at = pointers[operand.value] + operand.offset;
    if (at == operand.at) continue;
    operand.memory.set_data_handle(at);
    operand.at = at;
  }
  if (launch.has_scratchpad && launch.scratchpad_at != scratchpad) {
    launch.scratchpad.set_data_handle(scratchpad);
    launch.scratchpad_at = scratchpad;
  }
  // Not primitive::execute, which allocates a list of the arguments.
  const dnnl_status_t status =
      dnnl_primitive_execute(launch.primitive.get(), device_.stream.get(),
                             static_cast<int>(launch.arguments.size()), launch.arguments.data());
  if (status == dnnl_success) return {};
  return fail(ErrorCode::kInternal,
              "oneDNN: a primitive failed with status " + std::to_string(static_cast<int>(status)));
}

Result<void> DnnlKernel::launch(const Pointers& pointers) {
  if (threads_ == 1) {
    const SmallWork scope(small_);
    for (Launch& launch : launches_) MTS_TRY(run(launch, pointers, pointers.workspace));
    return {};
  }
  std::vector<Result<void>> results(static_cast<size_t>(threads_));
#pragma omp parallel num_threads(threads_)
  {
    // Fewer threads may come than were asked for.
    const auto n = static_cast<size_t>(omp_get_num_threads()), t = static_cast<size_t>(omp_get_thread_num());
    const size_t first = chains_.size() * t / n, last = chains_.size() * (t + 1) / n;
    const size_t end = last < chains_.size() ? chains_[last] : launches_.size();
    std::byte* const scratchpad = pointers.workspace + t * workspace_;
    for (size_t i = first < chains_.size() ? chains_[first] : end; i < end && results[t]; ++i)
      results[t] = run(launches_[i], pointers, scratchpad);
  }
  for (Result<void>& result : results) MTS_TRY(std::move(result));
  return {};
}

bool is_post_op(const ExecPlan& plan, const Instruction& instruction, ValueIndex operand,
                const PlanValue& output, size_t channel_axis) {
  if (!is_binary(instruction.op)) return eltwise_of(instruction).has_value();
  if (!binary_of(instruction.op)) return false;
  const PlanValue& value = plan.value(operand);
  if (value.dtype != DType::kFloat32 || !value.is_static) return false;
  return scalar(plan, operand) || value.dims == output.dims ||
         is_along(value.dims, output.dims.size(), channel_axis, output.dims[channel_axis]);
}

Epilogue epilogue_of(const ExecPlan& plan, const Step& step, const std::vector<int64_t>& dims, int32_t layout,
                     size_t channel_axis, int64_t models, bool adds) {
  Epilogue result;
  dnnl::post_ops ops;
  const bool in_place = adds_in_place(plan, step);
  if (adds || in_place) ops.append_sum();
  for (size_t i = in_place ? 1 : 0; i < step.program.code.size(); ++i) {
    const Instruction& instruction = step.program.code[i];
    if (!is_binary(instruction.op)) {
      const Eltwise eltwise = *eltwise_of(instruction);
      ops.append_eltwise(eltwise.algorithm, eltwise.alpha, eltwise.beta);
      continue;
    }
    const ValueIndex operand = step.inputs[static_cast<size_t>(step.node_inputs + instruction.b - 1)];
    if (const auto constant = scalar(plan, operand)) {
      const float c = *constant;
      switch (instruction.op) {
        case ElementOp::kAdd:
          ops.append_eltwise(dnnl::algorithm::eltwise_linear, 1.f, c);
          break;
        case ElementOp::kSub:
          ops.append_eltwise(dnnl::algorithm::eltwise_linear, 1.f, -c);
          break;
        case ElementOp::kMul:
          ops.append_eltwise(dnnl::algorithm::eltwise_linear, c, 0.f);
          break;
        default:
          ops.append_eltwise(dnnl::algorithm::eltwise_linear, 1.f / c, 0.f);
          break;
      }
      continue;
    }
    const PlanValue& value = plan.value(operand);
    std::vector<int64_t> seen(dims.size(), 1);
    if (element_count(value.dims) == element_count(dims) * models) {
      seen = dims;
    } else {
      seen[channel_axis] = dims[channel_axis];
      if (element_count(value.dims) != dims[channel_axis] * models)
        seen[0] = dims[0];  // one row a batch (is_row_a_batch)
    }
    const memory::desc desc = seen == dims ? desc_of(dims, layout) : plain(seen);
    const int argument = DNNL_ARG_ATTR_MULTIPLE_POST_OP(ops.len()) | DNNL_ARG_SRC_1;
    ops.append_binary(*binary_of(instruction.op), desc);
    result.operands.push_back({argument, operand, desc, element_count(value.dims) == 1});
  }
  result.attributes.set_post_ops(ops);
  result.attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return result;
}

Epilogue plain_sum(bool adds) {
  Epilogue result;
  dnnl::post_ops ops;
  if (adds) ops.append_sum();
  result.attributes.set_post_ops(ops);
  result.attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return result;
}

void bind_epilogue(DnnlKernel& kernel, const Epilogue& epilogue, int64_t model) {
  for (const Epilogue::Operand& operand : epilogue.operands) {
    const uint64_t offset = operand.is_whole ? 0 : static_cast<uint64_t>(model) * operand.desc.get_size();
    kernel.bind(operand.argument, operand.value, operand.desc, offset);
  }
}

void bind_constant(DnnlKernel& kernel, int argument, Device& device, const ExecPlan& plan,
                   ValueIndex constant, const memory::desc& given, const memory::desc& wanted, float scale,
                   uint64_t offset) {
  if (given == wanted && scale == 1.f) return kernel.bind(argument, constant, given, offset);
  const PlanValue& value = plan.value(constant);
  const Tensor& tensor = *plan.constants[static_cast<size_t>(value.constant)].tensor();
  // oneDNN takes a mutable pointer for what it only reads.
  memory raw(given, device.engine, const_cast<std::byte*>(tensor.data() + offset));
  std::string key =
      std::to_string(index(value.id)) + ":" + std::to_string(scale) + ":" + std::to_string(offset);
  for (const memory::dims& part : {wanted.get_dims(), wanted.get_padded_dims(), wanted.get_strides(),
                                   wanted.get_inner_blks(), wanted.get_inner_idxs()}) {
    key += to_string(part);
  }
  const bool reusable = value.id != kNoValue && plan.graph->value(value.id).is_constant();
  if (reusable) {
    if (auto found = device.weights.find(key)) return kernel.bind(argument, *found);
  }
  memory packed(wanted, device.engine);
  dnnl::primitive_attr attributes;
  if (scale != 1.f) attributes.set_scales_mask(DNNL_ARG_SRC, 0);
  dnnl::reorder reorder(
      dnnl::reorder::primitive_desc(device.engine, given, device.engine, wanted, attributes));
  std::unordered_map<int, memory> arguments = {{DNNL_ARG_SRC, raw}, {DNNL_ARG_DST, packed}};
  if (scale != 1.f) {
    arguments[DNNL_ARG_ATTR_SCALES | DNNL_ARG_SRC] = memory(plain({1}), device.engine, &scale);
  }
  reorder.execute(device.stream, arguments);
  device.stream.wait();
  if (reusable) device.weights.keep(key, packed);
  kernel.bind(argument, std::move(packed));
}

// A channels-last image seen as [batch, models, channels, pixels], where `other` has the models on the other
// side.
static memory::desc by_model(const Dims& dims, const Dims& other) {
  const int64_t batch = std::min(dims[0], other[0]), channels = std::min(dims[1], other[1]);
  const int64_t models = std::max(dims[0], other[0]) / batch,
                pixels = element_count(std::span(dims).subspan(2));
  const bool in_batch = dims[0] > other[0];
  const int64_t pixel = in_batch ? channels : models * channels,
                model = in_batch ? pixels * channels : channels;
  return memory::desc({batch, models, channels, pixels}, memory::data_type::f32,
                      memory::dims{models * pixels * channels, model, 1, pixel});
}

KernelResult make_reorder(Device& device, const ExecPlan& plan, const Step& step) {
  return guarded(plan, step, [&]() -> KernelResult {
    const PlanValue& from = plan.value(step.inputs[0]);
    const PlanValue& to = plan.value(step.outputs[0]);
    const bool moves_models = from.dims != to.dims;
    const int32_t models = std::max(from.layout, to.layout);
    const auto lie = [&](const PlanValue& value, const Dims& other) {
      if (moves_models) return by_model(value.dims, other);
      if (!is_models_first(models)) return desc_of(value.dims, value.layout);
      return memory::desc(split_models(value.dims, models), memory::data_type::f32,
                          split_strides(value.dims, value.layout, models));
    };
    const memory::desc source = lie(from, to.dims), target = lie(to, from.dims);
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const bool small = SmallWork::is_small(4 * element_count(from.dims));
    const SmallWork scope(small);
    const dnnl::reorder::primitive_desc descriptor(device.engine, source, device.engine, target, attributes);
    auto kernel =
        std::make_unique<DnnlKernel>(device, dnnl::reorder(descriptor), descriptor.scratchpad_desc(), small);
    kernel->bind(DNNL_ARG_SRC, step.inputs[0], source);
    kernel->bind(DNNL_ARG_DST, step.outputs[0], target);
    return kernel;
  });
}

}  // namespace mts::exec
