// Conv and ConvTranspose with one to three spatial axes, and the integer variants of Conv.
#include "ref/dispatch.h"
#include "ref/layout.h"
#include "ref/matmul.h"
#include "ref/operators.h"
#include "ref/quantise.h"
#include "ref/window.h"

#include <cmath>
#include <vector>

#include <fmt/format.h>

namespace mts::ref {
namespace {

struct Groups {
  int64_t count, in, out;  // channels of one group
};

// One output channel: sums[o] += sum over the input channels of its group and the kernel.
template <class T>
void convolve_channel(const T* x, const T* w, const Window& g, int64_t channels, double* sums) {
  for (int64_t channel = 0; channel < channels; ++channel, x += g.in_size()) {
    for (int64_t kd = 0; kd < g.kernel[0]; ++kd) {
      const auto [d_first, d_last] = g.valid(0, kd);
      for (int64_t kh = 0; kh < g.kernel[1]; ++kh) {
        const auto [h_first, h_last] = g.valid(1, kh);
        for (int64_t kw = 0; kw < g.kernel[2]; ++kw, ++w) {
          const auto [w_first, w_last] = g.valid(2, kw);
          const auto factor = static_cast<double>(*w);
          for (int64_t od = d_first; od < d_last; ++od) {
            for (int64_t oh = h_first; oh < h_last; ++oh) {
              const T* from = x + (g.position(0, od, kd) * g.in[1] + g.position(1, oh, kh)) * g.in[2] +
                              kw * g.dilation[2] - g.pad_begin[2];
              double* to = sums + (od * g.out[1] + oh) * g.out[2];
              const int64_t stride = g.stride[2];
              for (int64_t ow = w_first; ow < w_last; ++ow)
                to[ow] += factor * static_cast<double>(from[ow * stride]);
            }
          }
        }
      }
    }
  }
}

// As above with input and output exchanged: every input element is spread over the output.
template <class T>
void spread_channel(const T* x, const T* w, const Window& g, double* sums) {
  for (int64_t kd = 0; kd < g.kernel[0]; ++kd) {
    for (int64_t kh = 0; kh < g.kernel[1]; ++kh) {
      for (int64_t kw = 0; kw < g.kernel[2]; ++kw, ++w) {
        const auto factor = static_cast<double>(*w);
        const T* from = x;
        for (int64_t d = 0; d < g.in[0]; ++d) {
          for (int64_t h = 0; h < g.in[1]; ++h, from += g.in[2]) {
            const int64_t od = g.position(0, d, kd), oh = g.position(1, h, kh);
            if (od < 0 || od >= g.out[0] || oh < 0 || oh >= g.out[1]) continue;
            double* to = sums + (od * g.out[1] + oh) * g.out[2];
            for (int64_t i = 0; i < g.in[2]; ++i) {
              const int64_t ow = g.position(2, i, kw);
              if (ow >= 0 && ow < g.out[2]) to[ow] += factor * static_cast<double>(from[i]);
            }
          }
        }
      }
    }
  }
}

Result<Groups> groups_of(const Call& c, const Tensor& x, const Tensor& w, bool transposed) {
  const int64_t group = c.node.int_or("group", 1);
  if (x.dims().size() < 3 || w.dims().size() != x.dims().size()) {
    return c.bad(fmt::format("the input {} and the weight {} do not go together", to_string(x.dims()),
                             to_string(w.dims())));
  }
  if (group < 1 || x.dims()[1] % group != 0) return c.bad("group does not divide the number of channels");
  const Groups groups = transposed ? Groups{group, x.dims()[1] / group, w.dims()[1]}
                                   : Groups{group, x.dims()[1] / group, w.dims()[0] / group};
  const bool fits =
      transposed ? w.dims()[0] == x.dims()[1] : w.dims()[1] == groups.in && w.dims()[0] % group == 0;
  if (!fits) {
    return c.bad(fmt::format("the weight {} does not fit the input {} in {} groups", to_string(w.dims()),
                             to_string(x.dims()), group));
  }
  return groups;
}

// `x` and `w` of one type; the result has `out_dtype`: that type, or float64.
Result<Tensor> convolve(const Call& c, const Tensor& x, const Tensor& w, const Tensor* bias,
                        bool transposed) {
  if (x.dtype() != w.dtype() || (bias && bias->dtype() != x.dtype()))
    return c.bad("its inputs have different types");
  MTS_ASSIGN(const Groups groups, groups_of(c, x, w, transposed));
  const Dims kernel(w.dims().begin() + 2, w.dims().end());
  const std::vector<int64_t> declared = c.node.ints_or("kernel_shape", {});
  if (!declared.empty() && declared != kernel) return c.bad("kernel_shape differs from the weight's shape");
  Result<Window> window =
      transposed ? transposed_window_of(c, x.dims(), kernel) : window_of(c, x.dims(), kernel);
  MTS_ASSIGN(const Window g, std::move(window));
  const int64_t channels = groups.count * groups.out;
  if (bias && (bias->dims().size() != 1 || bias->dims()[0] != channels))
    return c.bad("the bias does not fit the weight");
  Dims dims{x.dims()[0], channels};
  for (int64_t d : g.out_dims()) dims.push_back(d);
  MTS_ASSIGN(Tensor out, c.make(x.dtype(), dims));
  const bool known = visit(kFloats, x.dtype(), [&]<class T>(Tag<T>) {
    std::vector<double> sums(static_cast<size_t>(g.out_size()));
    T* to = out.mutable_as<T>();
    for (int64_t n = 0; n < x.dims()[0]; ++n) {
      for (int64_t oc = 0; oc < channels; ++oc) {
        const int64_t group = oc / groups.out, local = oc % groups.out;
        std::fill(sums.begin(), sums.end(), bias ? static_cast<double>(bias->as<T>()[oc]) : 0.0);
        const T* from = x.as<T>() + (n * x.dims()[1] + group * groups.in) * g.in_size();
        if (transposed) {
          for (int64_t ic = 0; ic < groups.in; ++ic) {
            const T* weight = w.as<T>() + ((group * groups.in + ic) * groups.out + local) * g.kernel_size();
            spread_channel(from + ic * g.in_size(), weight, g, sums.data());
          }
        } else {
          convolve_channel(from, w.as<T>() + oc * groups.in * g.kernel_size(), g, groups.in, sums.data());
        }
        for (double sum : sums) *to++ = static_cast<T>(sum);
      }
    }
  });
  if (!known) return c.bad_dtype(x);
  return out;
}

Outputs conv(const Call& c) {
  MTS_ASSIGN(Tensor out, convolve(c, c.in(0), c.in(1), c.opt(2), false));
  return one(std::move(out));
}

Outputs conv_transpose(const Call& c) {
  MTS_ASSIGN(Tensor out, convolve(c, c.in(0), c.in(1), c.opt(2), true));
  return one(std::move(out));
}

Outputs conv_integer(const Call& c) {
  MTS_ASSIGN(const Tensor x, centred(c, c.in(0), c.opt(2), 0));
  MTS_ASSIGN(const Tensor w, centred(c, c.in(1), c.opt(3), 0));
  MTS_ASSIGN(const Tensor sums, convolve(c, x, w, nullptr, false));
  Tensor out(DType::kInt32, sums.dims());
  for (int64_t i = 0; i < out.element_count(); ++i)
    out.mutable_as<int32_t>()[i] = number_cast<int32_t>(sums.as<double>()[i]);
  return one(std::move(out));
}

// x, x_scale, x_zero_point, w, w_scale, w_zero_point, y_scale, y_zero_point, bias
Outputs qlinear_conv(const Call& c) {
  MTS_ASSIGN(const Tensor x, centred(c, c.in(0), c.opt(2), 0));
  MTS_ASSIGN(const Tensor w, centred(c, c.in(3), c.opt(5), 0));
  std::optional<Tensor> bias;
  if (const Tensor* given = c.opt(8)) {
    MTS_ASSIGN(bias, centred(c, *given, nullptr, 0));
  }
  MTS_ASSIGN(const Tensor sums, convolve(c, x, w, bias ? &*bias : nullptr, false));
  MTS_ASSIGN(Tensor out, requantise(c, sums, c.in(1), c.in(4), c.in(6), c.in(7), 1));
  return one(std::move(out));
}

constexpr Operator kTable[] = {
    {"Conv", "", 1, kLatest, 2, kWiden, conv},
    {"ConvTranspose", "", 1, kLatest, 2, kWiden, conv_transpose},
    {"ConvInteger", "", 10, kLatest, 2, kPlain, conv_integer},
    {"QLinearConv", "", 10, kLatest, 8, kPlain, qlinear_conv},
};

}  // namespace

std::span<const Operator> conv_operators() { return kTable; }

}  // namespace mts::ref
