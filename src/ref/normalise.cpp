// Normalisations: Batch, Instance, Group, Layer, RMS, local response, Lp, mean-variance.
#include "ref/dispatch.h"
#include "ref/layout.h"
#include "ref/operators.h"

#include <cmath>
#include <functional>

#include <fmt/format.h>

namespace mts::ref {
namespace {

struct Moments {
  double mean, variance;
};

// Over `count` elements.
template <class T>
Moments moments_of(const T* x, int64_t count) {
  double sum = 0, squares = 0;
  for (int64_t i = 0; i < count; ++i) sum += static_cast<double>(x[i]);
  const double mean = sum / static_cast<double>(count);
  for (int64_t i = 0; i < count; ++i)
    squares += (static_cast<double>(x[i]) - mean) * (static_cast<double>(x[i]) - mean);
  return {mean, squares / static_cast<double>(count)};
}

// A parameter as doubles: any float type, `count` elements.
Result<std::vector<double>> parameter(const Call& c, size_t input, int64_t count) {
  const Tensor& x = c.in(input);
  if (x.element_count() != count) {
    return c.bad(fmt::format("input {} has {} elements instead of {}", input, x.element_count(), count));
  }
  std::vector<double> values(static_cast<size_t>(count));
  const bool known =
      visit(kFloats, x.dtype(), [&]<class T>(Tag<T>) { std::copy_n(x.as<T>(), count, values.begin()); });
  if (!known) return c.bad_dtype(x);
  return values;
}

Tensor float_tensor(DType dtype, const Dims& dims, const std::vector<double>& values) {
  Tensor out(dtype, dims);
  visit(kFloats, dtype, [&]<class T>(Tag<T>) {
    for (size_t i = 0; i < values.size(); ++i) out.mutable_as<T>()[i] = static_cast<T>(values[i]);
  });
  return out;
}

Outputs batch_normalization(const Call& c) {
  const Tensor& x = c.in(0);
  if (x.dims().empty()) return c.bad("its input is a scalar");
  const int64_t batch = x.dims()[0], channels = x.dims().size() > 1 ? x.dims()[1] : 1;
  const int64_t size = product(x.dims(), std::min<size_t>(2, x.dims().size()), x.dims().size());
  const bool training = c.version >= 14  ? c.node.int_or("training_mode", 0) != 0
                        : c.version >= 7 ? c.wants(1)  // by the number of outputs
                                         : c.node.int_or("is_test", 0) == 0;
  if (c.version < 7 && training) return c.unsupported("BatchNormalization in training mode before opset 7");
  if (c.version < 9 && c.node.int_or("spatial", 1) == 0)
    return c.unsupported("BatchNormalization with spatial = 0");
  MTS_ASSIGN(const std::vector<double> scale, parameter(c, 1, channels));
  MTS_ASSIGN(const std::vector<double> bias, parameter(c, 2, channels));
  MTS_ASSIGN(std::vector<double> mean, parameter(c, 3, channels));
  MTS_ASSIGN(std::vector<double> variance, parameter(c, 4, channels));
  const double epsilon = c.node.float_or("epsilon", 1e-5f), momentum = c.node.float_or("momentum", 0.9f);
  Tensor out(x.dtype(), x.dims());
  std::vector<double> running_mean, running_variance;
  const bool known = visit(kFloats, x.dtype(), [&]<class T>(Tag<T>) {
    for (int64_t channel = 0; channel < channels; ++channel) {
      const auto k = static_cast<size_t>(channel);
      if (training) {
        std::vector<double> all;
        for (int64_t n = 0; n < batch; ++n) {
          const T* from = x.as<T>() + (n * channels + channel) * size;
          all.insert(all.end(), from, from + size);
        }
        const Moments m = moments_of(all.data(), batch * size);
        running_mean.push_back(mean[k] * momentum + m.mean * (1 - momentum));
        running_variance.push_back(variance[k] * momentum + m.variance * (1 - momentum));
        mean[k] = m.mean;
        variance[k] = m.variance;
      }
      const double factor = scale[k] / std::sqrt(variance[k] + epsilon);
      for (int64_t n = 0; n < batch; ++n) {
        const int64_t at = (n * channels + channel) * size;
        for (int64_t i = 0; i < size; ++i) {
          out.mutable_as<T>()[at + i] =
              static_cast<T>((static_cast<double>(x.as<T>()[at + i]) - mean[k]) * factor + bias[k]);
        }
      }
    }
  });
  if (!known) return c.bad_dtype(x);
  std::vector<Datum> result = one(std::move(out));
  if (training) {
    result.emplace_back(float_tensor(c.in(3).dtype(), c.in(3).dims(), running_mean));
    result.emplace_back(float_tensor(c.in(4).dtype(), c.in(4).dims(), running_variance));
    if (c.version < 14) {  // and those of the batch
      result.emplace_back(float_tensor(c.in(3).dtype(), c.in(3).dims(), mean));
      result.emplace_back(float_tensor(c.in(4).dtype(), c.in(4).dims(), variance));
    }
  }
  return result;
}

// x of shape [N, C, ...] normalised over groups of channels with everything behind them; `scale` and `bias`
// have one value a channel, or one a group.
Outputs normalise_groups(const Call& c, int64_t groups) {
  const Tensor& x = c.in(0);
  if (x.dims().size() < 2) return c.bad("an input [N, C, ...] is expected");
  const int64_t batch = x.dims()[0], channels = x.dims()[1], size = product(x.dims(), 2, x.dims().size());
  if (groups < 1 || channels % groups != 0) return c.bad("num_groups does not divide the number of channels");
  const int64_t parameters = c.in(1).element_count();
  if (parameters != channels && parameters != groups) return c.bad("its scale does not fit the channels");
  MTS_ASSIGN(const std::vector<double> scale, parameter(c, 1, parameters));
  MTS_ASSIGN(const std::vector<double> bias, parameter(c, 2, parameters));
  const double epsilon = c.node.float_or("epsilon", 1e-5f);
  const int64_t width = channels / groups;
  Tensor out(x.dtype(), x.dims());
  const bool known = visit(kFloats, x.dtype(), [&]<class T>(Tag<T>) {
    for (int64_t block = 0; block < batch * groups; ++block) {
      const T* from = x.as<T>() + block * width * size;
      T* to = out.mutable_as<T>() + block * width * size;
      const Moments m = moments_of(from, width * size);
      const double factor = 1 / std::sqrt(m.variance + epsilon);
      const int64_t group = block % groups;
      for (int64_t i = 0; i < width * size; ++i) {
        const auto k = static_cast<size_t>(parameters == channels ? group * width + i / size : group);
        to[i] = static_cast<T>((static_cast<double>(from[i]) - m.mean) * factor * scale[k] + bias[k]);
      }
    }
  });
  if (!known) return c.bad_dtype(x);
  return one(std::move(out));
}

Outputs instance_normalization(const Call& c) {
  const Dims& dims = c.in(0).dims();
  return normalise_groups(c, dims.size() > 1 ? dims[1] : 1);
}

Outputs group_normalization(const Call& c) { return normalise_groups(c, c.node.int_or("num_groups", 0)); }

// Scale and bias of Layer- and RMSNormalization: broadcast to the normalised axes (or to the whole input).
Result<Tensor> affine_operand(const Call& c, const Tensor* given, const Tensor& x) {
  if (!given) return Tensor();
  if (broadcast(x.dims(), given->dims()) != x.dims())
    return c.bad("its scale or bias does not broadcast to its input");
  Tensor wide(DType::kFloat64, given->dims());
  const bool known = visit(kFloats, given->dtype(), [&]<class T>(Tag<T>) {
    std::copy_n(given->as<T>(), given->element_count(), wide.mutable_as<double>());
  });
  if (!known) return c.bad_dtype(*given);
  return expand(wide, x.dims());
}

// y = (x - mean) / sqrt(var + epsilon) * scale + bias over the axes from `axis` on; RMS leaves out the mean.
Outputs normalise_trailing(const Call& c, const Tensor& x, const Tensor* scale_in, const Tensor* bias_in,
                           int64_t given_axis, bool rms, double epsilon) {
  MTS_ASSIGN(const size_t axis, c.axis(given_axis, x.dims().size()));
  MTS_ASSIGN(const Tensor scale, affine_operand(c, scale_in, x));
  MTS_ASSIGN(const Tensor bias, affine_operand(c, bias_in, x));
  const int64_t outer = product(x.dims(), 0, axis), size = product(x.dims(), axis, x.dims().size());
  Dims kept = x.dims();
  for (size_t i = axis; i < kept.size(); ++i) kept[i] = 1;
  Tensor out(x.dtype(), x.dims());
  const DType stash = x.dtype() == DType::kFloat64 ? DType::kFloat64 : DType::kFloat32;
  std::vector<double> means, deviations;
  const bool known = visit(kFloats, x.dtype(), [&]<class T>(Tag<T>) {
    for (int64_t o = 0; o < outer; ++o) {
      const T* from = x.as<T>() + o * size;
      Moments m = moments_of(from, size);
      if (rms) m = {0, m.variance + m.mean * m.mean};
      const double factor = 1 / std::sqrt(m.variance + epsilon);
      means.push_back(m.mean);
      deviations.push_back(factor);
      for (int64_t i = 0; i < size; ++i) {
        const int64_t at = o * size + i;
        double y = (static_cast<double>(from[i]) - m.mean) * factor;
        if (scale.defined()) y *= scale.as<double>()[at];
        if (bias.defined()) y += bias.as<double>()[at];
        out.mutable_as<T>()[at] = static_cast<T>(y);
      }
    }
  });
  if (!known) return c.bad_dtype(x);
  std::vector<Datum> result = one(std::move(out));
  if (c.wants(1) || c.wants(2)) {
    result.emplace_back(float_tensor(stash, kept, means));
    result.emplace_back(float_tensor(stash, kept, deviations));
  }
  return result;
}

Outputs layer_normalization(const Call& c) {
  return normalise_trailing(c, c.in(0), &c.in(1), c.opt(2), c.node.int_or("axis", -1), false,
                            c.node.float_or("epsilon", 1e-5f));
}

Outputs rms_normalization(const Call& c) {
  return normalise_trailing(c, c.in(0), &c.in(1), nullptr, c.node.int_or("axis", -1), true,
                            c.node.float_or("epsilon", 1e-5f));
}

Outputs lrn(const Call& c) {
  const Tensor& x = c.in(0);
  const int64_t size = c.node.int_or("size", 0);
  if (size < 1 || x.dims().size() < 2) return c.bad("size is missing, or the input is not [N, C, ...]");
  const double alpha = c.node.float_or("alpha", 1e-4f), beta = c.node.float_or("beta", 0.75f),
               bias = c.node.float_or("bias", 1.0f);
  const Split3 s = split_at(x.dims(), 1);
  Tensor out(x.dtype(), x.dims());
  const bool known = visit(kFloats, x.dtype(), [&]<class T>(Tag<T>) {
    for (int64_t n = 0; n < s.outer; ++n) {
      for (int64_t channel = 0; channel < s.length; ++channel) {
        const int64_t first = std::max<int64_t>(0, channel - (size - 1) / 2);
        const int64_t last = std::min(s.length - 1, channel + size / 2);
        for (int64_t i = 0; i < s.inner; ++i) {
          double squares = 0;
          for (int64_t k = first; k <= last; ++k) {
            const auto value = static_cast<double>(x.as<T>()[(n * s.length + k) * s.inner + i]);
            squares += value * value;
          }
          const int64_t at = (n * s.length + channel) * s.inner + i;
          out.mutable_as<T>()[at] =
              static_cast<T>(static_cast<double>(x.as<T>()[at]) /
                             std::pow(bias + alpha / static_cast<double>(size) * squares, beta));
        }
      }
    }
  });
  if (!known) return c.bad_dtype(x);
  return one(std::move(out));
}

Outputs lp_normalization(const Call& c) {
  const Tensor& x = c.in(0);
  const int64_t p = c.node.int_or("p", 2);
  if (p != 1 && p != 2) return c.bad("p is neither 1 nor 2");
  MTS_ASSIGN(const size_t axis, c.axis(c.node.int_or("axis", -1), x.dims().size()));
  const Split3 s = split_at(x.dims(), axis);
  Tensor out(x.dtype(), x.dims());
  const bool known = visit(kFloats, x.dtype(), [&]<class T>(Tag<T>) {
    for (int64_t o = 0; o < s.outer; ++o) {
      for (int64_t i = 0; i < s.inner; ++i) {
        const int64_t at = o * s.length * s.inner + i;
        double norm = 0;
        for (int64_t k = 0; k < s.length; ++k) {
          const auto value = static_cast<double>(x.as<T>()[at + k * s.inner]);
          norm += p == 1 ? std::fabs(value) : value * value;
        }
        if (p == 2) norm = std::sqrt(norm);
        for (int64_t k = 0; k < s.length; ++k) {
          const auto value = static_cast<double>(x.as<T>()[at + k * s.inner]);
          out.mutable_as<T>()[at + k * s.inner] = static_cast<T>(norm == 0 ? 0 : value / norm);
        }
      }
    }
  });
  if (!known) return c.bad_dtype(x);
  return one(std::move(out));
}

Outputs mean_variance_normalization(const Call& c) {
  const Tensor& x = c.in(0);
  const std::vector<int64_t> given = c.node.ints_or("axes", {0, 2, 3});
  MTS_ASSIGN(const std::vector<size_t> axes, c.axes(given, x.dims().size()));
  Dims kept = x.dims();
  int64_t count = 1;
  for (size_t axis : axes) {
    count *= kept[axis];
    kept[axis] = 1;
  }
  Tensor out(x.dtype(), x.dims());
  const bool known = visit(kFloats, x.dtype(), [&]<class T>(Tag<T>) {
    std::vector<double> sums(static_cast<size_t>(product(kept))), squares(sums.size());
    const Rows<2> rows(x.dims(), {strides_of(x.dims()), broadcast_strides(kept, x.dims())});
    const auto sweep = [&](auto&& f) {
      rows.for_each([&](const std::array<int64_t, 2>& at, int64_t length) {
        for (int64_t i = 0; i < length; ++i)
          f(at[0] + i * rows.inner[0], static_cast<size_t>(at[1] + i * rows.inner[1]));
      });
    };
    const auto n = static_cast<double>(count);
    sweep([&](int64_t from, size_t to) { sums[to] += static_cast<double>(x.as<T>()[from]); });
    sweep([&](int64_t from, size_t to) {
      const double centred = static_cast<double>(x.as<T>()[from]) - sums[to] / n;
      squares[to] += centred * centred;
    });
    sweep([&](int64_t from, size_t to) {
      const double deviation = std::sqrt(squares[to] / n) + 1e-9;
      out.mutable_as<T>()[from] =
          static_cast<T>((static_cast<double>(x.as<T>()[from]) - sums[to] / n) / deviation);
    });
  });
  if (!known) return c.bad_dtype(x);
  return one(std::move(out));
}

// Adds input, skip and an optional bias, then normalises; the sum is the fourth output.
template <bool kRms>
Outputs skip_normalization(const Call& c) {
  const Tensor &x = c.in(0), &skip = c.in(1);
  const Tensor* sum_bias = kRms ? c.opt(3) : c.opt(4);
  if (skip.dtype() != x.dtype() || broadcast(x.dims(), skip.dims()) != x.dims())
    return c.bad("skip does not fit the input");
  if (sum_bias && (sum_bias->dtype() != x.dtype() || broadcast(x.dims(), sum_bias->dims()) != x.dims())) {
    return c.bad("the bias does not fit the input");
  }
  Tensor sum(x.dtype(), x.dims());
  const Tensor added = expand(skip, x.dims()), bias = sum_bias ? expand(*sum_bias, x.dims()) : Tensor();
  const bool known = visit(kFloats, x.dtype(), [&]<class T>(Tag<T>) {
    for (int64_t i = 0; i < x.element_count(); ++i) {
      sum.mutable_as<T>()[i] = x.as<T>()[i] + added.as<T>()[i] + (sum_bias ? bias.as<T>()[i] : T{0});
    }
  });
  if (!known) return c.bad_dtype(x);
  const double epsilon = c.node.float_or("epsilon", 1e-12f);
  MTS_ASSIGN(std::vector<Datum> result,
             normalise_trailing(c, sum, &c.in(2), kRms ? nullptr : c.opt(3), -1, kRms, epsilon));
  result.resize(3);
  result.emplace_back(std::move(sum));
  return result;
}

constexpr Operator kTable[] = {
    {"BatchNormalization", "", 1, kLatest, 5, kWiden, batch_normalization},
    {"InstanceNormalization", "", 1, kLatest, 3, kWiden, instance_normalization},
    {"GroupNormalization", "", 18, kLatest, 3, kWiden, group_normalization},
    {"LayerNormalization", "", 17, kLatest, 2, kWidenFirst, layer_normalization},
    {"RMSNormalization", "", 23, kLatest, 2, kWiden, rms_normalization},
    {"LRN", "", 1, kLatest, 1, kWiden, lrn},
    {"LpNormalization", "", 1, kLatest, 1, kWiden, lp_normalization},
    {"MeanVarianceNormalization", "", 9, kLatest, 1, kWiden, mean_variance_normalization},
    {"LayerNormalization", "", 1, 16, 2, kWidenFirst,
     layer_normalization},  // ONNX Runtime wrote it before it was standard
    {"SimplifiedLayerNormalization", "", 1, kLatest, 2, kWidenFirst, rms_normalization},  // likewise
    {"SkipLayerNormalization", "com.microsoft", 1, kLatest, 3, kWiden, skip_normalization<false>},
    {"SkipSimplifiedLayerNormalization", "com.microsoft", 1, kLatest, 3, kWiden, skip_normalization<true>},
};

}  // namespace

std::span<const Operator> normalise_operators() { return kTable; }

}  // namespace mts::ref
