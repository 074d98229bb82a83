// Reductions over axes, ArgMax and ArgMin, CumSum.
#include "ref/dispatch.h"
#include "ref/layout.h"
#include "ref/operators.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <fmt/format.h>

namespace mts::ref {
namespace {

struct Axes {
  std::vector<bool> reduced;  // by axis
  Dims kept;                  // shape with 1 where reduced
  Dims result;                // shape of the output
  bool nothing = false;       // the operator is the identity
};

// Axes are an attribute first and an input from `since` on; absent or empty: all, or none with
// noop_with_empty_axes.
Result<Axes> axes_of(const Call& c, int64_t since) {
  const Dims& dims = c.in(0).dims();
  MTS_ASSIGN(const auto given, c.ints_attribute_or_input("axes", 1, since));
  Axes axes;
  axes.reduced.assign(dims.size(), false);
  if (!given || given->empty()) {
    axes.nothing = c.version >= since && c.node.int_or("noop_with_empty_axes", 0) != 0;
    if (!axes.nothing) axes.reduced.assign(dims.size(), true);
  } else {
    MTS_ASSIGN(const std::vector<size_t> list, c.axes(*given, dims.size()));
    for (size_t axis : list) axes.reduced[axis] = true;
  }
  const bool keep = c.node.int_or("keepdims", 1) != 0;
  for (size_t i = 0; i < dims.size(); ++i) {
    axes.kept.push_back(axes.reduced[i] ? 1 : dims[i]);
    if (!axes.reduced[i] || keep) axes.result.push_back(axes.kept.back());
  }
  return axes;
}

// Accumulates with `step(accumulator, element)` and ends with `finish(accumulator, count)`.
template <class Acc, class T, class Step, class Finish>
void reduce_into(const Tensor& x, const Axes& axes, Acc initial, Step&& step, Finish&& finish, Tensor& out) {
  std::vector<Acc> sums(static_cast<size_t>(out.element_count()), initial);
  const Rows<2> rows(x.dims(), {strides_of(x.dims()), broadcast_strides(axes.kept, x.dims())});
  rows.for_each([&](const std::array<int64_t, 2>& at, int64_t length) {
    const T* from = x.as<T>() + at[0];
    Acc* to = sums.data() + at[1];
    for (int64_t i = 0; i < length; ++i) {
      Acc& sum = to[i * rows.inner[1]];
      sum = step(sum, from[i * rows.inner[0]]);
    }
  });
  int64_t count = 1;
  for (size_t i = 0; i < axes.reduced.size(); ++i) count *= axes.reduced[i] ? x.dims()[i] : 1;
  for (size_t i = 0; i < sums.size(); ++i) out.mutable_as<T>()[i] = static_cast<T>(finish(sums[i], count));
}

template <class T>
using Sum = std::conditional_t<std::is_floating_point_v<T>, double,
                               std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>>;

// reduce(c, since, step, finish): sum-like reductions in a wide accumulator that starts with `initial`.
template <class Step, class Finish>
Outputs accumulate(const Call& c, int64_t since, int initial, Step&& step, Finish&& finish) {
  const Tensor& x = c.in(0);
  MTS_ASSIGN(const Axes axes, axes_of(c, since));
  Tensor out(x.dtype(), axes.result);
  const bool known = visit(kNumeric, x.dtype(), [&]<class T>(Tag<T>) {
    using Acc = Sum<T>;
    reduce_into<Acc, T>(
        x, axes, static_cast<Acc>(initial),
        [&](Acc sum, T value) { return static_cast<Acc>(step(sum, static_cast<Acc>(value))); }, finish, out);
  });
  if (!known) return c.bad_dtype(x);
  return axes.nothing && c.node.op_type == "ReduceSum" ? one(x) : one(std::move(out));
}

// Integers wrap; unsigned arithmetic says so without undefined behaviour.
template <class T>
using Wrapping = std::conditional_t<std::is_integral_v<T>, uint64_t, T>;
constexpr auto kPlus = []<class T>(T sum, T x) {
  return static_cast<T>(static_cast<Wrapping<T>>(sum) + static_cast<Wrapping<T>>(x));
};
constexpr auto kTimes = []<class T>(T product, T x) {
  return static_cast<T>(static_cast<Wrapping<T>>(product) * static_cast<Wrapping<T>>(x));
};
constexpr auto kPlusSquare = [](auto sum, auto x) { return kPlus(sum, kTimes(x, x)); };
constexpr auto kPlusAbs = []<class T>(T sum, T x) {
  if constexpr (std::is_unsigned_v<T>) {
    return kPlus(sum, x);
  } else {
    return kPlus(sum, x < 0 ? kTimes(x, T{-1}) : x);
  }
};
constexpr auto kAsIs = [](auto sum, int64_t) { return sum; };
constexpr auto kRoot = [](auto sum, int64_t) { return std::sqrt(static_cast<double>(sum)); };
constexpr auto kLog = [](auto sum, int64_t) { return std::log(static_cast<double>(sum)); };

Outputs reduce_sum(const Call& c) { return accumulate(c, 13, 0, kPlus, kAsIs); }
Outputs reduce_prod(const Call& c) { return accumulate(c, 18, 1, kTimes, kAsIs); }
Outputs reduce_mean(const Call& c) {
  return accumulate(c, 18, 0, kPlus, [](auto sum, int64_t count) {
    using Acc = decltype(sum);
    if constexpr (std::is_integral_v<Acc>) {
      return count == 0 ? Acc{0} : sum / static_cast<Acc>(count);
    } else {
      return sum / static_cast<Acc>(count);
    }
  });
}
Outputs reduce_l1(const Call& c) { return accumulate(c, 18, 0, kPlusAbs, kAsIs); }
Outputs reduce_l2(const Call& c) { return accumulate(c, 18, 0, kPlusSquare, kRoot); }
Outputs reduce_sum_square(const Call& c) { return accumulate(c, 18, 0, kPlusSquare, kAsIs); }
Outputs reduce_log_sum(const Call& c) { return accumulate(c, 18, 0, kPlus, kLog); }

// Streaming log-sum-exp: the accumulator holds the largest value so far and the sum of exp(x - largest).
Outputs reduce_log_sum_exp(const Call& c) {
  struct State {
    double largest, sum;
  };
  const Tensor& x = c.in(0);
  MTS_ASSIGN(const Axes axes, axes_of(c, 18));
  Tensor out(x.dtype(), axes.result);
  const bool known = visit(kCommon, x.dtype(), [&]<class T>(Tag<T>) {
    const auto step = [](State s, T element) {
      const auto value = static_cast<double>(element);
      if (value == -INFINITY) return s;
      if (value > s.largest) return State{value, s.sum * std::exp(s.largest - value) + 1};
      return State{s.largest, s.sum + (value == s.largest ? 1 : std::exp(value - s.largest))};
    };
    const auto finish = [](State s, int64_t) { return s.sum == 0 ? -INFINITY : s.largest + std::log(s.sum); };
    reduce_into<State, T>(x, axes, State{-INFINITY, 0}, step, finish, out);
  });
  if (!known) return c.bad_dtype(x);
  return one(std::move(out));
}

template <bool kMaximum>
Outputs reduce_extreme(const Call& c) {
  const Tensor& x = c.in(0);
  MTS_ASSIGN(const Axes axes, axes_of(c, 18));
  Tensor out(x.dtype(), axes.result);
  const bool known = visit(kNumeric, x.dtype(), [&]<class T>(Tag<T>) {
    T initial = kMaximum ? std::numeric_limits<T>::lowest() : std::numeric_limits<T>::max();
    if constexpr (std::is_floating_point_v<T>) initial = static_cast<T>(kMaximum ? -INFINITY : INFINITY);
    if (x.dtype() == DType::kBool) initial = kMaximum ? T{0} : T{1};
    const auto step = [](T best, T value) {
      if (value != value || best != best) return value != value ? value : best;  // NaN wins
      return (kMaximum ? value > best : value < best) ? value : best;
    };
    reduce_into<T, T>(x, axes, initial, step, kAsIs, out);
  });
  if (!known) return c.bad_dtype(x);
  return one(std::move(out));
}

template <bool kMaximum>
Outputs arg_extreme(const Call& c) {
  const Tensor& x = c.in(0);
  MTS_ASSIGN(const size_t axis, c.axis(c.node.int_or("axis", 0), x.dims().size()));
  const bool last = c.node.int_or("select_last_index", 0) != 0;
  const Split3 s = split_at(x.dims(), axis);
  if (s.length == 0) return c.bad("it reduces an axis of length 0");
  Dims dims = x.dims();
  dims[axis] = 1;
  Tensor out(DType::kInt64, dims);
  const bool known = visit(kNumeric, x.dtype(), [&]<class T>(Tag<T>) {
    for (int64_t o = 0; o < s.outer; ++o) {
      for (int64_t i = 0; i < s.inner; ++i) {
        const T* from = x.as<T>() + o * s.length * s.inner + i;
        int64_t best = 0;
        for (int64_t k = 1; k < s.length; ++k) {
          const T value = from[k * s.inner], champion = from[best * s.inner];
          if ((kMaximum ? value > champion : value < champion) || (last && value == champion)) best = k;
        }
        out.mutable_as<int64_t>()[o * s.inner + i] = best;
      }
    }
  });
  if (!known) return c.bad_dtype(x);
  if (c.node.int_or("keepdims", 1) == 0) {
    dims.erase(dims.begin() + static_cast<std::ptrdiff_t>(axis));
    out = out.reshaped(std::move(dims));
  }
  return one(std::move(out));
}

Outputs cum_sum(const Call& c) {
  const Tensor& x = c.in(0);
  MTS_ASSIGN(const int64_t given, c.scalar_int(c.in(1)));
  MTS_ASSIGN(const size_t axis, c.axis(given, x.dims().size()));
  const bool exclusive = c.node.int_or("exclusive", 0) != 0, reverse = c.node.int_or("reverse", 0) != 0;
  const Split3 s = split_at(x.dims(), axis);
  Tensor out(x.dtype(), x.dims());
  const bool product_of = c.node.op_type == "CumProd";
  const bool known = visit(kNumeric, x.dtype(), [&]<class T>(Tag<T>) {
    for (int64_t o = 0; o < s.outer; ++o) {
      for (int64_t i = 0; i < s.inner; ++i) {
        Sum<T> sum = product_of ? 1 : 0;
        for (int64_t step = 0; step < s.length; ++step) {
          const int64_t k = reverse ? s.length - 1 - step : step;
          const int64_t at = (o * s.length + k) * s.inner + i;
          const auto before = sum;
          const auto value = static_cast<Sum<T>>(x.as<T>()[at]);
          sum = product_of ? sum * value : sum + value;
          out.mutable_as<T>()[at] = static_cast<T>(exclusive ? before : sum);
        }
      }
    }
  });
  if (!known) return c.bad_dtype(x);
  return one(std::move(out));
}

constexpr Operator kTable[] = {
    {"ReduceSum", "", 1, kLatest, 1, kWiden, reduce_sum},
    {"ReduceProd", "", 1, kLatest, 1, kWiden, reduce_prod},
    {"ReduceMean", "", 1, kLatest, 1, kWiden, reduce_mean},
    {"ReduceL1", "", 1, kLatest, 1, kWiden, reduce_l1},
    {"ReduceL2", "", 1, kLatest, 1, kWiden, reduce_l2},
    {"ReduceSumSquare", "", 1, kLatest, 1, kWiden, reduce_sum_square},
    {"ReduceLogSum", "", 1, kLatest, 1, kWiden, reduce_log_sum},
    {"ReduceLogSumExp", "", 1, kLatest, 1, kWiden, reduce_log_sum_exp},
    {"ReduceMax", "", 1, kLatest, 1, kWiden, reduce_extreme<true>},
    {"ReduceMin", "", 1, kLatest, 1, kWiden, reduce_extreme<false>},
    {"ArgMax", "", 1, kLatest, 1, kWiden, arg_extreme<true>},
    {"ArgMin", "", 1, kLatest, 1, kWiden, arg_extreme<false>},
    {"CumSum", "", 11, kLatest, 2, kWiden, cum_sum},
    {"CumProd", "", 26, kLatest, 2, kWiden, cum_sum},
};

}  // namespace

std::span<const Operator> reduce_operators() { return kTable; }

}  // namespace mts::ref
