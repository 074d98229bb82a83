// DynamicQuantizeLinear and MatMulInteger.
#include "exec/cuda/kernels/quantised.h"

#include "exec/cuda/own/families.h"
#include "exec/cuda/own/launch_kernel.h"
#include "exec/cuda/own/operands.h"
#include "exec/product.h"

namespace mts::exec::cuda {
namespace {

class DynamicQuantiseKernel final : public Kernel {
 public:
  DynamicQuantiseKernel(OwnDevice& device, const Step& step, int64_t count)
      : device_(device), input_(step.inputs[0]), outputs_(step.outputs) {
    args_.count = static_cast<int32_t>(count);
  }
  uint64_t workspace_bytes() const override { return 2 * kMostExtremes * sizeof(float); }
  Result<void> launch(const Pointers& pointers) override {
    args_.input = reinterpret_cast<const float*>(pointers[input_]);
    args_.output = reinterpret_cast<uint8_t*>(pointers[outputs_[0]]);
    args_.scale = reinterpret_cast<float*>(pointers[outputs_[1]]);
    args_.zero = reinterpret_cast<uint8_t*>(pointers[outputs_[2]]);
    args_.extremes = reinterpret_cast<float*>(pointers.workspace);
    return to_result(launch_dynamic_quantise(args_, device_.stream()));
  }

 private:
  OwnDevice& device_;
  ValueIndex input_;
  std::vector<ValueIndex> outputs_;
  DynamicQuantiseArgs args_;
};

bool accepts_dynamic_quantise(const ExecPlan& plan, const Step& step) {
  return plan.value(step.inputs[0]).dtype == DType::kFloat32 &&
         element_count(plan.value(step.inputs[0]).dims) > 0 && step.outputs.size() == 3 &&
         std::find(step.outputs.begin(), step.outputs.end(), kAbsent) == step.outputs.end();
}

bool is_byte(DType dtype) { return dtype == DType::kInt8 || dtype == DType::kUint8; }

std::optional<IntegerMatmulArgs> matmul_of(const ExecPlan& plan, const Step& step) {
  if (!has_input(step, 0) || !has_input(step, 1)) return std::nullopt;
  const DType a = plan.value(step.inputs[0]).dtype, b = plan.value(step.inputs[1]).dtype;
  if (!is_byte(a) || !is_byte(b)) return std::nullopt;
  const Product product = product_of(plan, step);
  const size_t rank = product.c.size(), batches = rank - 2;
  if (batches > static_cast<size_t>(kMaxOuter)) return std::nullopt;
  IntegerMatmulArgs args;
  args.a_signed = a == DType::kInt8;
  args.b_signed = b == DType::kInt8;
  for (size_t i = 0; i < batches; ++i) {
    args.outer[i] = Divisor(product.c[i]);
    args.a_outer[i] = product.a[i] == 1 ? 0 : product.a_strides[i];
    args.b_outer[i] = product.b[i] == 1 ? 0 : product.b_strides[i];
  }
  args.rows = static_cast<int32_t>(product.c[rank - 2]);
  args.columns = static_cast<int32_t>(product.c[rank - 1]);
  args.inner = static_cast<int32_t>(product.a[rank - 1]);
  args.a_row = product.a_strides[rank - 2];
  args.a_column = product.a_strides[rank - 1];
  args.b_row = product.b_strides[rank - 2];
  args.b_column = product.b_strides[rank - 1];
  // One zero point for all; for B also one a column. (One a row of A would need A's own rows, which the
  // product may have merged with its batch.)
  const auto zero_fits = [&](size_t position, DType dtype, int64_t lines, int32_t& stride) {
    if (!has_input(step, position)) return true;
    const PlanValue& zero = plan.value(step.inputs[position]);
    const int64_t count = element_count(zero.dims);
    stride = count == 1 ? 0 : 1;
    return zero.dtype == dtype && (count == 1 || (zero.dims.size() == 1 && count == lines));
  };
  if (!zero_fits(2, a, 1, args.a_zero_stride) || !zero_fits(3, b, args.columns, args.b_zero_stride))
    return std::nullopt;
  return args;
}

}  // namespace

bool accepts_quantised(const ExecPlan& plan, const Step& step) {
  if (!all_fit(plan, step) || !all_row_major(plan, step)) return false;
  if (step.op == "MatMulInteger") return matmul_of(plan, step).has_value();
  return step.op == "DynamicQuantizeLinear" && accepts_dynamic_quantise(plan, step);
}

KernelResult make_quantised(OwnDevice& device, const ExecPlan& plan, const Step& step) {
  if (step.op == "DynamicQuantizeLinear")
    return std::make_unique<DynamicQuantiseKernel>(device, step,
                                                   element_count(plan.value(step.inputs[0]).dims));
  const auto zero = [&](size_t position) {
    return has_input(step, position) ? step.inputs[position] : kAbsent;
  };
  return make_launch(device, launch_integer_matmul, *matmul_of(plan, step),
                     [a = step.inputs[0], b = step.inputs[1], c = step.outputs[0], a_zero = zero(2),
                      b_zero = zero(3)](IntegerMatmulArgs& args, const Pointers& p) {
                       args.a = p[a];
                       args.b = p[b];
                       args.c = reinterpret_cast<int32_t*>(p[c]);
                       args.a_zero = a_zero == kAbsent ? nullptr : p[a_zero];
                       args.b_zero = b_zero == kAbsent ? nullptr : p[b_zero];
                     });
}

}  // namespace mts::exec::cuda
