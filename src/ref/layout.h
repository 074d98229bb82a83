// Shapes, strides and the copies that movement operators are made of. Strides count elements.
#pragma once

#include <mts/tensor.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

namespace mts::ref {

Dims strides_of(const Dims& dims);  // row-major
// Numpy broadcasting; nullopt when the shapes do not go together.
std::optional<Dims> broadcast(const Dims& a, const Dims& b);
// Strides with which a tensor of shape `dims` is read as if it had the shape `out` (0 where it is repeated).
// Requires that it broadcasts to `out`.
Dims broadcast_strides(const Dims& dims, const Dims& out);
// Product of dims[from, to).
int64_t product(const Dims& dims, size_t from, size_t to);
inline int64_t product(const Dims& dims) { return product(dims, 0, dims.size()); }

// A tensor of shape `dims` whose element at index i is in[offset + sum(i * strides)]. Any element type but
// sub-byte ones.
Tensor copy_strided(const Tensor& in, int64_t offset, const Dims& strides, const Dims& dims);
Tensor transpose(const Tensor& in, std::span<const size_t> permutation);
Tensor expand(const Tensor& in, const Dims& dims);  // requires that it broadcasts
// A tensor of shape `dims` with element k = in[index[k]], or `fill`'s single element where index[k] < 0 (zero
// without fill).
Tensor take(const Tensor& in, std::span<const int64_t> index, Dims dims, const Tensor* fill = nullptr);
// Copies `count` consecutive elements between tensors of one dtype.
void copy_elements(const Tensor& from, int64_t from_offset, Tensor& to, int64_t to_offset, int64_t count);
Tensor copy_of(const Tensor& in);  // own buffer
// Element types that take whole bytes (or strings), which is what the copies above need.
bool is_byte_addressable(DType dtype);

// Calls f(offsets, length) for each innermost row of an iteration over `dims` with N operands; within a row
// operand k advances by `inner[k]`. Neighbouring axes are merged where all operands allow it.
template <size_t N>
struct Rows {
  Dims dims;                    // merged outer dims
  std::array<Dims, N> strides;  // merged outer strides
  int64_t length = 1;           // of a row
  std::array<int64_t, N> inner{};

  Rows(const Dims& full, const std::array<Dims, N>& full_strides) {
    Dims merged;
    std::array<Dims, N> merged_strides;
    for (size_t axis = 0; axis < full.size(); ++axis) {
      if (full[axis] == 1) continue;
      bool mergeable = !merged.empty();
      for (size_t k = 0; k < N && mergeable; ++k) {
        mergeable = merged_strides[k].back() == full_strides[k][axis] * full[axis];
      }
      if (mergeable) {
        merged.back() *= full[axis];
        for (size_t k = 0; k < N; ++k) merged_strides[k].back() = full_strides[k][axis];
      } else {
        merged.push_back(full[axis]);
        for (size_t k = 0; k < N; ++k) merged_strides[k].push_back(full_strides[k][axis]);
      }
    }
    if (!merged.empty()) {
      length = merged.back();
      merged.pop_back();
      for (size_t k = 0; k < N; ++k) {
        inner[k] = merged_strides[k].back();
        merged_strides[k].pop_back();
      }
    }
    dims = std::move(merged);
    strides = std::move(merged_strides);
  }

  template <class F>
  void for_each(F&& f) const {
    if (length == 0) return;
    for (int64_t d : dims) {
      if (d == 0) return;
    }
    Dims index(dims.size(), 0);
    std::array<int64_t, N> offsets{};
    while (true) {
      f(offsets, length);
      size_t axis = dims.size();
      while (axis-- > 0) {
        for (size_t k = 0; k < N; ++k) offsets[k] += strides[k][axis];
        if (++index[axis] < dims[axis]) break;
        for (size_t k = 0; k < N; ++k) offsets[k] -= strides[k][axis] * dims[axis];
        index[axis] = 0;
      }
      if (axis == static_cast<size_t>(-1)) return;
    }
  }
};

// Splits a shape at an axis: elements before, along and after it.
struct Split3 {
  int64_t outer, length, inner;
};
inline Split3 split_at(const Dims& dims, size_t axis) {
  return {product(dims, 0, axis), dims[axis], product(dims, axis + 1, dims.size())};
}

}  // namespace mts::ref
