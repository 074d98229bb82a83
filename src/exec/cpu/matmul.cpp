// MatMul and Gemm with oneDNN. Batch axes over which B is broadcast become rows of A, neighbouring batch axes
// are merged: [M,B,S,K] x [M,1,K,N] runs as M products [B*S,K] x [K,N], and [B,S,K] x [K,N] as one.
#include "exec/cpu/dnnl.h"
#include "exec/cpu/parallel.h"
#include "exec/geometry.h"

#include <algorithm>

namespace mts::exec {
namespace {

using dnnl::memory;

struct Product {
  std::vector<int64_t> a, b, c;               // dims, [batch...,] rows, columns
  std::vector<int64_t> a_strides, b_strides;  // elements
};

Product fold(const Dims& a, const Dims& b) {
  Dims left = a, right = b;
  if (left.size() == 1) left.insert(left.begin(), 1);
  if (right.size() == 1) right.push_back(1);
  int64_t rows = left[left.size() - 2];
  const int64_t inner = left.back(), columns = right.back();
  std::vector<int64_t> left_batch(left.begin(), left.end() - 2), right_batch(right.begin(), right.end() - 2);
  const size_t rank = std::max(left_batch.size(), right_batch.size());
  left_batch.insert(left_batch.begin(), rank - left_batch.size(), 1);
  right_batch.insert(right_batch.begin(), rank - right_batch.size(), 1);
  while (!right_batch.empty() && right_batch.back() == 1) {
    rows *= left_batch.back();
    left_batch.pop_back();
    right_batch.pop_back();
  }
  std::vector<std::pair<int64_t, int64_t>> batch;
  for (size_t i = 0; i < left_batch.size(); ++i) {
    const int64_t x = left_batch[i], y = right_batch[i];
    if (x == 1 && y == 1) continue;
    if (!batch.empty()) {
      auto& [last_x, last_y] = batch.back();
      const bool both_equal = x == y && last_x == last_y, both_left = y == 1 && last_y == 1,
                 both_right = x == 1 && last_x == 1;
      if (both_equal || both_left || both_right) {
        last_x *= x;
        last_y *= y;
        continue;
      }
    }
    batch.emplace_back(x, y);
  }
  Product product;
  for (const auto& [x, y] : batch) {
    product.a.push_back(x);
    product.b.push_back(y);
    product.c.push_back(std::max(x, y));
  }
  product.a.insert(product.a.end(), {rows, inner});
  product.b.insert(product.b.end(), {inner, columns});
  product.c.insert(product.c.end(), {rows, columns});
  product.a_strides = row_major_strides(product.a);
  product.b_strides = row_major_strides(product.b);
  return product;
}

Product product_of(const ExecPlan& plan, const Step& step) {
  const Dims& a = plan.value(step.inputs[0]).dims;
  const Dims& b = plan.value(step.inputs[1]).dims;
  if (step.op == "MatMul") return fold(a, b);
  const Node& node = plan.graph->node(step.node);
  Product product{a, b, {}, row_major_strides(a), row_major_strides(b)};
  if (node.int_or("transA", 0) != 0) {
    std::swap(product.a[0], product.a[1]);
    std::swap(product.a_strides[0], product.a_strides[1]);
  }
  if (node.int_or("transB", 0) != 0) {
    std::swap(product.b[0], product.b[1]);
    std::swap(product.b_strides[0], product.b_strides[1]);
  }
  product.c = {product.a[0], product.b[1]};
  return product;
}

// Gemm's C as oneDNN's bias: [1,N] or [M,N]; empty when it has none.
std::vector<int64_t> bias_dims(const ExecPlan& plan, const Step& step, const Product& product) {
  if (step.op != "Gemm" || step.node_inputs < 3 || step.inputs[2] == kAbsent) return {};
  const Dims& dims = plan.value(step.inputs[2]).dims;
  std::vector<int64_t> full(2, 1);
  for (size_t i = 0; i < dims.size(); ++i) full[1 - i] = dims[dims.size() - 1 - i];
  if (full[1] != product.c[1] || (full[0] != 1 && full[0] != product.c[0])) return {};
  return full;
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
    const dnnl::matmul::primitive_desc descriptor =
        bias.empty() ? dnnl::matmul::primitive_desc(device.engine, a, b, c, epilogue.attributes)
                     : dnnl::matmul::primitive_desc(device.engine, a, b, bias_desc, c, epilogue.attributes);
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
