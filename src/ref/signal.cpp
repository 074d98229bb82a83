// Signal processing: DFT, STFT, windows, MelWeightMatrix. Transforms are sums over all pairs: oracles, not
// fast ones.
#include "ref/convert.h"
#include "ref/layout.h"
#include "ref/operators.h"

#include <cmath>
#include <complex>
#include <numbers>
#include <optional>
#include <vector>

#include <fmt/format.h>

namespace mts::ref {
namespace {

using Complex = std::complex<double>;

// X[k] = sum_n x[n] exp(-+2 pi i k n / length), divided by the length when inverse; x is cut or extended by
// zeros.
std::vector<Complex> transform(const std::vector<Complex>& x, int64_t length, bool inverse) {
  std::vector<Complex> roots(static_cast<size_t>(length));
  for (int64_t i = 0; i < length; ++i) {
    roots[static_cast<size_t>(i)] = std::polar(
        1.0, (inverse ? 2 : -2) * std::numbers::pi * static_cast<double>(i) / static_cast<double>(length));
  }
  std::vector<Complex> out(static_cast<size_t>(length));
  const int64_t terms = std::min(length, static_cast<int64_t>(x.size()));
  for (int64_t k = 0; k < length; ++k) {
    Complex sum = 0;
    for (int64_t n = 0; n < terms; ++n)
      sum += x[static_cast<size_t>(n)] * roots[static_cast<size_t>(k * n % length)];
    out[static_cast<size_t>(k)] = inverse ? sum / static_cast<double>(length) : sum;
  }
  return out;
}

// [.., L, .., 1 or 2] -> [.., K, .., 2]; the last axis holds real and imaginary parts.
Outputs dft(const Call& c) {
  const Tensor& x = c.in(0);
  const auto rank = x.dims().size();
  if (rank < 2 || (x.dims().back() != 1 && x.dims().back() != 2))
    return c.bad("an input [..., 1 or 2] is expected");
  int64_t given_axis = c.version < 20 ? c.node.int_or("axis", 1) : -2;
  if (const Tensor* given = c.version >= 20 ? c.opt(2) : nullptr) {
    MTS_ASSIGN(given_axis, c.scalar_int(*given));
  }
  MTS_ASSIGN(const size_t axis, c.axis(given_axis, rank));
  if (axis == rank - 1) return c.bad("it transforms the axis of real and imaginary parts");
  const bool inverse = c.node.int_or("inverse", 0) != 0, onesided = c.node.int_or("onesided", 0) != 0;
  const int64_t parts = x.dims().back();
  int64_t length = inverse && onesided ? 2 * (x.dims()[axis] - 1) : x.dims()[axis];
  if (const Tensor* given = c.opt(1)) {
    MTS_ASSIGN(length, c.scalar_int(*given));
  }
  if (length < 1 || length > 1 << 24) return c.bad(fmt::format("the length of the transform is {}", length));
  const bool real_out = inverse && onesided;
  Dims dims = x.dims();
  dims[axis] = onesided && !inverse ? length / 2 + 1 : length;
  dims.back() = real_out ? 1 : 2;
  MTS_TRY(c.check_dims(dims));
  MTS_ASSIGN(const std::vector<double> values, to_doubles(c, x));
  std::vector<double> out(static_cast<size_t>(product(dims)), 0);
  const Split3 s = split_at(x.dims(), axis);
  const int64_t inner = s.inner / parts, out_parts = dims.back();
  for (int64_t o = 0; o < s.outer; ++o) {
    for (int64_t i = 0; i < inner; ++i) {
      std::vector<Complex> line;
      for (int64_t n = 0; n < s.length; ++n) {
        const double* at = values.data() + ((o * s.length + n) * inner + i) * parts;
        line.emplace_back(at[0], parts == 2 ? at[1] : 0);
      }
      if (real_out) {  // the other half is the conjugate
        line.resize(static_cast<size_t>(length / 2 + 1));
        for (int64_t n = length / 2 + 1; n < length; ++n)
          line.push_back(std::conj(line[static_cast<size_t>(length - n)]));
        line[0] = line[0].real();
        if (length % 2 == 0)
          line[static_cast<size_t>(length / 2)] = line[static_cast<size_t>(length / 2)].real();
      }
      const std::vector<Complex> result = transform(line, length, inverse);
      for (int64_t k = 0; k < dims[axis]; ++k) {
        double* to = out.data() + ((o * dims[axis] + k) * inner + i) * out_parts;
        to[0] = result[static_cast<size_t>(k)].real();
        if (out_parts == 2) to[1] = result[static_cast<size_t>(k)].imag();
      }
    }
  }
  MTS_ASSIGN(Tensor result, from_doubles(c, out, x.dtype(), dims));
  return one(std::move(result));
}

// signal [B, L, 1 or 2], frame_step, window, frame_length -> [B, frames, K, 2].
Outputs stft(const Call& c) {
  const Tensor& signal = c.in(0);
  if (signal.dims().size() != 3 || (signal.dims()[2] != 1 && signal.dims()[2] != 2))
    return c.bad("a signal [B, L, 1 or 2] is expected");
  MTS_ASSIGN(const int64_t step, c.scalar_int(c.in(1)));
  const Tensor* window = c.opt(2);
  int64_t frame = window ? window->element_count() : signal.dims()[1];
  if (const Tensor* given = c.opt(3)) {
    MTS_ASSIGN(frame, c.scalar_int(*given));
  }
  if (step < 1 || frame < 1 || frame > signal.dims()[1] || (window && window->element_count() != frame))
    return c.bad("the frame does not fit the signal or the window");
  const bool onesided = c.node.int_or("onesided", 1) != 0;
  const int64_t batch = signal.dims()[0], length = signal.dims()[1], parts = signal.dims()[2];
  const int64_t frames = 1 + (length - frame) / step, bins = onesided ? frame / 2 + 1 : frame;
  MTS_ASSIGN(const std::vector<double> values, to_doubles(c, signal));
  std::vector<double> weights(static_cast<size_t>(frame), 1);
  if (window) {
    MTS_ASSIGN(weights, to_doubles(c, *window));
  }
  const Dims dims{batch, frames, bins, 2};
  MTS_TRY(c.check_dims(dims));
  std::vector<double> out;
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t f = 0; f < frames; ++f) {
      std::vector<Complex> line;
      for (int64_t n = 0; n < frame; ++n) {
        const double* at = values.data() + (b * length + f * step + n) * parts;
        line.push_back(Complex(at[0], parts == 2 ? at[1] : 0) * weights[static_cast<size_t>(n)]);
      }
      const std::vector<Complex> result = transform(line, frame, false);
      for (int64_t k = 0; k < bins; ++k)
        out.insert(out.end(), {result[static_cast<size_t>(k)].real(), result[static_cast<size_t>(k)].imag()});
    }
  }
  MTS_ASSIGN(Tensor result, from_doubles(c, out, signal.dtype(), dims));
  return one(std::move(result));
}

// a0 - a1 cos(2 pi n / N) + a2 cos(4 pi n / N)
Outputs cosine_window(const Call& c, double a0, double a1, double a2) {
  MTS_ASSIGN(const int64_t size, c.scalar_int(c.in(0)));
  MTS_TRY(c.check_dims({size}));
  const auto period = static_cast<double>(c.node.int_or("periodic", 1) != 0 ? size : size - 1);
  std::vector<double> values;
  for (int64_t n = 0; n < size; ++n) {
    const double angle = 2 * std::numbers::pi * static_cast<double>(n) / period;
    values.push_back(size == 1 ? 1 : a0 - a1 * std::cos(angle) + a2 * std::cos(2 * angle));
  }
  MTS_ASSIGN(Tensor result,
             from_doubles(c, values, static_cast<DType>(c.node.int_or("output_datatype", 1)), {size}));
  return one(std::move(result));
}
Outputs hann_window(const Call& c) { return cosine_window(c, 0.5, 0.5, 0); }
Outputs hamming_window(const Call& c) { return cosine_window(c, 25.0 / 46, 21.0 / 46, 0); }
Outputs blackman_window(const Call& c) { return cosine_window(c, 0.42, 0.5, 0.08); }

Outputs mel_weight_matrix(const Call& c) {
  MTS_ASSIGN(const int64_t bins, c.scalar_int(c.in(0)));
  MTS_ASSIGN(const int64_t dft_length, c.scalar_int(c.in(1)));
  MTS_ASSIGN(const int64_t sample_rate, c.scalar_int(c.in(2)));
  MTS_ASSIGN(const double lower, c.scalar(c.in(3)));
  MTS_ASSIGN(const double upper, c.scalar(c.in(4)));
  const int64_t rows = dft_length / 2 + 1;
  const Dims dims{rows, bins};
  MTS_TRY(c.check_dims(dims));
  if (sample_rate < 1 || dft_length < 1 || bins < 1) return c.bad("its sizes are not positive");
  const auto mel_of = [](double hertz) { return 2595 * std::log10(1 + hertz / 700); };
  const double low = mel_of(lower), step = (mel_of(upper) - low) / static_cast<double>(bins + 2);
  std::vector<int64_t> edges;
  for (int64_t i = 0; i < bins + 2; ++i) {
    const double hertz = 700 * (std::pow(10.0, (static_cast<double>(i) * step + low) / 2595) - 1);
    const double edge =
        std::floor(static_cast<double>(dft_length + 1) * hertz / static_cast<double>(sample_rate));
    if (!(edge >= 0 && edge <= static_cast<double>(rows))) return c.bad("a frequency is beyond the spectrum");
    edges.push_back(static_cast<int64_t>(edge));
  }
  std::vector<double> out(static_cast<size_t>(rows * bins), 0);
  const auto put = [&](int64_t row, int64_t column, double value) {
    if (row < rows) out[static_cast<size_t>(row * bins + column)] = value;
  };
  for (int64_t i = 0; i < bins; ++i) {
    const int64_t left = edges[static_cast<size_t>(i)], centre = edges[static_cast<size_t>(i) + 1],
                  right = edges[static_cast<size_t>(i) + 2];
    if (centre == left) put(centre, i, 1);
    for (int64_t j = left; j <= centre && centre > left; ++j)
      put(j, i, static_cast<double>(j - left) / static_cast<double>(centre - left));
    for (int64_t j = centre; j < right; ++j)
      put(j, i, static_cast<double>(right - j) / static_cast<double>(right - centre));
  }
  MTS_ASSIGN(Tensor result,
             from_doubles(c, out, static_cast<DType>(c.node.int_or("output_datatype", 1)), dims));
  return one(std::move(result));
}

constexpr Operator kTable[] = {
    {"DFT", "", 17, kLatest, 1, kWiden, dft},
    {"STFT", "", 17, kLatest, 2, kWiden, stft},
    {"HannWindow", "", 17, kLatest, 1, kPlain, hann_window},
    {"HammingWindow", "", 17, kLatest, 1, kPlain, hamming_window},
    {"BlackmanWindow", "", 17, kLatest, 1, kPlain, blackman_window},
    {"MelWeightMatrix", "", 17, kLatest, 5, kWiden, mel_weight_matrix},
};

}  // namespace

std::span<const Operator> signal_operators() { return kTable; }

}  // namespace mts::ref
