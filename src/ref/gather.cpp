// Gathering and scattering by index tensors.
#include "ref/dispatch.h"
#include "ref/layout.h"
#include "ref/operators.h"

#include <algorithm>
#include <string>

#include <fmt/format.h>

namespace mts::ref {
namespace {

// Indices made non-negative for an axis of `length`; kModel when one is out of range.
Result<std::vector<int64_t>> indices_of(const Call& c, const Tensor& tensor, int64_t length) {
  MTS_ASSIGN(std::vector<int64_t> values, c.ints(tensor));
  for (int64_t& value : values) {
    if (value < -length || value >= length)
      return c.bad(fmt::format("index {} is out of range for an axis of length {}", value, length));
    if (value < 0) value += length;
  }
  return values;
}

Outputs gather(const Call& c) {
  const Tensor &x = c.in(0), &indices = c.in(1);
  MTS_ASSIGN(const size_t axis, c.axis(c.node.int_or("axis", 0), x.dims().size()));
  MTS_ASSIGN(const std::vector<int64_t> at, indices_of(c, indices, x.dims()[axis]));
  Dims dims(x.dims().begin(), x.dims().begin() + static_cast<std::ptrdiff_t>(axis));
  dims.insert(dims.end(), indices.dims().begin(), indices.dims().end());
  dims.insert(dims.end(), x.dims().begin() + static_cast<std::ptrdiff_t>(axis) + 1, x.dims().end());
  MTS_ASSIGN(Tensor out, c.make(x.dtype(), dims));
  const Split3 s = split_at(x.dims(), axis);
  int64_t to = 0;
  for (int64_t o = 0; o < s.outer; ++o) {
    for (int64_t index : at) {
      copy_elements(x, (o * s.length + index) * s.inner, out, to, s.inner);
      to += s.inner;
    }
  }
  return one(std::move(out));
}

// Offsets into `data` for each element of `indices`, which replaces the position on `axis`.
Result<std::vector<int64_t>> element_offsets(const Call& c, const Tensor& data, const Tensor& indices,
                                             size_t axis) {
  if (indices.dims().size() != data.dims().size()) return c.bad("indices and data have different ranks");
  for (size_t i = 0; i < data.dims().size(); ++i) {
    if (i != axis && indices.dims()[i] > data.dims()[i]) return c.bad("indices are larger than data");
  }
  MTS_ASSIGN(const std::vector<int64_t> at, indices_of(c, indices, data.dims()[axis]));
  std::vector<int64_t> offsets(at.size());
  Dims strides = strides_of(data.dims());
  const int64_t along = strides[axis];
  strides[axis] = 0;
  const Rows<2> rows(indices.dims(), {strides_of(indices.dims()), strides});
  rows.for_each([&](const std::array<int64_t, 2>& base, int64_t length) {
    for (int64_t i = 0; i < length; ++i) {
      const auto from = static_cast<size_t>(base[0] + i * rows.inner[0]);
      offsets[from] = base[1] + i * rows.inner[1] + at[from] * along;
    }
  });
  return offsets;
}

Outputs gather_elements(const Call& c) {
  const Tensor &x = c.in(0), &indices = c.in(1);
  MTS_ASSIGN(const size_t axis, c.axis(c.node.int_or("axis", 0), x.dims().size()));
  MTS_ASSIGN(const std::vector<int64_t> offsets, element_offsets(c, x, indices, axis));
  return one(take(x, offsets, indices.dims()));
}

// Offsets of the slices that index tuples (the last axis of `indices`) name; the first `batch` axes are
// common.
struct Slices {
  std::vector<int64_t> offsets;
  int64_t size = 1;  // elements of a slice
  Dims inner;        // shape of a slice
};
Result<Slices> slices_of(const Call& c, const Tensor& data, const Tensor& indices, size_t batch) {
  if (indices.dims().empty()) return c.bad("its indices are a scalar");
  const int64_t tuple = indices.dims().back();
  const size_t rank = data.dims().size();
  if (indices.dims().size() <= batch || tuple < 0 || batch + static_cast<size_t>(tuple) > rank) {
    return c.bad("its index tuples are longer than the rank of data");
  }
  for (size_t i = 0; i < batch; ++i) {
    if (indices.dims()[i] != data.dims()[i]) return c.bad("its batch axes differ");
  }
  MTS_ASSIGN(const std::vector<int64_t> values, c.ints(indices));
  const size_t first_inner = batch + static_cast<size_t>(tuple);
  Slices slices;
  slices.inner.assign(data.dims().begin() + static_cast<std::ptrdiff_t>(first_inner), data.dims().end());
  slices.size = product(slices.inner);
  const Dims strides = strides_of(data.dims());
  const int64_t count = product(indices.dims(), 0, indices.dims().size() - 1);
  const int64_t per_batch = product(indices.dims(), batch, indices.dims().size() - 1);
  const int64_t batch_stride = product(data.dims(), batch, rank);
  for (int64_t i = 0; i < count; ++i) {
    int64_t offset = per_batch == 0 ? 0 : i / per_batch * batch_stride;
    for (int64_t k = 0; k < tuple; ++k) {
      const size_t axis = batch + static_cast<size_t>(k);
      int64_t at = values[static_cast<size_t>(i * tuple + k)];
      if (at < -data.dims()[axis] || at >= data.dims()[axis])
        return c.bad(fmt::format("index {} is out of range", at));
      if (at < 0) at += data.dims()[axis];
      offset += at * strides[axis];
    }
    slices.offsets.push_back(offset);
  }
  return slices;
}

Outputs gather_nd(const Call& c) {
  const Tensor &x = c.in(0), &indices = c.in(1);
  const int64_t batch = c.node.int_or("batch_dims", 0);
  if (batch < 0 || batch >= static_cast<int64_t>(x.dims().size())) return c.bad("batch_dims is out of range");
  MTS_ASSIGN(const Slices slices, slices_of(c, x, indices, static_cast<size_t>(batch)));
  Dims dims(indices.dims().begin(), indices.dims().end() - 1);
  dims.insert(dims.end(), slices.inner.begin(), slices.inner.end());
  MTS_ASSIGN(Tensor out, c.make(x.dtype(), dims));
  int64_t to = 0;
  for (int64_t offset : slices.offsets) {
    copy_elements(x, offset, out, to, slices.size);
    to += slices.size;
  }
  return one(std::move(out));
}

// out[to + i] = op(out[to + i], updates[from + i])
Result<void> combine(const Call& c, const std::string& reduction, Tensor& out, int64_t to,
                     const Tensor& updates, int64_t from, int64_t count) {
  if (reduction == "none") {
    copy_elements(updates, from, out, to, count);
    return {};
  }
  const bool known = visit(kNumeric, out.dtype(), [&]<class T>(Tag<T>) {
    for (int64_t i = 0; i < count; ++i) {
      T& target = out.mutable_as<T>()[to + i];
      const T value = updates.as<T>()[from + i];
      if (reduction == "add") target = static_cast<T>(target + value);
      if (reduction == "mul") target = static_cast<T>(target * value);
      if (reduction == "max") target = std::max(target, value);
      if (reduction == "min") target = std::min(target, value);
    }
  });
  if (!known) return c.bad_dtype(out);
  return {};
}

Result<std::string> reduction_of(const Call& c) {
  const std::string reduction = c.node.string_or("reduction", "none");
  for (std::string_view known : {"none", "add", "mul", "max", "min"}) {
    if (reduction == known) return reduction;
  }
  return c.bad("reduction is " + reduction);
}

Outputs scatter_elements(const Call& c) {
  const Tensor &x = c.in(0), &indices = c.in(1), &updates = c.in(2);
  MTS_ASSIGN(const size_t axis, c.axis(c.node.int_or("axis", 0), x.dims().size()));
  MTS_ASSIGN(const std::string reduction, reduction_of(c));
  if (updates.dims() != indices.dims() || updates.dtype() != x.dtype())
    return c.bad("its updates do not fit its indices or data");
  MTS_ASSIGN(const std::vector<int64_t> offsets, element_offsets(c, x, indices, axis));
  Tensor out = copy_of(x);
  for (size_t i = 0; i < offsets.size(); ++i) {
    MTS_TRY(combine(c, reduction, out, offsets[i], updates, static_cast<int64_t>(i), 1));
  }
  return one(std::move(out));
}

Outputs scatter_nd(const Call& c) {
  const Tensor &x = c.in(0), &indices = c.in(1), &updates = c.in(2);
  MTS_ASSIGN(const std::string reduction, reduction_of(c));
  MTS_ASSIGN(const Slices slices, slices_of(c, x, indices, 0));
  if (updates.dtype() != x.dtype() ||
      updates.element_count() != static_cast<int64_t>(slices.offsets.size()) * slices.size) {
    return c.bad("its updates do not fit its indices or data");
  }
  Tensor out = copy_of(x);
  int64_t from = 0;
  for (int64_t offset : slices.offsets) {
    MTS_TRY(combine(c, reduction, out, offset, updates, from, slices.size));
    from += slices.size;
  }
  return one(std::move(out));
}

// Writes a batch of updates into a cache along `axis` at one position a batch element; circular: wraps
// around.
Outputs tensor_scatter(const Call& c) {
  const Tensor &cache = c.in(0), &update = c.in(1);
  MTS_ASSIGN(const size_t axis, c.axis(c.node.int_or("axis", -2), cache.dims().size()));
  const std::string mode = c.node.string_or("mode", "linear");
  if (mode != "linear" && mode != "circular") return c.bad("mode is " + mode);
  if (axis == 0 || update.dims().size() != cache.dims().size() || update.dtype() != cache.dtype())
    return c.bad("its update does not fit");
  for (size_t i = 0; i < cache.dims().size(); ++i) {
    if (i != axis ? update.dims()[i] != cache.dims()[i] : update.dims()[i] > cache.dims()[i])
      return c.bad("its update does not fit");
  }
  std::vector<int64_t> positions(static_cast<size_t>(cache.dims()[0]), 0);
  if (const Tensor* given = c.opt(2)) {
    MTS_ASSIGN(positions, c.ints(*given));
    if (static_cast<int64_t>(positions.size()) != cache.dims()[0])
      return c.bad("write_indices does not fit the batch");
  }
  Tensor out = copy_of(cache);
  const Split3 s = split_at(cache.dims(), axis);
  const int64_t length = update.dims()[axis], per_batch = s.outer / std::max<int64_t>(1, cache.dims()[0]);
  for (int64_t o = 0; o < s.outer; ++o) {
    for (int64_t i = 0; i < length; ++i) {
      const int64_t start = positions[static_cast<size_t>(o / per_batch)];
      if (start < 0 || start > s.length) return c.bad("a write index is out of range");
      int64_t at = start + i;
      if (mode == "circular") at %= s.length;
      if (at >= s.length) return c.bad("a write goes past the end of the cache");
      copy_elements(update, (o * length + i) * s.inner, out, (o * s.length + at) * s.inner, s.inner);
    }
  }
  return one(std::move(out));
}

Outputs one_hot(const Call& c) {
  const Tensor &indices = c.in(0), &values = c.in(2);
  MTS_ASSIGN(const double given_depth, c.scalar(c.in(1)));
  const auto depth = number_cast<int64_t>(given_depth);
  if (values.element_count() != 2) return c.bad("its values are not [off, on]");
  MTS_ASSIGN(const size_t axis, c.axis(c.node.int_or("axis", -1), indices.dims().size() + 1));
  Dims dims = indices.dims();
  dims.insert(dims.begin() + static_cast<std::ptrdiff_t>(axis), depth);
  MTS_TRY(c.check_dims(dims));
  std::vector<int64_t> at(static_cast<size_t>(indices.element_count()));
  const bool known = visit(kNumeric, indices.dtype(), [&]<class T>(Tag<T>) {
    for (size_t i = 0; i < at.size(); ++i)
      at[i] = number_cast<int64_t>(static_cast<double>(indices.as<T>()[i]));
  });
  if (!known) return c.bad_dtype(indices);
  const Split3 s = split_at(dims, axis);
  std::vector<int64_t> sources(static_cast<size_t>(product(dims)), 0);
  for (int64_t o = 0; o < s.outer; ++o) {
    for (int64_t i = 0; i < s.inner; ++i) {
      int64_t hot = at[static_cast<size_t>(o * s.inner + i)];
      if (hot < 0) hot += depth;
      if (hot >= 0 && hot < depth) sources[static_cast<size_t>((o * depth + hot) * s.inner + i)] = 1;
    }
  }
  return one(take(values, sources, dims));
}

constexpr Operator kTable[] = {
    {"Gather", "", 1, kLatest, 2, kPacked, gather},
    {"GatherElements", "", 11, kLatest, 2, kPacked, gather_elements},
    {"GatherND", "", 11, kLatest, 2, kPacked, gather_nd},
    {"Scatter", "", 9, 10, 3, kPacked, scatter_elements},
    {"ScatterElements", "", 11, kLatest, 3, kWiden, scatter_elements},
    {"ScatterND", "", 11, kLatest, 3, kWiden, scatter_nd},
    {"TensorScatter", "", 24, kLatest, 2, kPacked, tensor_scatter},
    {"OneHot", "", 9, kLatest, 3, kWiden, one_hot},
};

}  // namespace

std::span<const Operator> gather_operators() { return kTable; }

}  // namespace mts::ref
