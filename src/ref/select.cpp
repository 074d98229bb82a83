// Operators whose result depends on an order or on which elements are set: TopK, NonZero, Unique, Compress.
#include "ref/dispatch.h"
#include "ref/layout.h"
#include "ref/operators.h"

#include <algorithm>
#include <map>
#include <numeric>

#include <fmt/format.h>

namespace mts::ref {
namespace {

Outputs top_k(const Call& c) {
  const Tensor& x = c.in(0);
  int64_t k = c.node.int_or("k", -1);
  if (c.version >= 10) {
    if (!c.has(1)) return c.bad("K is missing");
    MTS_ASSIGN(k, c.scalar_int(c.in(1)));
  }
  MTS_ASSIGN(const size_t axis, c.axis(c.node.int_or("axis", -1), x.dims().size()));
  const bool largest = c.node.int_or("largest", 1) != 0;
  const Split3 s = split_at(x.dims(), axis);
  if (k < 0 || k > s.length) return c.bad(fmt::format("K is {} for an axis of length {}", k, s.length));
  Dims dims = x.dims();
  dims[axis] = k;
  Tensor values(x.dtype(), dims), indices(DType::kInt64, dims);
  const bool known = visit(kNumeric, x.dtype(), [&]<class T>(Tag<T>) {
    std::vector<int64_t> order(static_cast<size_t>(s.length));
    for (int64_t o = 0; o < s.outer; ++o) {
      for (int64_t i = 0; i < s.inner; ++i) {
        const T* from = x.as<T>() + o * s.length * s.inner + i;
        std::iota(order.begin(), order.end(), 0);
        // A total order, also with NaN (which counts as the largest); equal values keep their order.
        const auto before = [&](int64_t p, int64_t q) {
          const T a = from[p * s.inner], b = from[q * s.inner];
          const bool nan_a = a != a, nan_b = b != b;
          if (nan_a || nan_b) return nan_a == nan_b ? p < q : (largest ? nan_a : nan_b);
          if (a != b) return largest ? a > b : a < b;
          return p < q;
        };
        std::partial_sort(order.begin(), order.begin() + k, order.end(), before);
        for (int64_t j = 0; j < k; ++j) {
          const int64_t to = (o * k + j) * s.inner + i;
          values.mutable_as<T>()[to] = from[order[static_cast<size_t>(j)] * s.inner];
          indices.mutable_as<int64_t>()[to] = order[static_cast<size_t>(j)];
        }
      }
    }
  });
  if (!known) return c.bad_dtype(x);
  std::vector<Datum> result = one(std::move(values));
  result.emplace_back(std::move(indices));
  return result;
}

Outputs non_zero(const Call& c) {
  const Tensor& x = c.in(0);
  std::vector<int64_t> found;
  const bool known = visit(kNumeric, x.dtype(), [&]<class T>(Tag<T>) {
    for (int64_t i = 0; i < x.element_count(); ++i) {
      if (x.as<T>()[i] != T{0}) found.push_back(i);
    }
  });
  if (!known) return c.bad_dtype(x);
  const auto count = static_cast<int64_t>(found.size());
  const Dims strides = strides_of(x.dims());
  const auto rank = static_cast<int64_t>(x.dims().size());
  Tensor out(DType::kInt64, {rank, count});
  for (size_t axis = 0; axis < x.dims().size(); ++axis) {
    for (int64_t i = 0; i < count; ++i) {
      out.mutable_as<int64_t>()[static_cast<int64_t>(axis) * count + i] =
          found[static_cast<size_t>(i)] / strides[axis] % x.dims()[axis];
    }
  }
  return one(std::move(out));
}

Outputs compress(const Call& c) {
  const Tensor &x = c.in(0), &condition = c.in(1);
  if (condition.dtype() != DType::kBool || condition.dims().size() != 1)
    return c.bad("its condition is not a vector of bool");
  const bool flat = !c.node.find("axis");
  size_t axis = 0;
  if (!flat) {
    MTS_ASSIGN(axis, c.axis(c.node.int_or("axis", 0), x.dims().size()));
  }
  const Tensor data = flat ? x.reshaped({x.element_count()}) : x;
  std::vector<int64_t> chosen;
  for (int64_t i = 0; i < condition.element_count(); ++i) {
    if (condition.as<uint8_t>()[i] == 0) continue;
    if (i >= data.dims()[axis]) return c.bad("its condition selects behind the end of the axis");
    chosen.push_back(i);
  }
  Dims dims = data.dims();
  dims[axis] = static_cast<int64_t>(chosen.size());
  const Split3 s = split_at(data.dims(), axis);
  Tensor out(x.dtype(), dims);
  int64_t to = 0;
  for (int64_t o = 0; o < s.outer; ++o) {
    for (int64_t at : chosen) {
      copy_elements(data, (o * s.length + at) * s.inner, out, to, s.inner);
      to += s.inner;
    }
  }
  return one(std::move(out));
}

// Groups equal slices along the axis: `order` lists the first position of each, sorted or by first
// occurrence.
struct Distinct {
  std::vector<int64_t> first, inverse, counts;
};
template <class Less>
Distinct distinct(int64_t length, bool sorted, Less&& less) {
  std::vector<int64_t> order(static_cast<size_t>(length));
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, less);
  std::vector<std::vector<int64_t>> groups;
  for (size_t i = 0; i < order.size(); ++i) {
    if (i == 0 || less(order[i - 1], order[i])) groups.emplace_back();
    groups.back().push_back(order[i]);
  }
  if (!sorted) std::ranges::sort(groups, {}, [](const std::vector<int64_t>& g) { return g.front(); });
  Distinct result;
  result.inverse.resize(order.size());
  for (size_t g = 0; g < groups.size(); ++g) {
    result.first.push_back(groups[g].front());
    result.counts.push_back(static_cast<int64_t>(groups[g].size()));
    for (int64_t at : groups[g]) result.inverse[static_cast<size_t>(at)] = static_cast<int64_t>(g);
  }
  return result;
}

Outputs unique(const Call& c) {
  const Tensor& given = c.in(0);
  const bool flat = !c.node.find("axis"), sorted = c.node.int_or("sorted", 1) != 0;
  const Tensor x = flat ? given.reshaped({given.element_count()}) : given;
  size_t axis = 0;
  if (!flat) {
    MTS_ASSIGN(axis, c.axis(c.node.int_or("axis", 0), x.dims().size()));
  }
  const Split3 s = split_at(x.dims(), axis);
  // Lexicographic order of the slices.
  const auto compare = [&](const auto* data) {
    return distinct(s.length, sorted, [=](int64_t p, int64_t q) {
      for (int64_t o = 0; o < s.outer; ++o) {
        for (int64_t i = 0; i < s.inner; ++i) {
          const auto &a = data[(o * s.length + p) * s.inner + i], &b = data[(o * s.length + q) * s.inner + i];
          if (a < b) return true;
          if (b < a) return false;
        }
      }
      return false;
    });
  };
  Distinct found;
  if (x.dtype() == DType::kString) {
    found = compare(x.strings().data());
  } else if (!visit(kNumeric, x.dtype(), [&]<class T>(Tag<T>) { found = compare(x.as<T>()); })) {
    return c.bad_dtype(x);
  }
  const auto count = static_cast<int64_t>(found.first.size());
  Dims dims = x.dims();
  dims[axis] = count;
  Tensor out(x.dtype(), dims);
  for (int64_t o = 0; o < s.outer; ++o) {
    for (int64_t g = 0; g < count; ++g) {
      copy_elements(x, (o * s.length + found.first[static_cast<size_t>(g)]) * s.inner, out,
                    (o * count + g) * s.inner, s.inner);
    }
  }
  std::vector<Datum> result = one(std::move(out));
  for (const std::vector<int64_t>* values : {&found.first, &found.inverse, &found.counts}) {
    result.emplace_back(Tensor::of<int64_t>(DType::kInt64, {static_cast<int64_t>(values->size())}, *values));
  }
  return result;
}

constexpr Operator kTable[] = {
    {"TopK", "", 1, kLatest, 1, kWiden, top_k},
    {"NonZero", "", 9, kLatest, 1, kWiden, non_zero},
    {"Compress", "", 9, kLatest, 2, kPacked, compress},
    {"Unique", "", 11, kLatest, 1, kWiden, unique},
};

}  // namespace

std::span<const Operator> select_operators() { return kTable; }

}  // namespace mts::ref
