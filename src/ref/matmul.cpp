#include "ref/matmul.h"

#include "ref/dispatch.h"
#include "ref/layout.h"
#include "ref/operators.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace mts::ref {
namespace {

template <class T>
using Acc = std::conditional_t<std::is_floating_point_v<T>, double, uint64_t>;  // integers wrap

}  // namespace

Result<Tensor> matmul(const Call& c, const Tensor& left, const Tensor& right) {
  if (left.dims().empty() || right.dims().empty()) return c.bad("MatMul does not take scalars");
  if (left.dtype() != right.dtype()) return c.bad("its operands have different types");
  Dims a = left.dims(), b = right.dims();
  if (a.size() == 1) a.insert(a.begin(), 1);
  if (b.size() == 1) b.push_back(1);
  const int64_t m = a[a.size() - 2], k = a.back(), n = b.back();
  if (b[b.size() - 2] != k) {
    return c.bad(
        fmt::format("{} and {} cannot be multiplied", to_string(left.dims()), to_string(right.dims())));
  }
  const Dims a_batch(a.begin(), a.end() - 2), b_batch(b.begin(), b.end() - 2);
  const std::optional<Dims> batch = broadcast(a_batch, b_batch);
  if (!batch)
    return c.bad(fmt::format("{} and {} do not broadcast", to_string(left.dims()), to_string(right.dims())));
  Dims dims = *batch;
  if (left.dims().size() > 1) dims.push_back(m);
  if (right.dims().size() > 1) dims.push_back(n);
  MTS_ASSIGN(Tensor out, c.make(left.dtype(), dims));
  const Rows<2> rows(*batch, {broadcast_strides(a_batch, *batch), broadcast_strides(b_batch, *batch)});
  const bool known = visit(kNumeric, left.dtype(), [&]<class T>(Tag<T>) {
    T* y = out.mutable_as<T>();
    rows.for_each([&](const std::array<int64_t, 2>& at, int64_t length) {
      for (int64_t i = 0; i < length; ++i) {
        const T* x = left.as<T>() + (at[0] + i * rows.inner[0]) * m * k;
        const T* w = right.as<T>() + (at[1] + i * rows.inner[1]) * k * n;
        multiply<T, Acc<T>>(x, k, 1, w, n, 1, m, k, n, y);
        y += m * n;
      }
    });
  });
  if (!known) return c.bad_dtype(left);
  return out;
}

Result<Tensor> centred(const Call& c, const Tensor& x, const Tensor* zero_point, int64_t axis) {
  Tensor out(DType::kFloat64, x.dims());
  const auto rank = static_cast<int64_t>(x.dims().size());
  const int64_t at = axis < 0 ? axis + rank : axis;
  const bool scalar = !zero_point || zero_point->element_count() == 1;
  if (zero_point && zero_point->dtype() != x.dtype())
    return c.bad("a zero point has another type than its tensor");
  if (!scalar && zero_point->dims().size() == 1) {
    if (at < 0 || at >= rank || zero_point->dims()[0] != x.dims()[static_cast<size_t>(at)])
      return c.bad("the zero point does not fit its tensor");
  } else if (!scalar && broadcast(x.dims(), zero_point->dims()) != x.dims()) {
    // The shape [..., M, 1] gives each row of a stack of matrices its own.
    return c.bad("the zero point does not fit its tensor");
  }
  const bool known =
      visit(Types<int8_t, uint8_t, int16_t, uint16_t, int32_t, uint32_t>{}, x.dtype(), [&]<class T>(Tag<T>) {
        Dims strides(x.dims().size(), 0);
        if (!scalar && zero_point->dims().size() > 1) {
          strides = broadcast_strides(zero_point->dims(), x.dims());
        } else if (!scalar) {
          strides[static_cast<size_t>(at)] = 1;
        }
        const T none{0};
        const T* zero = zero_point ? zero_point->as<T>() : &none;
        const Rows<2> rows(x.dims(), {strides_of(x.dims()), strides});
        rows.for_each([&](const std::array<int64_t, 2>& offset, int64_t length) {
          for (int64_t i = 0; i < length; ++i) {
            const int64_t from = offset[0] + i * rows.inner[0];
            out.mutable_as<double>()[from] = static_cast<double>(x.as<T>()[from]) -
                                             static_cast<double>(zero[offset[1] + i * rows.inner[1]]);
          }
        });
      });
  if (!known) return c.bad_dtype(x);
  return out;
}

namespace {

Outputs mat_mul(const Call& c) {
  MTS_ASSIGN(Tensor out, matmul(c, c.in(0), c.in(1)));
  return one(std::move(out));
}

// y = alpha * op(a) * op(b) + beta * c
Outputs gemm(const Call& c) {
  const Tensor &a = c.in(0), &b = c.in(1);
  if (a.dims().size() != 2 || b.dims().size() != 2) return c.bad("Gemm takes matrices");
  if (a.dtype() != b.dtype()) return c.bad("its operands have different types");
  const bool trans_a = c.node.int_or("transA", 0) != 0, trans_b = c.node.int_or("transB", 0) != 0;
  const int64_t m = a.dims()[trans_a ? 1 : 0], k = a.dims()[trans_a ? 0 : 1];
  const int64_t n = b.dims()[trans_b ? 0 : 1];
  if (b.dims()[trans_b ? 1 : 0] != k) {
    return c.bad(fmt::format("{} and {} cannot be multiplied", to_string(a.dims()), to_string(b.dims())));
  }
  const double alpha = c.node.float_or("alpha", 1), beta = c.node.float_or("beta", 1);
  const Tensor* bias = c.opt(2);
  if (bias && (bias->dtype() != a.dtype() || broadcast(bias->dims(), {m, n}) != Dims{m, n})) {
    return c.bad("its third input does not broadcast to the product");
  }
  MTS_ASSIGN(Tensor out, c.make(a.dtype(), {m, n}));
  const bool known = visit(kNumeric, a.dtype(), [&]<class T>(Tag<T>) {
    using Wide = std::conditional_t<std::is_floating_point_v<T>, double, T>;
    std::vector<Wide> product(static_cast<size_t>(m * n));
    multiply<T, Acc<T>>(a.as<T>(), trans_a ? 1 : k, trans_a ? m : 1, b.as<T>(), trans_b ? 1 : n,
                        trans_b ? k : 1, m, k, n, product.data());
    const Tensor added = bias ? expand(*bias, {m, n}) : Tensor();
    for (size_t i = 0; i < product.size(); ++i) {
      const double addend = bias && beta != 0 ? beta * static_cast<double>(added.as<T>()[i]) : 0;
      out.mutable_as<T>()[i] = number_cast<T>(alpha * static_cast<double>(product[i]) + addend);
    }
  });
  if (!known) return c.bad_dtype(a);
  return one(std::move(out));
}

Outputs mat_mul_integer(const Call& c) {
  MTS_ASSIGN(const Tensor a, centred(c, c.in(0), c.opt(2), -2));
  MTS_ASSIGN(const Tensor b, centred(c, c.in(1), c.opt(3), -1));
  MTS_ASSIGN(const Tensor product, matmul(c, a, b));
  Tensor out(DType::kInt32, product.dims());
  for (int64_t i = 0; i < out.element_count(); ++i) {
    out.mutable_as<int32_t>()[i] = number_cast<int32_t>(product.as<double>()[i]);
  }
  return one(std::move(out));
}

// By elimination with partial pivoting.
double determinant(std::vector<double> m, int64_t n) {
  double result = 1;
  const auto at = [&](int64_t row, int64_t column) -> double& {
    return m[static_cast<size_t>(row * n + column)];
  };
  for (int64_t k = 0; k < n; ++k) {
    int64_t pivot = k;
    for (int64_t i = k + 1; i < n; ++i) {
      if (std::fabs(at(i, k)) > std::fabs(at(pivot, k))) pivot = i;
    }
    if (at(pivot, k) == 0) return 0;
    if (pivot != k) {
      for (int64_t j = 0; j < n; ++j) std::swap(at(k, j), at(pivot, j));
      result = -result;
    }
    result *= at(k, k);
    for (int64_t i = k + 1; i < n; ++i) {
      const double factor = at(i, k) / at(k, k);
      for (int64_t j = k; j < n; ++j) at(i, j) -= factor * at(k, j);
    }
  }
  return result;
}

Outputs det(const Call& c) {
  const Tensor& x = c.in(0);
  const size_t rank = x.dims().size();
  if (rank < 2 || x.dims()[rank - 1] != x.dims()[rank - 2]) return c.bad("square matrices are expected");
  const int64_t n = x.dims().back();
  Tensor out(x.dtype(), Dims(x.dims().begin(), x.dims().end() - 2));
  const bool known = visit(kFloats, x.dtype(), [&]<class T>(Tag<T>) {
    for (int64_t i = 0; i < out.element_count(); ++i) {
      const T* from = x.as<T>() + i * n * n;
      out.mutable_as<T>()[i] = static_cast<T>(determinant({from, from + n * n}, n));
    }
  });
  if (!known) return c.bad_dtype(x);
  return one(std::move(out));
}

constexpr Operator kTable[] = {
    {"MatMul", "", 1, kLatest, 2, kWiden, mat_mul},
    {"Gemm", "", 1, kLatest, 2, kWiden, gemm},
    {"Det", "", 11, kLatest, 1, kWiden, det},
    {"MatMulInteger", "", 10, kLatest, 2, kPlain, mat_mul_integer},
};

}  // namespace

std::span<const Operator> matmul_operators() { return kTable; }

}  // namespace mts::ref
