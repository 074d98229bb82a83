// com.microsoft operators that files written by ONNX Runtime's optimiser contain.
#include "ref/dispatch.h"
#include "ref/layout.h"
#include "ref/matmul.h"
#include "ref/operators.h"
#include "ref/unary.h"

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

constexpr Operator kTable[] = {
    {"FastGelu", "com.microsoft", 1, kLatest, 1, kWiden, fast_gelu},
    {"BiasGelu", "com.microsoft", 1, kLatest, 2, kWiden, bias_gelu},
    {"QuickGelu", "com.microsoft", 1, kLatest, 1, kWiden, quick_gelu},
    {"FusedMatMul", "com.microsoft", 1, kLatest, 2, kWiden, fused_matmul},
};

}  // namespace

std::span<const Operator> contrib_operators() { return kTable; }

}  // namespace mts::ref
