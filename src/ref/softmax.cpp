// Softmax, LogSoftmax, Hardmax. Before opset 13 they work on the input flattened to two axes at `axis`.
#include "ref/dispatch.h"
#include "ref/layout.h"
#include "ref/operators.h"

#include <algorithm>
#include <cmath>

namespace mts::ref {
namespace {

// Calls f(input, output, length, stride) for each line along the axis.
template <class F>
Outputs for_lines(const Call& c, F&& f) {
  const Tensor& x = c.in(0);
  const int64_t fallback = c.version >= 13 ? -1 : 1;
  const int64_t given = c.node.int_or("axis", fallback);
  Split3 s{1, 1, 1};
  if (c.version >= 13) {
    MTS_ASSIGN(const size_t axis, c.axis(given, x.dims().size()));
    s = split_at(x.dims(), axis);
  } else {
    const auto rank = static_cast<int64_t>(x.dims().size());
    if (given < -rank || given > rank) return c.bad("axis is out of range");
    const auto axis = static_cast<size_t>(given < 0 ? given + rank : given);
    s = {product(x.dims(), 0, axis), product(x.dims(), axis, x.dims().size()), 1};
  }
  Tensor out(x.dtype(), x.dims());
  const bool known = visit(kFloats, x.dtype(), [&]<class T>(Tag<T>) {
    if (s.length == 0) return;
    for (int64_t o = 0; o < s.outer; ++o) {
      for (int64_t i = 0; i < s.inner; ++i) {
        const int64_t at = o * s.length * s.inner + i;
        f(x.as<T>() + at, out.mutable_as<T>() + at, s.length, s.inner);
      }
    }
  });
  if (!known) return c.bad_dtype(x);
  return one(std::move(out));
}

template <class T>
double largest_of(const T* x, int64_t length, int64_t stride) {
  auto largest = static_cast<double>(x[0]);
  for (int64_t k = 1; k < length; ++k) largest = std::max(largest, static_cast<double>(x[k * stride]));
  return largest;
}

Outputs softmax(const Call& c) {
  return for_lines(c, []<class T>(const T* x, T* y, int64_t length, int64_t stride) {
    const double largest = largest_of(x, length, stride);
    double sum = 0;
    for (int64_t k = 0; k < length; ++k) sum += std::exp(static_cast<double>(x[k * stride]) - largest);
    for (int64_t k = 0; k < length; ++k) {
      y[k * stride] = static_cast<T>(std::exp(static_cast<double>(x[k * stride]) - largest) / sum);
    }
  });
}

Outputs log_softmax(const Call& c) {
  return for_lines(c, []<class T>(const T* x, T* y, int64_t length, int64_t stride) {
    const double largest = largest_of(x, length, stride);
    double sum = 0;
    for (int64_t k = 0; k < length; ++k) sum += std::exp(static_cast<double>(x[k * stride]) - largest);
    const double shift = largest + std::log(sum);
    for (int64_t k = 0; k < length; ++k)
      y[k * stride] = static_cast<T>(static_cast<double>(x[k * stride]) - shift);
  });
}

Outputs hardmax(const Call& c) {
  return for_lines(c, []<class T>(const T* x, T* y, int64_t length, int64_t stride) {
    int64_t best = 0;
    for (int64_t k = 1; k < length; ++k) {
      if (x[k * stride] > x[best * stride]) best = k;
    }
    for (int64_t k = 0; k < length; ++k) y[k * stride] = k == best ? T{1} : T{0};
  });
}

constexpr Operator kTable[] = {
    {"Softmax", "", 1, kLatest, 1, kWiden, softmax},
    {"LogSoftmax", "", 1, kLatest, 1, kWiden, log_softmax},
    {"Hardmax", "", 1, kLatest, 1, kWiden, hardmax},
};

}  // namespace

std::span<const Operator> softmax_operators() { return kTable; }

}  // namespace mts::ref
