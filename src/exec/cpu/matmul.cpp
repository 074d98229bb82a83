// MatMul and Gemm with oneDNN (product.h: as which products).
#include "exec/cpu/dnnl.h"
#include "exec/cpu/parallel.h"
#include "exec/geometry.h"
#include "exec/product.h"

#include <algorithm>

namespace mts::exec {
namespace {

using dnnl::memory;

// Gemm's C as oneDNN's bias: [1,N] or [M,N]; empty when it has none.
std::vector<int64_t> bias_dims(const ExecPlan& plan, const Step& step, const Product& product) {
  if (step.op != "Gemm" || step.node_inputs < 3 || step.inputs[2] == kAbsent) return {};
  const Dims& dims = plan.value(step.inputs[2]).dims;
  std::vector<int64_t> full(2, 1);
  for (size_t i = 0; i < dims.size(); ++i) full[1 - i] = dims[dims.size() - 1 - i];
  if (full[1] != product.c[1] || (full[0] != 1 && full[0] != product.c[0])) return {};
  return full;
}

// Packed weights have their columns in blocks of 16 to 64: the heads of many models, with ten classes each,
// would take six times their bytes.
bool is_padding_dear(const memory::desc& packed, const memory::desc& given) {
  constexpr size_t kLargeBytes = 64 * 1024;
  return packed.get_size() > kLargeBytes && packed.get_size() > given.get_size() + given.get_size() / 2;
}

}  // namespace

bool accepts_matmul(const ExecPlan& plan, const Step& step) {
  if (step.op != "MatMul" && step.op != "Gemm") return false;
  for (const std::vector<ValueIndex>* list : {&step.inputs, &step.outputs}) {
    for (ValueIndex v : *list) {
      if (v != kAbsent && (plan.value(v).dtype != DType::kFloat32 || element_count(plan.value(v).dims) == 0))
        return false;
    }
  }
  const Product product = product_of(plan, step);
  if (product.c.size() > 5) return false;
  if (step.op == "MatMul") return true;
  const Node& node = plan.graph->node(step.node);
  if (node.float_or("alpha", 1.f) != 1.f && !plan.value(step.inputs[1]).is_constant()) return false;
  if (step.node_inputs < 3 || step.inputs[2] == kAbsent) return true;
  if (plan.value(step.inputs[2]).dims.size() > 2 || bias_dims(plan, step, product).empty()) return false;
  return node.float_or("beta", 1.f) == 1.f || plan.value(step.inputs[2]).is_constant();
}

bool is_row_a_batch(const ExecPlan& plan, const Step& step, const Instruction& instruction,
                    ValueIndex operand) {
  if (step.op != "MatMul" || operand == kAbsent) return false;
  const bool arithmetic = instruction.op == ElementOp::kAdd || instruction.op == ElementOp::kSub ||
                          instruction.op == ElementOp::kMul;
  const PlanValue& value = plan.value(operand);
  if (!arithmetic || value.dtype != DType::kFloat32 || !value.is_static) return false;
  const Product product = product_of(plan, step);
  if (product.c.size() != 3) return false;
  // The operand's dims: those of the output up to the batch, ones for the rows, the columns.
  const Dims& output = plan.value(step.outputs[0]).dims;
  if (value.dims.size() != output.size() || value.dims.back() != output.back()) return false;
  int64_t batch = 1;
  size_t axis = 0;
  while (axis + 1 < output.size() && batch < product.c[0]) {
    if (value.dims[axis] != output[axis]) return false;
    batch *= output[axis++];
  }
  return batch == product.c[0] && element_count(value.dims) == batch * output.back();
}

KernelResult make_matmul(Device& device, const ExecPlan& plan, const Step& step) {
  return guarded(plan, step, [&]() -> KernelResult {
    const Product product = product_of(plan, step);
    const Node& node = plan.graph->node(step.node);
    const Epilogue epilogue = epilogue_of(plan, step, product.c, kRowMajor, product.c.size() - 1);
    const bool constant = plan.value(step.inputs[1]).is_constant();
    const memory::desc a(product.a, memory::data_type::f32, product.a_strides), c = plain(product.c);
    const memory::desc b_given(product.b, memory::data_type::f32, product.b_strides);
    const memory::desc b =
        constant ? memory::desc(product.b, memory::data_type::f32, memory::format_tag::any) : b_given;
    const std::vector<int64_t> bias = bias_dims(plan, step, product);
    const memory::desc bias_desc = bias.empty() ? memory::desc() : plain(bias);
    const bool small = SmallWork::is_small(2 * element_count(product.c) * product.a.back());
    const SmallWork scope(small);
    const auto with_weights = [&](const memory::desc& weights) {
      return bias.empty()
                 ? dnnl::matmul::primitive_desc(device.engine, a, weights, c, epilogue.attributes)
                 : dnnl::matmul::primitive_desc(device.engine, a, weights, bias_desc, c, epilogue.attributes);
    };
    dnnl::matmul::primitive_desc descriptor = with_weights(b);
    if (is_padding_dear(descriptor.weights_desc(), b_given)) descriptor = with_weights(b_given);
    auto kernel =
        std::make_unique<DnnlKernel>(device, dnnl::matmul(descriptor), descriptor.scratchpad_desc(), small);
    kernel->bind(DNNL_ARG_SRC, step.inputs[0], a);
    if (constant) {
      const float alpha = step.op == "Gemm" ? node.float_or("alpha", 1.f) : 1.f;
      bind_constant(*kernel, DNNL_ARG_WEIGHTS, device, plan, step.inputs[1], b_given,
                    descriptor.weights_desc(), alpha);
    } else {
      kernel->bind(DNNL_ARG_WEIGHTS, step.inputs[1], b_given);
    }
    if (!bias.empty()) {
      const float beta = node.float_or("beta", 1.f);
      if (plan.value(step.inputs[2]).is_constant()) {
        bind_constant(*kernel, DNNL_ARG_BIAS, device, plan, step.inputs[2], bias_desc, bias_desc, beta);
      } else {
        kernel->bind(DNNL_ARG_BIAS, step.inputs[2], bias_desc);
      }
    }
    kernel->bind(DNNL_ARG_DST, step.outputs[0], c);
    bind_epilogue(*kernel, epilogue);
    return kernel;
  });
}

}  // namespace mts::exec
