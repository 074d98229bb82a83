// Elementwise maps that several families share.
#pragma once

#include "ref/dispatch.h"
#include "ref/operator.h"

#include <cstdint>

namespace mts::ref {

// y = f(x), computed in double and rounded to the element type (float32 or float64).
template <class F>
Outputs map_float(const Call& c, const Tensor& x, F&& f) {
  Tensor y(x.dtype(), x.dims());
  const int64_t count = x.element_count();
  const bool known = visit(kFloats, x.dtype(), [&]<class T>(Tag<T>) {
    const T* from = x.as<T>();
    T* to = y.mutable_as<T>();
    for (int64_t i = 0; i < count; ++i) to[i] = static_cast<T>(f(static_cast<double>(from[i])));
  });
  if (!known) return c.bad_dtype(x);
  return one(std::move(y));
}

template <class F>
Outputs map_float(const Call& c, F&& f) {
  return map_float(c, c.in(0), f);
}

}  // namespace mts::ref
