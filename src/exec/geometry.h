// Shape arithmetic that both the shape functions and the kernels need, so that they cannot disagree.
// Everything returns nothing (or an error) for attributes that do not fit the dims; nothing is assumed to be
// checked.
#pragma once

#include <mts/error.h>
#include <mts/graph.h>
#include <mts/tensor.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace mts::exec {

std::string to_string(std::span<const int64_t> dims);  // "[1,3,224,224]"

// Values of an integer tensor of any integer type.
std::vector<int64_t> to_int64s(const Tensor& tensor);

// NumPy broadcasting; nothing when the dims do not fit.
std::optional<Dims> broadcast(std::span<const int64_t> a, std::span<const int64_t> b);
// Element strides of a row-major tensor.
std::vector<int64_t> row_major_strides(std::span<const int64_t> dims);
// Strides of an operand of `dims` seen as `target` (0 along broadcast axes). Precondition: it broadcasts.
std::vector<int64_t> broadcast_strides(std::span<const int64_t> dims, std::span<const int64_t> target);

std::optional<Dims> matmul_dims(std::span<const int64_t> a, std::span<const int64_t> b);

std::optional<size_t> normal_axis(int64_t axis, size_t rank);
std::optional<std::vector<size_t>> permutation_of(const Node& transpose, size_t rank);
// Which axes a Reduce node reduces; `operand` is the content of its second input when it has one.
std::optional<std::vector<bool>> reduced_axes(const Node& node, size_t rank,
                                              std::optional<std::vector<int64_t>> operand);

struct SliceRange {
  int64_t start = 0, step = 1, length = 0;
};
std::optional<std::vector<SliceRange>> slice_ranges(const Node& node, std::span<const int64_t> dims,
                                                    const std::optional<std::vector<int64_t>>& starts,
                                                    const std::optional<std::vector<int64_t>>& ends,
                                                    const std::optional<std::vector<int64_t>>& axes,
                                                    const std::optional<std::vector<int64_t>>& steps);

// The sliding window of Conv, ConvTranspose (with `weight` dims) and of the pools (without).
struct Window {
  bool transposed = false;
  int64_t groups = 1;
  std::vector<int64_t> kernel, strides, dilations, pads_begin,
      pads_end;                         // one a spatial axis; dilation 1 = dense
  std::vector<int64_t> output_padding;  // ConvTranspose
  std::vector<int64_t> output;          // spatial output dims
};
Result<Window> window_of(const Node& node, std::span<const int64_t> input, std::span<const int64_t> weight);

}  // namespace mts::exec
