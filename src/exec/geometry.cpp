#include "exec/geometry.h"

#include <algorithm>
#include <limits>

namespace mts::exec {
namespace {

template <class T>
std::vector<int64_t> widen(const Tensor& tensor) {
  const T* data = tensor.as<T>();
  return std::vector<int64_t>(data, data + tensor.element_count());
}

Error misfit(const Node& node, std::string what) {
  return Error{ErrorCode::kModel, std::move(what), {.file = {}, .node = node.label(), .value = {}}};
}

}  // namespace

std::string to_string(std::span<const int64_t> dims) {
  std::string text = "[";
  for (size_t i = 0; i < dims.size(); ++i) text += (i == 0 ? "" : ",") + std::to_string(dims[i]);
  return text + "]";
}

std::vector<int64_t> to_int64s(const Tensor& tensor) {
  switch (tensor.dtype()) {
    case DType::kInt64:
      return widen<int64_t>(tensor);
    case DType::kInt32:
      return widen<int32_t>(tensor);
    case DType::kInt16:
      return widen<int16_t>(tensor);
    case DType::kInt8:
      return widen<int8_t>(tensor);
    case DType::kUint32:
      return widen<uint32_t>(tensor);
    case DType::kUint16:
      return widen<uint16_t>(tensor);
    case DType::kUint8:
      return widen<uint8_t>(tensor);
    default:
      return {};
  }
}

std::optional<Dims> broadcast(std::span<const int64_t> a, std::span<const int64_t> b) {
  Dims result(std::max(a.size(), b.size()));
  for (size_t i = 0; i < result.size(); ++i) {
    const int64_t x = i < a.size() ? a[a.size() - 1 - i] : 1;
    const int64_t y = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (x != y && x != 1 && y != 1) return std::nullopt;
    result[result.size() - 1 - i] = x == 1 ? y : x;
  }
  return result;
}

std::vector<int64_t> row_major_strides(std::span<const int64_t> dims) {
  std::vector<int64_t> strides(dims.size());
  int64_t stride = 1;
  for (size_t i = dims.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= dims[i];
  }
  return strides;
}

std::vector<int64_t> broadcast_strides(std::span<const int64_t> dims, std::span<const int64_t> target) {
  const std::vector<int64_t> own = row_major_strides(dims);
  std::vector<int64_t> strides(target.size(), 0);
  const size_t shift = target.size() - dims.size();
  for (size_t i = 0; i < dims.size(); ++i) strides[i + shift] = dims[i] == 1 ? 0 : own[i];
  return strides;
}

std::optional<Dims> matmul_dims(std::span<const int64_t> a, std::span<const int64_t> b) {
  if (a.empty() || b.empty()) return std::nullopt;
  const bool vector_a = a.size() == 1, vector_b = b.size() == 1;
  const int64_t inner_a = a.back(), inner_b = vector_b ? b[0] : b[b.size() - 2];
  if (inner_a != inner_b) return std::nullopt;
  const std::optional<Dims> batch =
      broadcast(a.first(vector_a ? 0 : a.size() - 2), b.first(vector_b ? 0 : b.size() - 2));
  if (!batch) return std::nullopt;
  Dims result = *batch;
  if (!vector_a) result.push_back(a[a.size() - 2]);
  if (!vector_b) result.push_back(b.back());
  return result;
}

std::optional<size_t> normal_axis(int64_t axis, size_t rank) {
  const auto limit = static_cast<int64_t>(rank);
  if (axis < -limit || axis >= limit) return std::nullopt;
  return static_cast<size_t>(axis < 0 ? axis + limit : axis);
}

std::optional<std::vector<size_t>> permutation_of(const Node& transpose, size_t rank) {
  std::vector<size_t> order(rank);
  const std::vector<int64_t> given = transpose.ints_or("perm", {});
  if (transpose.find("perm") == nullptr) {
    for (size_t i = 0; i < rank; ++i) order[i] = rank - 1 - i;
    return order;
  }
  if (given.size() != rank) return std::nullopt;
  std::vector<bool> seen(rank, false);
  for (size_t i = 0; i < rank; ++i) {
    if (given[i] < 0 || given[i] >= static_cast<int64_t>(rank) || seen[static_cast<size_t>(given[i])])
      return std::nullopt;
    order[i] = static_cast<size_t>(given[i]);
    seen[order[i]] = true;
  }
  return order;
}

std::optional<std::vector<bool>> reduced_axes(const Node& node, size_t rank,
                                              std::optional<std::vector<int64_t>> operand) {
  const std::vector<int64_t> axes = operand ? *operand : node.ints_or("axes", {});
  if (axes.empty()) return std::vector<bool>(rank, node.int_or("noop_with_empty_axes", 0) == 0);
  std::vector<bool> reduced(rank, false);
  for (int64_t axis : axes) {
    const auto normal = normal_axis(axis, rank);
    if (!normal) return std::nullopt;
    reduced[*normal] = true;
  }
  return reduced;
}

std::optional<std::vector<SliceRange>> slice_ranges(const Node& node, std::span<const int64_t> dims,
                                                    const std::optional<std::vector<int64_t>>& starts,
                                                    const std::optional<std::vector<int64_t>>& ends,
                                                    const std::optional<std::vector<int64_t>>& axes,
                                                    const std::optional<std::vector<int64_t>>& steps) {
  const std::vector<int64_t> from = starts ? *starts : node.ints_or("starts", {});
  const std::vector<int64_t> to = ends ? *ends : node.ints_or("ends", {});
  std::vector<int64_t> along = axes ? *axes : node.ints_or("axes", {});
  if (along.empty()) {
    for (size_t i = 0; i < from.size(); ++i) along.push_back(static_cast<int64_t>(i));
  }
  if (from.size() != to.size() || from.size() != along.size() || (steps && steps->size() != from.size()))
    return std::nullopt;
  std::vector<SliceRange> ranges(dims.size());
  for (size_t i = 0; i < dims.size(); ++i) ranges[i].length = dims[i];
  for (size_t i = 0; i < from.size(); ++i) {
    const auto axis = normal_axis(along[i], dims.size());
    if (!axis) return std::nullopt;
    const int64_t dim = dims[*axis], step = steps ? (*steps)[i] : 1;
    if (step == 0) return std::nullopt;
    int64_t start = from[i] < 0 && from[i] >= -dim ? from[i] + dim : from[i];
    int64_t end = to[i] < 0 && to[i] >= -dim ? to[i] + dim : to[i];
    if (step > 0) {
      start = std::clamp<int64_t>(start, 0, dim);
      end = std::clamp<int64_t>(end, 0, dim);
    } else {
      start = std::clamp<int64_t>(start, -1, dim - 1);
      end = std::clamp<int64_t>(end, -1, dim - 1);
    }
    const int64_t span = step > 0 ? end - start : start - end;
    const int64_t stride = step > 0 ? step : (step == std::numeric_limits<int64_t>::min() ? dim + 1 : -step);
    ranges[*axis] = {start, step, span <= 0 ? 0 : (span - 1) / stride + 1};
  }
  return ranges;
}

Result<Window> window_of(const Node& node, std::span<const int64_t> input, std::span<const int64_t> weight) {
  Window window;
  const bool is_conv = !weight.empty();
  window.transposed = node.op_type == "ConvTranspose";
  window.groups = is_conv ? node.int_or("group", 1) : 1;
  if (input.size() < 3)
    return tl::unexpected(misfit(node, "the input " + to_string(input) + " has no spatial axes"));
  const size_t spatial = input.size() - 2;
  if (is_conv && weight.size() != input.size()) {
    return tl::unexpected(
        misfit(node, "the weight " + to_string(weight) + " does not fit the input " + to_string(input)));
  }
  window.kernel = node.ints_or("kernel_shape", {});
  if (window.kernel.empty() && is_conv) window.kernel.assign(weight.begin() + 2, weight.end());
  window.strides = node.ints_or("strides", std::vector<int64_t>(spatial, 1));
  window.dilations = node.ints_or("dilations", std::vector<int64_t>(spatial, 1));
  window.output_padding = node.ints_or("output_padding", std::vector<int64_t>(spatial, 0));
  std::vector<int64_t> pads = node.ints_or("pads", std::vector<int64_t>(2 * spatial, 0));
  const auto positive = [](const std::vector<int64_t>& v) {
    return std::all_of(v.begin(), v.end(), [](int64_t x) { return x > 0; });
  };
  if (window.kernel.size() != spatial || window.strides.size() != spatial ||
      window.dilations.size() != spatial || window.output_padding.size() != spatial ||
      pads.size() != 2 * spatial || !positive(window.kernel) || !positive(window.strides) ||
      !positive(window.dilations) || window.groups < 1) {
    return tl::unexpected(
        misfit(node, "kernel, strides, dilations, pads or group do not fit the input " + to_string(input)));
  }
  if (is_conv) {
    const bool fits = window.transposed
                          ? weight[0] == input[1] && input[1] % window.groups == 0
                          : weight[1] * window.groups == input[1] && weight[0] % window.groups == 0;
    if (!fits) {
      return tl::unexpected(misfit(node, "the weight " + to_string(weight) + " with " +
                                             std::to_string(window.groups) +
                                             " groups does not fit the input " + to_string(input)));
    }
  }
  const std::string auto_pad = node.string_or("auto_pad", "NOTSET");
  const bool upper = auto_pad == "SAME_UPPER", same = upper || auto_pad == "SAME_LOWER";
  if (auto_pad == "VALID") std::fill(pads.begin(), pads.end(), 0);
  const std::vector<int64_t> output_shape = node.ints_or("output_shape", {});
  if (!output_shape.empty() && output_shape.size() != spatial)
    return tl::unexpected(misfit(node, "output_shape has the wrong rank"));
  const bool ceil_mode = !is_conv && node.int_or("ceil_mode", 0) != 0;
  for (size_t i = 0; i < spatial; ++i) {
    const int64_t size = input[i + 2], stride = window.strides[i];
    const int64_t reach = (window.kernel[i] - 1) * window.dilations[i] + 1;
    int64_t begin = pads[i], end = pads[i + spatial], output = 0;
    if (window.transposed) {
      const int64_t full = stride * (size - 1) + window.output_padding[i] + reach;
      if (!output_shape.empty() || same) {
        output = !output_shape.empty() ? output_shape[i] : size * stride;
        const int64_t total = std::max<int64_t>(full - output, 0);
        begin = upper ? total / 2 : total - total / 2;
        end = total - begin;
        window.output_padding[i] += std::max<int64_t>(output - full, 0);
      } else {
        output = full - begin - end;
      }
    } else if (same) {
      output = (size + stride - 1) / stride;
      const int64_t total = std::max<int64_t>((output - 1) * stride + reach - size, 0);
      begin = upper ? total / 2 : total - total / 2;
      end = total - begin;
    } else {
      const int64_t room = size + begin + end - reach;
      if (room < 0)
        return tl::unexpected(misfit(node, "the window is larger than the padded input " + to_string(input)));
      output = room / stride + 1;
      if (ceil_mode && room % stride != 0) {
        ++output;
        // The last window must start inside the input or its leading padding.
        if ((output - 1) * stride >= size + begin) --output;
      }
    }
    if (output < 0) return tl::unexpected(misfit(node, "the padding is larger than the output"));
    window.pads_begin.push_back(begin);
    window.pads_end.push_back(end);
    window.output.push_back(output);
  }
  return window;
}

}  // namespace mts::exec
