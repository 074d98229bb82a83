// Operators that cut, pad or generate regular patterns: Slice, Pad, ReverseSequence, Trilu, Range, EyeLike,
// CenterCropPad.
#include "ref/dispatch.h"
#include "ref/layout.h"
#include "ref/operators.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include <fmt/format.h>

namespace mts::ref {
namespace {

Outputs slice(const Call& c) {
  const Tensor& x = c.in(0);
  MTS_ASSIGN(const auto starts, c.ints_attribute_or_input("starts", 1, 10));
  MTS_ASSIGN(const auto ends, c.ints_attribute_or_input("ends", 2, 10));
  MTS_ASSIGN(const auto given_axes, c.ints_attribute_or_input("axes", 3, 10));
  if (!starts || !ends) return c.bad("its starts or ends are missing");
  std::vector<int64_t> steps(starts->size(), 1), axis_values(starts->size());
  std::iota(axis_values.begin(), axis_values.end(), 0);
  if (const Tensor* given = c.version >= 10 ? c.opt(4) : nullptr) {
    MTS_ASSIGN(steps, c.ints(*given));
  }
  if (given_axes) axis_values = *given_axes;
  if (ends->size() != starts->size() || axis_values.size() != starts->size() ||
      steps.size() != starts->size()) {
    return c.bad("starts, ends, axes and steps have different lengths");
  }
  MTS_ASSIGN(const std::vector<size_t> axes, c.axes(axis_values, x.dims().size()));
  Dims dims = x.dims(), strides = strides_of(x.dims());
  int64_t offset = 0;
  for (size_t i = 0; i < axes.size(); ++i) {
    const int64_t length = x.dims()[axes[i]];
    // A step beyond the axis takes its first element; clamped so that nothing overflows.
    const int64_t step = std::clamp<int64_t>(steps[i], -length - 1, length + 1);
    if (step == 0) return c.bad("a step is 0");
    const auto from_end = [&](int64_t at) { return at < 0 ? at + length : at; };
    const int64_t low = step > 0 ? 0 : -1, high = step > 0 ? length : length - 1;
    const int64_t start =
        std::clamp(from_end((*starts)[i]), step > 0 ? low : std::min<int64_t>(0, high), high);
    const int64_t end = std::clamp(from_end((*ends)[i]), low, step > 0 ? length : high);
    const int64_t count = step > 0 ? (end - start + step - 1) / step : (start - end - step - 1) / -step;
    dims[axes[i]] = length == 0 ? 0 : std::max<int64_t>(0, count);
    offset += start * strides[axes[i]];
    strides[axes[i]] *= step;
  }
  if (product(dims) == 0) return one(Tensor(x.dtype(), dims));
  return one(copy_strided(x, offset, strides, dims));
}

// Where position `at` of a padded axis of `length` elements reads from; -1: from the padding.
int64_t padded_source(int64_t at, int64_t length, const std::string& mode) {
  if (at >= 0 && at < length) return at;
  if (mode == "constant" || length == 0) return -1;
  if (mode == "edge") return at < 0 ? 0 : length - 1;
  if (mode == "wrap") return ((at % length) + length) % length;
  if (length == 1) return 0;  // reflect
  const int64_t period = 2 * (length - 1);
  const int64_t phase = ((at % period) + period) % period;
  return phase < length ? phase : period - phase;
}

Outputs pad(const Call& c) {
  const Tensor& x = c.in(0);
  const std::string mode = c.node.string_or("mode", "constant");
  if (mode != "constant" && mode != "edge" && mode != "reflect" && mode != "wrap")
    return c.bad("mode is " + mode);
  const std::string_view name = c.version >= 2 || c.node.find("pads") ? "pads" : "paddings";
  MTS_ASSIGN(const auto pads, c.ints_attribute_or_input(name, 1, 11));
  if (!pads) return c.bad("its pads are missing");
  std::vector<int64_t> axis_values(x.dims().size());
  std::iota(axis_values.begin(), axis_values.end(), 0);
  if (const Tensor* given = c.version >= 18 ? c.opt(3) : nullptr) {
    MTS_ASSIGN(axis_values, c.ints(*given));
  }
  MTS_ASSIGN(const std::vector<size_t> axes, c.axes(axis_values, x.dims().size()));
  if (pads->size() != 2 * axes.size()) return c.bad("pads does not have two values an axis");

  Tensor fill(x.dtype(), {1});
  if (x.dtype() != DType::kString) std::fill_n(fill.mutable_data(), fill.byte_size(), std::byte{0});
  if (const Tensor* given = c.version >= 11 ? c.opt(2) : nullptr; given && given->element_count() != 0) {
    if (given->dtype() != x.dtype() || given->element_count() != 1)
      return c.bad("its constant is not one value of the input's type");
    fill = given->reshaped({1});
  } else if (c.version < 11) {
    visit(kFloats, x.dtype(),
          [&]<class T>(Tag<T>) { *fill.mutable_as<T>() = static_cast<T>(c.node.float_or("value", 0)); });
  }

  Dims dims = x.dims(), begin(dims.size(), 0);
  for (size_t i = 0; i < axes.size(); ++i) {
    constexpr int64_t kLargest = int64_t{1} << 31;
    for (int64_t value : {(*pads)[i], (*pads)[axes.size() + i]}) {
      if (value < -kLargest || value > kLargest) return c.bad(fmt::format("pads holds {}", value));
    }
    begin[axes[i]] = (*pads)[i];
    dims[axes[i]] += (*pads)[i] + (*pads)[axes.size() + i];
    if (mode != "constant" && x.dims()[axes[i]] == 0 && dims[axes[i]] > 0)
      return c.bad("it extends an empty axis");
  }
  MTS_TRY(c.check_dims(dims));
  // Source positions axis by axis, then their sums.
  std::vector<int64_t> sources{0};
  const Dims own = strides_of(x.dims());
  for (size_t axis = 0; axis < dims.size(); ++axis) {
    std::vector<int64_t> next;
    next.reserve(sources.size() * static_cast<size_t>(dims[axis]));
    for (int64_t base : sources) {
      for (int64_t i = 0; i < dims[axis]; ++i) {
        const int64_t at = padded_source(i - begin[axis], x.dims()[axis], mode);
        next.push_back(base < 0 || at < 0 ? -1 : base + at * own[axis]);
      }
    }
    sources = std::move(next);
  }
  return one(take(x, sources, dims, &fill));
}

Outputs reverse_sequence(const Call& c) {
  const Tensor& x = c.in(0);
  MTS_ASSIGN(const std::vector<int64_t> lengths, c.ints(c.in(1)));
  const int64_t batch_axis = c.node.int_or("batch_axis", 1), time_axis = c.node.int_or("time_axis", 0);
  if (x.dims().size() < 2 || batch_axis + time_axis != 1 || batch_axis * time_axis != 0)
    return c.bad("its axes are not 0 and 1");
  const int64_t time = x.dims()[static_cast<size_t>(time_axis)],
                batch = x.dims()[static_cast<size_t>(batch_axis)];
  if (static_cast<int64_t>(lengths.size()) != batch)
    return c.bad("sequence_lens does not fit the batch axis");
  const int64_t inner = product(x.dims(), 2, x.dims().size());
  Tensor out(x.dtype(), x.dims());
  for (int64_t b = 0; b < batch; ++b) {
    const int64_t length = lengths[static_cast<size_t>(b)];
    if (length < 0 || length > time)
      return c.bad(fmt::format("a sequence of length {} in {} steps", length, time));
    for (int64_t t = 0; t < time; ++t) {
      const int64_t source = t < length ? length - 1 - t : t;
      const auto row = [&](int64_t step) {
        return (time_axis == 0 ? step * batch + b : b * time + step) * inner;
      };
      copy_elements(x, row(source), out, row(t), inner);
    }
  }
  return one(std::move(out));
}

Outputs trilu(const Call& c) {
  const Tensor& x = c.in(0);
  if (x.dims().size() < 2) return c.bad("it takes matrices");
  const bool upper = c.node.int_or("upper", 1) != 0;
  int64_t k = 0;
  if (const Tensor* given = c.opt(1)) {
    MTS_ASSIGN(k, c.scalar_int(*given));
  }
  const int64_t rows = x.dims()[x.dims().size() - 2], columns = x.dims().back();
  k = std::clamp(k, -rows - columns, rows + columns);
  std::vector<int64_t> sources(static_cast<size_t>(x.element_count()));
  for (size_t i = 0; i < sources.size(); ++i) {
    const auto at = static_cast<int64_t>(i);
    const int64_t column = at % columns, row = at / columns % rows;
    sources[i] = (upper ? column - row >= k : column - row <= k) ? at : -1;
  }
  return one(take(x, sources, x.dims()));
}

Outputs range(const Call& c) {
  const Tensor &start = c.in(0), &limit = c.in(1), &delta = c.in(2);
  for (const Tensor* x : {&start, &limit, &delta}) {
    if (x->dtype() != start.dtype() || x->element_count() != 1)
      return c.bad("start, limit and delta are not scalars of one type");
  }
  int64_t count = -1;
  Tensor out;
  const bool known = visit(kNumeric, start.dtype(), [&]<class T>(Tag<T>) {
    const T first = *start.as<T>(), last = *limit.as<T>(), step = *delta.as<T>();
    const double steps =
        std::ceil((static_cast<double>(last) - static_cast<double>(first)) / static_cast<double>(step));
    if (step == 0 || !(std::abs(steps) < 2147483648.0)) return;
    count = static_cast<int64_t>(std::max(0.0, steps));
    out = Tensor(start.dtype(), {count});
    for (int64_t i = 0; i < count; ++i) {
      if constexpr (std::is_floating_point_v<T>) {
        out.mutable_as<T>()[i] =
            static_cast<T>(static_cast<double>(first) + static_cast<double>(i) * static_cast<double>(step));
      } else {
        out.mutable_as<T>()[i] = static_cast<T>(static_cast<uint64_t>(first) +
                                                static_cast<uint64_t>(i) * static_cast<uint64_t>(step));
      }
    }
  });
  if (!known) return c.bad_dtype(start);
  if (count < 0) return c.bad("delta is 0, or the range is too long");
  return one(std::move(out));
}

Outputs eye_like(const Call& c) {
  const Tensor& x = c.in(0);
  if (x.dims().size() != 2) return c.bad("it takes a matrix");
  const auto dtype = static_cast<DType>(c.node.int_or("dtype", static_cast<int64_t>(x.dtype())));
  const int64_t rows = x.dims()[0], columns = x.dims()[1];
  const int64_t k = std::clamp(c.node.int_or("k", 0), -rows - columns, rows + columns);
  Tensor out(DType::kFloat64, x.dims());
  const bool known = visit(kNumeric, dtype, [&]<class T>(Tag<T>) {
    out = Tensor(dtype, x.dims());
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t column = 0; column < columns; ++column)
        out.mutable_as<T>()[r * columns + column] = column - r == k ? T{1} : T{0};
    }
  });
  if (!known) return c.unsupported(fmt::format("EyeLike of {}", name_of(dtype)));
  return one(std::move(out));
}

Outputs center_crop_pad(const Call& c) {
  const Tensor& x = c.in(0);
  MTS_ASSIGN(const Dims wanted, c.ints(c.in(1)));
  std::vector<int64_t> axis_values(x.dims().size());
  std::iota(axis_values.begin(), axis_values.end(), 0);
  axis_values = c.node.ints_or("axes", axis_values);
  MTS_ASSIGN(const std::vector<size_t> axes, c.axes(axis_values, x.dims().size()));
  if (wanted.size() != axes.size()) return c.bad("shape does not have one value an axis");
  Dims dims = x.dims();
  for (size_t i = 0; i < axes.size(); ++i) dims[axes[i]] = wanted[i];
  MTS_TRY(c.check_dims(dims));
  std::vector<int64_t> sources{0};
  const Dims own = strides_of(x.dims());
  for (size_t axis = 0; axis < dims.size(); ++axis) {
    std::vector<int64_t> next;
    const int64_t length = x.dims()[axis];
    // Cropping rounds its first position down, and so does padding.
    const int64_t shift = dims[axis] < length ? (length - dims[axis]) / 2 : -((dims[axis] - length) / 2);
    for (int64_t base : sources) {
      for (int64_t i = 0; i < dims[axis]; ++i) {
        const int64_t at = i + shift;
        next.push_back(base < 0 || at < 0 || at >= length ? -1 : base + at * own[axis]);
      }
    }
    sources = std::move(next);
  }
  return one(take(x, sources, dims));
}

constexpr Operator kTable[] = {
    {"Slice", "", 1, kLatest, 1, kPacked, slice},
    {"Pad", "", 1, kLatest, 1, kPacked, pad},
    {"ReverseSequence", "", 10, kLatest, 2, kPacked, reverse_sequence},
    {"Trilu", "", 14, kLatest, 1, kPacked, trilu},
    {"Range", "", 11, kLatest, 3, kWiden, range},
    {"EyeLike", "", 9, kLatest, 1, kPlain, eye_like},
    {"CenterCropPad", "", 18, kLatest, 2, kPacked, center_crop_pad},
};

}  // namespace

std::span<const Operator> slice_operators() { return kTable; }

}  // namespace mts::ref
