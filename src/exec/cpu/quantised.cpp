#include "exec/cpu/quantised.h"

#include "exec/cpu/parallel.h"
#include "exec/cpu/tile_ops.h"
#include "exec/geometry.h"
#include "exec/product.h"

#include <algorithm>
#include <cmath>

namespace mts::exec {
namespace {

using dnnl::memory;

// Scale and zero point of the whole tensor, whose range includes 0; then all elements.
class DynamicQuantiseKernel final : public Kernel {
 public:
  DynamicQuantiseKernel(const Step& step, int64_t count)
      : input_(step.inputs[0]), outputs_(step.outputs), count_(count) {}

  Result<void> launch(const Pointers& pointers) override {
    const auto* const x = reinterpret_cast<const float*>(pointers[input_]);
    const TileOps& ops = tile_ops();
    const float high = std::max(0.f, ops.max(x, count_)), low = std::min(0.f, ops.min(x, count_));
    const float scale = (high - low) / 255.f;
    const float zero = scale == 0.f ? 0.f : std::clamp(std::nearbyint(-low / scale), 0.f, 255.f);
    auto* const y = reinterpret_cast<uint8_t*>(pointers[outputs_[0]]);
    parallel(count_, count_, [&](int64_t begin, int64_t end) {
      ops.quantise(y + begin, x + begin, end - begin, scale == 0.f ? 1.f : scale, zero);
    });
    *reinterpret_cast<float*>(pointers[outputs_[1]]) = scale;
    *reinterpret_cast<uint8_t*>(pointers[outputs_[2]]) = static_cast<uint8_t>(zero);
    return {};
  }

 private:
  ValueIndex input_;
  std::vector<ValueIndex> outputs_;
  int64_t count_;
};

class IntegerMatMulKernel final : public Kernel {
 public:
  IntegerMatMulKernel(Device& device, std::unique_ptr<DnnlKernel> product, ValueIndex zero_point,
                      bool is_signed)
      : product_(std::move(product)), zero_point_(zero_point), is_signed_(is_signed) {
    const memory::desc one({1}, memory::data_type::s32, memory::dims{1});
    product_->bind(DNNL_ARG_ATTR_ZERO_POINTS | DNNL_ARG_SRC, memory(one, device.engine, &zero_));
  }

  Result<void> launch(const Pointers& pointers) override {
    const std::byte* const given = zero_point_ == kAbsent ? nullptr : pointers[zero_point_];
    if (given != nullptr)
      zero_ = is_signed_ ? *reinterpret_cast<const int8_t*>(given) : *reinterpret_cast<const uint8_t*>(given);
    return product_->launch(pointers);
  }
  uint64_t workspace_bytes() const override { return product_->workspace_bytes(); }
  bool reads(ValueIndex value) const override { return value == zero_point_ || product_->reads(value); }

 private:
  std::unique_ptr<DnnlKernel> product_;
  ValueIndex zero_point_;
  bool is_signed_;
  int32_t zero_ = 0;
};

ValueIndex operand(const Step& step, size_t position) {
  return position < static_cast<size_t>(step.node_inputs) ? step.inputs[position] : kAbsent;
}

bool is_zero(const ExecPlan& plan, ValueIndex v) {
  if (v == kAbsent) return true;
  if (!plan.value(v).is_constant()) return false;
  const std::vector<int64_t> values =
      to_int64s(*plan.constants[static_cast<size_t>(plan.value(v).constant)].tensor());
  return std::all_of(values.begin(), values.end(), [](int64_t x) { return x == 0; });
}

bool accepts_integer_matmul(const ExecPlan& plan, const Step& step) {
  const PlanValue &a = plan.value(step.inputs[0]), &b = plan.value(step.inputs[1]);
  if ((a.dtype != DType::kUint8 && a.dtype != DType::kInt8) || b.dtype != DType::kInt8 || !b.is_constant())
    return false;
  if (element_count(a.dims) == 0 || element_count(b.dims) == 0 || !is_zero(plan, operand(step, 3)))
    return false;
  const ValueIndex zero = operand(step, 2);
  return (zero == kAbsent || element_count(plan.value(zero).dims) == 1) &&
         product_of(plan, step).c.size() <= 5;
}

KernelResult make_integer_matmul(Device& device, const ExecPlan& plan, const Step& step) {
  return guarded(plan, step, [&]() -> KernelResult {
    const Product product = product_of(plan, step);
    const bool is_signed = plan.value(step.inputs[0]).dtype == DType::kInt8;
    const memory::desc a(product.a, is_signed ? memory::data_type::s8 : memory::data_type::u8,
                         product.a_strides);
    const memory::desc b_given(product.b, memory::data_type::s8, product.b_strides);
    const memory::desc b(product.b, memory::data_type::s8, memory::format_tag::any);
    const memory::desc c(product.c, memory::data_type::s32, row_major_strides(product.c));
    dnnl::primitive_attr attributes;
    attributes.set_zero_points_mask(DNNL_ARG_SRC, 0);
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const bool small = SmallWork::is_small(element_count(product.c) * product.a.back() / 2);
    const SmallWork scope(small);
    const dnnl::matmul::primitive_desc descriptor(device.engine, a, b, c, attributes);
    auto kernel =
        std::make_unique<DnnlKernel>(device, dnnl::matmul(descriptor), descriptor.scratchpad_desc(), small);
    kernel->bind(DNNL_ARG_SRC, step.inputs[0], a);
    bind_constant(*kernel, DNNL_ARG_WEIGHTS, device, plan, step.inputs[1], b_given,
                  descriptor.weights_desc());
    kernel->bind(DNNL_ARG_DST, step.outputs[0], c);
    return std::make_unique<IntegerMatMulKernel>(device, std::move(kernel), operand(step, 2), is_signed);
  });
}

}  // namespace

bool accepts_quantised(const ExecPlan& plan, const Step& step) {
  if (step.op == "MatMulInteger") return accepts_integer_matmul(plan, step);
  return step.op == "DynamicQuantizeLinear" && plan.value(step.inputs[0]).dtype == DType::kFloat32 &&
         element_count(plan.value(step.inputs[0]).dims) > 0 && step.outputs.size() == 3 &&
         std::find(step.outputs.begin(), step.outputs.end(), kAbsent) == step.outputs.end();
}

KernelResult make_quantised(Device& device, const ExecPlan& plan, const Step& step) {
  if (step.op == "MatMulInteger") return make_integer_matmul(device, plan, step);
  return std::make_unique<DynamicQuantiseKernel>(step, element_count(plan.value(step.inputs[0]).dims));
}

}  // namespace mts::exec
