// Pooling: Max (with indices), Average, Lp, the global ones, MaxUnpool.
#include "ref/dispatch.h"
#include "ref/layout.h"
#include "ref/operators.h"
#include "ref/window.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

namespace mts::ref {
namespace {

Result<Window> pooling_window(const Call& c) {
  const Tensor& x = c.in(0);
  const std::vector<int64_t> kernel = c.node.ints_or("kernel_shape", {});
  return window_of(c, x.dims(), kernel);
}

Dims pooled_dims(const Tensor& x, const Window& g) {
  Dims dims{x.dims()[0], x.dims()[1]};
  for (int64_t d : g.out_dims()) dims.push_back(d);
  return dims;
}

// Calls f(od, oh, ow) for every output position of one plane, in order.
template <class F>
void for_positions(const Window& g, F&& f) {
  for (int64_t od = 0; od < g.out[0]; ++od) {
    for (int64_t oh = 0; oh < g.out[1]; ++oh) {
      for (int64_t ow = 0; ow < g.out[2]; ++ow) f(Window::Axes{od, oh, ow});
    }
  }
}

// Calls f(index into the plane) for the elements of the input that the window at `o` covers, in order.
template <class F>
void for_window(const Window& g, const Window::Axes& o, F&& f) {
  for (int64_t kd = 0; kd < g.kernel[0]; ++kd) {
    const int64_t d = g.position(0, o[0], kd);
    if (d < 0 || d >= g.in[0]) continue;
    for (int64_t kh = 0; kh < g.kernel[1]; ++kh) {
      const int64_t h = g.position(1, o[1], kh);
      if (h < 0 || h >= g.in[1]) continue;
      for (int64_t kw = 0; kw < g.kernel[2]; ++kw) {
        const int64_t w = g.position(2, o[2], kw);
        if (w >= 0 && w < g.in[2]) f((d * g.in[1] + h) * g.in[2] + w);
      }
    }
  }
}

Outputs max_pool(const Call& c) {
  const Tensor& x = c.in(0);
  MTS_ASSIGN(const Window g, pooling_window(c));
  MTS_ASSIGN(Tensor out, c.make(x.dtype(), pooled_dims(x, g)));
  Tensor indices = c.wants(1) ? Tensor(DType::kInt64, out.dims()) : Tensor();
  const bool column_major = c.node.int_or("storage_order", 0) != 0;
  const bool known = visit(Types<float, double, int8_t, uint8_t>{}, x.dtype(), [&]<class T>(Tag<T>) {
    T* to = out.mutable_as<T>();
    int64_t* index_to = c.wants(1) ? indices.mutable_as<int64_t>() : nullptr;
    const int64_t planes = x.dims()[0] * x.dims()[1];
    for (int64_t plane = 0; plane < planes; ++plane) {
      const T* from = x.as<T>() + plane * g.in_size();
      for_positions(g, [&](const Window::Axes& o) {
        int64_t best = -1;
        for_window(g, o, [&](int64_t i) {
          if (best < 0 || from[i] > from[best] || from[i] != from[i]) best = i;
        });
        *to++ = best < 0 ? (std::is_floating_point_v<T> ? static_cast<T>(-INFINITY)
                                                        : std::numeric_limits<T>::lowest())
                         : from[best];
        if (!index_to) return;
        int64_t at = best;
        if (column_major && best >= 0) {
          const int64_t d = best / (g.in[1] * g.in[2]), h = best / g.in[2] % g.in[1], w = best % g.in[2];
          at = (w * g.in[1] + h) * g.in[0] + d;
        }
        *index_to++ = plane * g.in_size() + at;
      });
    }
  });
  if (!known) return c.bad_dtype(x);
  std::vector<Datum> result = one(std::move(out));
  if (c.wants(1)) result.emplace_back(std::move(indices));
  return result;
}

// How many positions of the window at `o` lie inside the padded input (what count_include_pad divides by).
int64_t padded_count(const Window& g, const Window::Axes& o) {
  int64_t count = 1;
  for (size_t axis = 0; axis < 3; ++axis) {
    int64_t inside = 0;
    for (int64_t k = 0; k < g.kernel[axis]; ++k) {
      const int64_t at = g.position(axis, o[axis], k);
      inside += at >= -g.pad_begin[axis] && at < g.in[axis] + g.pad_end[axis];
    }
    count *= inside;
  }
  return count;
}

// One float output a window: finish(sum of step(element), elements inside the input, elements inside the
// padded input).
template <class Step, class Finish>
Outputs sum_pool(const Call& c, const Window& g, Step&& step, Finish&& finish) {
  const Tensor& x = c.in(0);
  MTS_ASSIGN(Tensor out, c.make(x.dtype(), pooled_dims(x, g)));
  const bool known = visit(kFloats, x.dtype(), [&]<class T>(Tag<T>) {
    T* to = out.mutable_as<T>();
    const int64_t planes = x.dims()[0] * x.dims()[1];
    for (int64_t plane = 0; plane < planes; ++plane) {
      const T* from = x.as<T>() + plane * g.in_size();
      for_positions(g, [&](const Window::Axes& o) {
        double sum = 0;
        int64_t count = 0;
        for_window(g, o, [&](int64_t i) {
          sum += step(static_cast<double>(from[i]));
          ++count;
        });
        *to++ = static_cast<T>(finish(sum, count, o));
      });
    }
  });
  if (!known) return c.bad_dtype(x);
  return one(std::move(out));
}

Outputs average_pool(const Call& c) {
  MTS_ASSIGN(const Window g, pooling_window(c));
  const bool include_pad = c.node.int_or("count_include_pad", 0) != 0;
  return sum_pool(
      c, g, [](double x) { return x; },
      [&](double sum, int64_t count, const Window::Axes& o) {
        return sum / static_cast<double>(include_pad ? padded_count(g, o) : count);
      });
}

Result<double> power_of(const Call& c) {
  const double p = static_cast<double>(c.node.int_or("p", 2));
  if (p < 1) return c.bad("p is less than 1");
  return p;
}

Outputs lp_pool(const Call& c) {
  MTS_ASSIGN(const Window g, pooling_window(c));
  MTS_ASSIGN(const double p, power_of(c));
  return sum_pool(
      c, g, [=](double x) { return std::pow(std::fabs(x), p); },
      [=](double sum, int64_t, const Window::Axes&) { return std::pow(sum, 1 / p); });
}

// The global poolings take any number of spatial axes: they are merged into one.
template <class Run>
Outputs global_pool(const Call& c, Run&& run) {
  const Tensor& x = c.in(0);
  if (x.dims().size() < 2) return c.bad("an input [N, C, spatial...] is expected");
  Window g;
  g.rank = 1;
  g.in[2] = g.kernel[2] = product(x.dims(), 2, x.dims().size());
  MTS_ASSIGN(std::vector<Datum> result, run(g));
  Dims dims(x.dims().size(), 1);
  dims[0] = x.dims()[0];
  dims[1] = x.dims()[1];
  return one(result[0].tensor()->reshaped(std::move(dims)));
}

Outputs global_average_pool(const Call& c) {
  return global_pool(c, [&](const Window& g) {
    return sum_pool(
        c, g, [](double x) { return x; },
        [](double sum, int64_t count, const Window::Axes&) { return sum / static_cast<double>(count); });
  });
}

Outputs global_lp_pool(const Call& c) {
  MTS_ASSIGN(const double p, power_of(c));
  return global_pool(c, [&](const Window& g) {
    return sum_pool(
        c, g, [=](double x) { return std::pow(std::fabs(x), p); },
        [=](double sum, int64_t, const Window::Axes&) { return std::pow(sum, 1 / p); });
  });
}

Outputs global_max_pool(const Call& c) {
  const Tensor& x = c.in(0);
  if (x.dims().size() < 2) return c.bad("an input [N, C, spatial...] is expected");
  const int64_t planes = x.dims()[0] * x.dims()[1], size = product(x.dims(), 2, x.dims().size());
  if (size == 0) return c.bad("it pools nothing");
  Dims dims(x.dims().size(), 1);
  dims[0] = x.dims()[0];
  dims[1] = x.dims()[1];
  Tensor out(x.dtype(), dims);
  const bool known = visit(kFloats, x.dtype(), [&]<class T>(Tag<T>) {
    for (int64_t i = 0; i < planes; ++i) {
      out.mutable_as<T>()[i] = *std::max_element(x.as<T>() + i * size, x.as<T>() + (i + 1) * size);
    }
  });
  if (!known) return c.bad_dtype(x);
  return one(std::move(out));
}

// Puts each element where its index, made for the shape without padding, says.
Outputs max_unpool(const Call& c) {
  const Tensor &x = c.in(0), &indices = c.in(1);
  if (indices.dims() != x.dims() || indices.dtype() != DType::kInt64)
    return c.bad("its indices do not fit its input");
  const std::vector<int64_t> kernel = c.node.ints_or("kernel_shape", {});
  MTS_ASSIGN(const Window g, transposed_window_of(c, x.dims(), kernel));
  Dims natural{x.dims()[0], x.dims()[1]};
  for (int64_t d : g.out_dims()) natural.push_back(d);
  Dims dims = natural;
  if (const Tensor* shape = c.opt(2)) {
    MTS_ASSIGN(dims, c.ints(*shape));
    if (dims.size() != natural.size()) return c.bad("output_shape has another rank than the input");
  }
  MTS_ASSIGN(Tensor out, c.make(x.dtype(), dims));
  const Dims strides = strides_of(dims);
  bool inside = true;
  const bool known = visit(kFloats, x.dtype(), [&]<class T>(Tag<T>) {
    std::fill_n(out.mutable_as<T>(), out.element_count(), T{0});
    for (int64_t i = 0; i < x.element_count(); ++i) {
      int64_t rest = indices.as<int64_t>()[i], at = 0;
      if (rest < 0 || rest >= product(natural)) {
        inside = false;
        return;
      }
      for (size_t axis = natural.size(); axis-- > 0;) {
        const int64_t position = rest % natural[axis];
        rest /= natural[axis];
        inside = inside && position < dims[axis];
        at += position * strides[axis];
      }
      if (!inside) return;
      out.mutable_as<T>()[at] = x.as<T>()[i];
    }
  });
  if (!known) return c.bad_dtype(x);
  if (!inside) return c.bad("an index lies outside of the output");
  return one(std::move(out));
}

constexpr Operator kTable[] = {
    {"MaxPool", "", 1, kLatest, 1, kWiden, max_pool},
    {"AveragePool", "", 1, kLatest, 1, kWiden, average_pool},
    {"LpPool", "", 2, kLatest, 1, kWiden, lp_pool},
    {"GlobalAveragePool", "", 1, kLatest, 1, kWiden, global_average_pool},
    {"GlobalMaxPool", "", 1, kLatest, 1, kWiden, global_max_pool},
    {"GlobalLpPool", "", 2, kLatest, 1, kWiden, global_lp_pool},
    {"MaxUnpool", "", 9, kLatest, 2, kWiden, max_unpool},
};

}  // namespace

std::span<const Operator> pool_operators() { return kTable; }

}  // namespace mts::ref
