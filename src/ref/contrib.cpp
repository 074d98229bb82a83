// com.microsoft operators that files written by ONNX Runtime's optimiser contain.
#include "ref/dispatch.h"
#include "ref/layout.h"
#include "ref/matmul.h"
#include "ref/operators.h"
#include "ref/unary.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

namespace mts::ref {
namespace {

// x + bias over the last axis.
Result<Tensor> with_bias(const Call& c, const Tensor* bias) {
  const Tensor& x = c.in(0);
  if (!bias) return x;
  if (bias->dtype() != x.dtype() || broadcast(x.dims(), bias->dims()) != x.dims())
    return c.bad("the bias does not fit the input");
  const Tensor addend = expand(*bias, x.dims());
  Tensor out(x.dtype(), x.dims());
  const bool known = visit(kFloats, x.dtype(), [&]<class T>(Tag<T>) {
    for (int64_t i = 0; i < x.element_count(); ++i) out.mutable_as<T>()[i] = x.as<T>()[i] + addend.as<T>()[i];
  });
  if (!known) return c.bad_dtype(x);
  return out;
}

Outputs fast_gelu(const Call& c) {
  MTS_ASSIGN(const Tensor x, with_bias(c, c.opt(1)));
  return map_float(c, x, [](double v) {
    return 0.5 * v * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (v + 0.044715 * v * v * v)));
  });
}

Outputs bias_gelu(const Call& c) {
  MTS_ASSIGN(const Tensor x, with_bias(c, c.opt(1)));
  return map_float(c, x, [](double v) { return 0.5 * v * (1 + std::erf(v / std::numbers::sqrt2)); });
}

Outputs quick_gelu(const Call& c) {
  const double alpha = c.node.float_or("alpha", 1.702f);
  return map_float(c, c.in(0), [=](double v) { return v / (1 + std::exp(-alpha * v)); });
}

Tensor swap_last(const Tensor& x) {
  std::vector<size_t> order(x.dims().size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  if (order.size() > 1) std::swap(order[order.size() - 1], order[order.size() - 2]);
  return transpose(x, order);
}

// alpha * op(a) @ op(b)
Outputs fused_matmul(const Call& c) {
  if (c.node.int_or("transBatchA", 0) != 0 || c.node.int_or("transBatchB", 0) != 0)
    return c.unsupported("transBatchA and transBatchB");
  const Tensor a = c.node.int_or("transA", 0) != 0 ? swap_last(c.in(0)) : c.in(0);
  const Tensor b = c.node.int_or("transB", 0) != 0 ? swap_last(c.in(1)) : c.in(1);
  MTS_ASSIGN(const Tensor product, matmul(c, a, b));
  const double alpha = c.node.float_or("alpha", 1);
  return map_float(c, product, [=](double v) { return alpha * v; });
}

Function function_of(std::span<const Operator> table, std::string_view name) {
  return std::ranges::find(table, name, &Operator::op_type)->function;
}

// `parameters`: of LeakyRelu alpha, of HardSigmoid alpha and beta, of Clip both bounds.
Outputs activate(const Call& c, const Tensor& x, const std::vector<float>& parameters) {
  const std::string name = c.node.string_or("activation", "");
  const auto has = [&](size_t count) { return parameters.size() == count; };
  const double first = parameters.empty() ? 0 : parameters[0], second = has(2) ? parameters[1] : 0;
  if (name.empty()) return one(x);
  if (name == "Relu") return map_float(c, x, [](double v) { return v < 0 ? 0 : v; });
  if (name == "Tanh") return map_float(c, x, [](double v) { return std::tanh(v); });
  if (name == "Sigmoid") return map_float(c, x, [](double v) { return 1 / (1 + std::exp(-v)); });
  if (name == "LeakyRelu" && has(1)) return map_float(c, x, [=](double v) { return v < 0 ? first * v : v; });
  if (name == "HardSigmoid" && has(2))
    return map_float(c, x, [=](double v) { return std::clamp(first * v + second, 0.0, 1.0); });
  if (name == "Clip" && has(2))
    return map_float(c, x, [=](double v) { return v < first ? first : v > second ? second : v; });
  return c.unsupported("activation " + name);
}

// activation(Conv(x, w, b) + z)
Outputs fused_conv(const Call& c) {
  Call conv = c;
  conv.inputs = c.inputs.first(std::min<size_t>(c.inputs.size(), 3));
  MTS_ASSIGN(const std::vector<Datum> made, function_of(conv_operators(), "Conv")(conv));
  const Tensor* const residual = c.opt(3);
  if (residual == nullptr) return activate(c, *made.front().tensor(), c.floats("activation_params"));
  const Datum* operands[] = {&made.front()};
  Call sum = c;
  sum.inputs = operands;
  MTS_ASSIGN(const Tensor total, with_bias(sum, residual));
  return activate(c, total, c.floats("activation_params"));
}

// activation(Gemm(a, b, c))
Outputs fused_gemm(const Call& c) {
  Call gemm = c;
  gemm.version = 13;
  MTS_ASSIGN(const std::vector<Datum> made, function_of(matmul_operators(), "Gemm")(gemm));
  std::vector<float> parameters;
  for (const char* name : {"activation_alpha", "activation_beta"})
    if (c.node.find(name) != nullptr) parameters.push_back(c.node.float_or(name, 0));
  return activate(c, *made.front().tensor(), parameters);
}

constexpr Operator kTable[] = {
    {"FastGelu", "com.microsoft", 1, kLatest, 1, kWiden, fast_gelu},
    {"BiasGelu", "com.microsoft", 1, kLatest, 2, kWiden, bias_gelu},
    {"QuickGelu", "com.microsoft", 1, kLatest, 1, kWiden, quick_gelu},
    {"FusedMatMul", "com.microsoft", 1, kLatest, 2, kWiden, fused_matmul},
    {"FusedConv", "com.microsoft", 1, kLatest, 2, kWiden, fused_conv},
    {"FusedGemm", "com.microsoft", 1, kLatest, 2, kWiden, fused_gemm},
};

}  // namespace

std::span<const Operator> contrib_operators() { return kTable; }

}  // namespace mts::ref
