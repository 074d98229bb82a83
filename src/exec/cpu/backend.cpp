#include "exec/cpu/backend.h"

#include "exec/attention.h"
#include "exec/cpu/attention.h"
#include "exec/cpu/cast.h"
#include "exec/cpu/dnnl.h"
#include "exec/cpu/einsum.h"
#include "exec/cpu/elementwise.h"
#include "exec/cpu/fill.h"
#include "exec/cpu/layout.h"
#include "exec/cpu/movement.h"
#include "exec/cpu/quantised.h"
#include "exec/cpu/recurrent.h"
#include "exec/cpu/resize.h"
#include "exec/cpu/rows.h"
#include "exec/cpu/scan.h"
#include "exec/cpu/typed.h"
#include "exec/geometry.h"

#include <algorithm>
#include <utility>

namespace mts::exec {
namespace {

using Make = KernelResult (*)(Device&, const ExecPlan&, const Step&);
struct Family {
  bool (*accepts)(const ExecPlan&, const Step&);
  Make make;
};
constexpr Family kFamilies[] = {
    {accepts_conv, make_conv},
    {accepts_pool, make_pool},
    {accepts_matmul, make_matmul},
    {accepts_einsum, make_einsum},
    {accepts_recurrent, make_recurrent},
    {accepts_quantised, make_quantised},
    {accepts_rows, [](Device&, const ExecPlan& plan, const Step& step) { return make_rows(plan, step); }},
    {accepts_resize, [](Device&, const ExecPlan& plan, const Step& step) { return make_resize(plan, step); }},
    {accepts_movement,
     [](Device&, const ExecPlan& plan, const Step& step) { return make_movement(plan, step); }},
    {accepts_fill, [](Device&, const ExecPlan& plan, const Step& step) { return make_fill(plan, step); }},
    {accepts_typed, [](Device&, const ExecPlan& plan, const Step& step) { return make_typed(plan, step); }},
    {accepts_scan, [](Device&, const ExecPlan& plan, const Step& step) { return make_scan(plan, step); }},
    {accepts_cast, [](Device&, const ExecPlan& plan, const Step& step) { return make_cast(plan, step); }},
};

const Family* family_of(const ExecPlan& plan, const Step& step) {
  for (const Family& family : kFamilies) {
    if (family.accepts(plan, step)) return &family;
  }
  return nullptr;
}

class CpuBackend final : public Backend {
 public:
  bool accepts(const ExecPlan& plan, const Step& step) const override {
    return step.op == "Elementwise" || family_of(plan, step) != nullptr;
  }

  bool accepts_epilogue(const ExecPlan& plan, const Step& step, const Instruction& next,
                        ValueIndex operand) const override {
    constexpr size_t kLongest = 16;  // quantised residual blocks have ten
    if (step.program.code.size() >= kLongest) return false;
    const PlanValue& output = plan.value(step.outputs[0]);
    if (step.op == "Conv" || step.op == "ConvTranspose") return is_post_op(plan, next, operand, output, 1);
    if (step.op != "MatMul" && step.op != "Gemm") return false;
    if (output.dims.empty()) return false;
    return is_post_op(plan, next, operand, output, output.dims.size() - 1) ||
           is_row_a_batch(plan, step, next, operand);
  }

  bool accepts_attention(const ExecPlan& plan, const Step& step) const override {
    return mts::exec::accepts_attention(plan, step);
  }

  Result<void> lay_out(ExecPlan& plan) override {
    choose_layouts(device_, plan);
    return {};
  }

  Result<std::unique_ptr<Kernel>> prepare(const ExecPlan& plan, const Step& step) override {
    if (step.op == "Elementwise") return prepare_elementwise(plan, step);
    if (step.op == "Reorder") return make_reorder(device_, plan, step);
    if (step.op == kAttention) return make_attention(plan, step);
    const Family* const family = family_of(plan, step);
    if (family == nullptr)
      return fail(ErrorCode::kInternal,
                  "the CPU backend has no kernel for a step that it accepted: " + step.op);
    return family->make(device_, plan, step);
  }

  uint64_t weight_bytes() const override { return device_.weights.bytes(); }

 private:
  static Result<std::unique_ptr<Kernel>> prepare_elementwise(const ExecPlan& plan, const Step& step) {
    const PlanValue& output = plan.value(step.outputs[0]);
    const int32_t layout = output.layout;
    const int64_t models = is_models_first(layout) ? layout : 1;
    // Memory order: models outermost, channels innermost.
    const auto in_order = [&](std::vector<int64_t> v) {
      if (layout != kRowMajor) std::rotate(v.begin() + 2, v.begin() + 3, v.end());
      return v;
    };
    if (layout == kRowMajor) {
      std::vector<std::vector<int64_t>> strides = {row_major_strides(output.dims)};
      for (ValueIndex input : step.inputs)
        strides.push_back(broadcast_strides(plan.value(input).dims, output.dims));
      return make_elementwise(step.program, merge_axes(output.dims, strides), step.inputs, step.outputs[0]);
    }
    std::vector<std::vector<int64_t>> strides = {in_order(split_strides(output.dims, layout, models))};
    for (ValueIndex input : step.inputs) {
      const PlanValue& value = plan.value(input);
      if (value.dims == output.dims) {
        strides.push_back(in_order(split_strides(value.dims, value.layout, models)));
        continue;
      }
      std::vector<int64_t> broadcast = broadcast_strides(value.dims, output.dims);
      broadcast.insert(broadcast.begin(), broadcast[1] * (output.dims[1] / models));
      strides.push_back(in_order(std::move(broadcast)));
    }
    const Dims dims = in_order(split_models(output.dims, models));
    return make_elementwise(step.program, merge_axes(dims, strides), step.inputs, step.outputs[0]);
  }

  Device device_;
};

}  // namespace

Result<std::unique_ptr<Backend>> make_cpu_backend() {
  try {
    return std::make_unique<CpuBackend>();
  } catch (const dnnl::error& error) {
    return fail(ErrorCode::kDevice, std::string("oneDNN has no CPU engine here: ") + error.what());
  }
}

std::string onednn_version() {
  const dnnl::version_t* const version = dnnl::version();
  return std::to_string(version->major) + "." + std::to_string(version->minor) + "." +
         std::to_string(version->patch);
}

}  // namespace mts::exec
