// Dimensions of outputs as polynomials, operator by operator. What is not here keeps what ONNX's shape
// inference said.
#include "canon/shape_values.h"

#include <algorithm>
#include <array>
#include <limits>

namespace mts::canon {
namespace {

using Sizes = std::vector<Size>;

template <size_t N>
bool is_one_of(const std::array<std::string_view, N>& list, std::string_view op) {
  return std::ranges::find(list, op) != list.end();
}

// Operators whose output has the shape of their first input.
constexpr auto kSameShape = std::to_array<std::string_view>({"Relu",
                                                             "Sigmoid",
                                                             "Tanh",
                                                             "Clip",
                                                             "LeakyRelu",
                                                             "Elu",
                                                             "Erf",
                                                             "Sqrt",
                                                             "Exp",
                                                             "Log",
                                                             "Neg",
                                                             "Abs",
                                                             "Cast",
                                                             "Identity",
                                                             "Dropout",
                                                             "Softmax",
                                                             "LogSoftmax",
                                                             "HardSwish",
                                                             "HardSigmoid",
                                                             "Gelu",
                                                             "Selu",
                                                             "Softplus",
                                                             "Softsign",
                                                             "Mish",
                                                             "Not",
                                                             "LayerNormalization",
                                                             "BatchNormalization",
                                                             "InstanceNormalization",
                                                             "GroupNormalization",
                                                             "RMSNormalization",
                                                             "Reciprocal",
                                                             "Floor",
                                                             "Ceil",
                                                             "Round",
                                                             "Sin",
                                                             "Cos",
                                                             "Celu",
                                                             "ThresholdedRelu",
                                                             "LRN",
                                                             "Sign",
                                                             "IsNaN",
                                                             "IsInf",
                                                             "CumSum",
                                                             "QuantizeLinear",
                                                             "DequantizeLinear",
                                                             "ScatterND",
                                                             "ScatterElements",
                                                             "Trilu",
                                                             "Swish"});
constexpr auto kBroadcasting = std::to_array<std::string_view>(
    {"Add",   "Sub",  "Mul",     "Div", "Pow", "Min", "Max",         "Where",
     "Equal", "Less", "Greater", "And", "Or",  "Xor", "LessOrEqual", "GreaterOrEqual",
     "PRelu", "Sum",  "Mean",    "Mod"});
constexpr auto kReducing = std::to_array<std::string_view>(
    {"ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2",
     "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare"});
constexpr auto kWindowed = std::to_array<std::string_view>({"Conv", "MaxPool", "AveragePool", "LpPool"});

// x is y, or the smaller of y and a number above 1: broadcasting them gives y wherever it is allowed.
bool is_clamped(const Size& x, const Size& y) {
  const std::string text = x.to_string(), bound = y.to_string();
  if (!text.starts_with("min(")) return false;
  const auto comma = text.find(',');
  const std::string a = text.substr(4, comma - 4), b = text.substr(comma + 1, text.size() - comma - 2);
  const std::string& number = a == bound ? b : a;
  return (a == bound || b == bound) && !number.empty() && number != "0" && number != "1" &&
         std::ranges::all_of(number, [](char c) { return c >= '0' && c <= '9'; });
}

std::optional<Sizes> broadcast(const Sizes& a, const Sizes& b) {
  Sizes result(std::max(a.size(), b.size()));
  for (size_t i = 0; i < result.size(); ++i) {
    const Size x = i < a.size() ? a[a.size() - 1 - i] : Size::known(1);
    const Size y = i < b.size() ? b[b.size() - 1 - i] : Size::known(1);
    Size& out = result[result.size() - 1 - i];
    if (x == y || y.is(1)) {
      out = x;
    } else if (x.is(1)) {
      out = y;
    } else if (x.constant() || is_clamped(y, x)) {  // a known size that is not 1 decides
      out = x;
    } else if (y.constant() || is_clamped(x, y)) {
      out = y;
    } else {
      return std::nullopt;
    }
  }
  return result;
}

// Convolution and pooling: what is left of each spatial dimension.
std::optional<Sizes> windowed(const Node& node, const Sizes& input, const std::optional<Sizes>& filters) {
  if (input.size() < 3 || node.int_or("ceil_mode", 0) != 0) return std::nullopt;
  const size_t spatial = input.size() - 2;
  std::vector<int64_t> kernel = node.ints_or("kernel_shape", {});
  if (kernel.empty() && filters && filters->size() == input.size())
    for (size_t i = 2; i < filters->size(); ++i) kernel.push_back((*filters)[i].constant().value_or(-1));
  const auto ones = std::vector<int64_t>(spatial, 1);
  const auto strides = node.ints_or("strides", ones), dilations = node.ints_or("dilations", ones);
  const auto pads = node.ints_or("pads", std::vector<int64_t>(2 * spatial, 0));
  const std::string padding = node.string_or("auto_pad", "NOTSET");
  if (kernel.size() != spatial || strides.size() != spatial || dilations.size() != spatial ||
      pads.size() != 2 * spatial)
    return std::nullopt;
  Sizes result{input[0], input[1]};
  if (node.is("Conv")) {
    if (!filters || filters->empty()) return std::nullopt;
    result[1] = (*filters)[0];
  }
  for (size_t i = 0; i < spatial; ++i) {
    if (kernel[i] < 1 || strides[i] < 1) return std::nullopt;
    if (padding == "SAME_UPPER" || padding == "SAME_LOWER") {
      result.push_back((input[2 + i] + Size::known(strides[i] - 1)).floor_of(strides[i]));
      continue;
    }
    const int64_t margin = padding == "VALID" ? 0 : pads[i] + pads[spatial + i];
    const int64_t offset = margin - dilations[i] * (kernel[i] - 1) - 1 + strides[i];
    result.push_back((input[2 + i] + Size::known(offset)).floor_of(strides[i]));
  }
  return result;
}

std::optional<std::vector<bool>> marked_axes(const std::vector<int64_t>& axes, size_t rank) {
  std::vector<bool> marked(rank, false);
  for (const int64_t axis : axes) {
    const auto at = normalise_axis(axis, rank);
    if (!at) return std::nullopt;
    marked[*at] = true;
  }
  return marked;
}

}  // namespace

// The axes of a node, from input `position` or, in older opsets, the attribute; nullopt when they are
// computed.
std::optional<std::vector<int64_t>> ShapeValues::axes_of(const Node& node, size_t position) const {
  if (!has_input(node, position)) return node.ints_or("axes", {});
  const auto axes = input(node, position);
  return axes ? axes->constants() : std::nullopt;
}

std::optional<Sizes> ShapeValues::sliced_dims(const Node& node, Sizes data) const {
  const auto starts = input(node, 1), ends = input(node, 2);
  if (!starts || !ends || starts->elements.size() != ends->elements.size()) return std::nullopt;
  const auto axes = has_input(node, 3) ? input(node, 3) : std::nullopt;
  const auto steps = has_input(node, 4) ? input(node, 4) : std::nullopt;
  if ((has_input(node, 3) && !axes) || (has_input(node, 4) && !steps)) return std::nullopt;
  for (size_t i = 0; i < ends->elements.size(); ++i) {
    const auto given = axes ? (i < axes->elements.size() ? axes->elements[i].constant() : std::nullopt)
                            : std::optional(static_cast<int64_t>(i));
    const auto axis = given ? normalise_axis(*given, data.size()) : std::nullopt;
    if (!axis) return std::nullopt;
    Size& size = data[*axis];
    if (steps && (i >= steps->elements.size() || !steps->elements[i].is(1))) return std::nullopt;
    const auto from = starts->elements[i].constant(), to = ends->elements[i].constant();
    if (!from) return std::nullopt;
    // The end as a size: from the back when it is negative, never beyond the dimension.
    Size end = ends->elements[i];
    if (to && *to < 0) {
      end = size + end;
    } else if (to && *to >= std::numeric_limits<int32_t>::max()) {
      end = size;
    } else if (end.is_nonnegative()) {
      end = end.smaller(size);
    } else {
      return std::nullopt;
    }
    if (*from == 0) {
      if (to && *to < 0 && !end.is_nonnegative()) return std::nullopt;
      size = end;
    } else if (const auto known = size.constant(), stop = end.constant(); known && stop) {
      const int64_t start = std::clamp<int64_t>(*from < 0 ? *from + *known : *from, 0, *known);
      size = Size::known(std::max<int64_t>(0, *stop - start));
    } else {
      return std::nullopt;  // how far a start clips a symbol is not known
    }
  }
  return data;
}

std::optional<Sizes> ShapeValues::infer_dims(const Node& node) const {
  const std::string& op = node.op_type;
  if (op == "ConstantOfShape") {
    const auto shape = input(node, 0);
    return shape ? std::optional(shape->elements) : std::nullopt;
  }
  if (op == "Range") {
    const auto start = input(node, 0), limit = input(node, 1), delta = input(node, 2);
    if (!start || !limit || !delta || !start->elements[0].is(0) || !delta->elements[0].is(1))
      return std::nullopt;
    return limit->elements[0].is_nonnegative() ? std::optional(limit->elements) : std::nullopt;
  }
  if (!has_input(node, 0)) return std::nullopt;
  const auto first = dims(node.inputs[0]);
  if (op == "Reshape" && has_input(node, 1)) {
    const auto target = input(node, 1);
    return target ? reshaped_dims(*target, first, node.int_or("allowzero", 0) != 0) : std::nullopt;
  }
  if (!first) return std::nullopt;
  if (is_one_of(kSameShape, op)) return first;
  if (is_one_of(kBroadcasting, op)) {
    std::optional<Sizes> result = first;
    for (size_t i = 1; i < node.inputs.size() && result; ++i) {
      const auto other = dims(node.inputs[i]);
      result = other ? broadcast(*result, *other) : std::nullopt;
    }
    return result;
  }
  if (is_one_of(kWindowed, op))
    return windowed(node, *first, has_input(node, 1) ? dims(node.inputs[1]) : std::nullopt);
  if (is_one_of(kReducing, op)) {
    const auto axes = axes_of(node, 1);
    if (!axes || (axes->empty() && node.int_or("noop_with_empty_axes", 0) != 0)) return std::nullopt;
    auto reduced = marked_axes(*axes, first->size());
    if (!reduced) return std::nullopt;
    if (axes->empty()) reduced->assign(first->size(), true);
    Sizes result;
    for (size_t i = 0; i < first->size(); ++i) {
      if (!(*reduced)[i]) result.push_back((*first)[i]);
      if ((*reduced)[i] && node.int_or("keepdims", 1) != 0) result.push_back(Size::known(1));
    }
    return result;
  }
  if (op == "GlobalAveragePool" || op == "GlobalMaxPool") {
    Sizes result = *first;
    for (size_t i = 2; i < result.size(); ++i) result[i] = Size::known(1);
    return result;
  }
  if (op == "Expand") {
    const auto shape = input(node, 1);
    return shape ? broadcast(*first, shape->elements) : std::nullopt;
  }
  if (op == "Transpose") {
    const auto permutation = node.ints_or("perm", {});
    Sizes result;
    for (size_t i = 0; i < first->size(); ++i) {
      const auto axis = permutation.empty()      ? first->size() - 1 - i
                        : i < permutation.size() ? static_cast<size_t>(permutation[i])
                                                 : first->size();
      if (axis >= first->size()) return std::nullopt;
      result.push_back((*first)[axis]);
    }
    return result;
  }
  if (op == "Unsqueeze") {
    const auto axes = axes_of(node, 1);
    const auto added = axes ? marked_axes(*axes, first->size() + axes->size()) : std::nullopt;
    if (!added) return std::nullopt;
    Sizes result;
    size_t from = 0;
    for (const bool is_new : *added) {
      if (!is_new && from >= first->size()) return std::nullopt;
      result.push_back(is_new ? Size::known(1) : (*first)[from++]);
    }
    return result;
  }
  if (op == "Squeeze") {
    const auto axes = axes_of(node, 1);
    const auto gone = axes && !axes->empty() ? marked_axes(*axes, first->size()) : std::nullopt;
    if (!gone) return std::nullopt;
    Sizes result;
    for (size_t i = 0; i < first->size(); ++i)
      if (!(*gone)[i]) result.push_back((*first)[i]);
    return result;
  }
  if (op == "Slice") return sliced_dims(node, *first);
  if (op == "Gather") {
    const auto positions = dims(node.inputs[1]);
    const auto axis = normalise_axis(node.int_or("axis", 0), first->size());
    if (!positions || !axis) return std::nullopt;
    Sizes result(first->begin(), first->begin() + static_cast<std::ptrdiff_t>(*axis));
    result.insert(result.end(), positions->begin(), positions->end());
    result.insert(result.end(), first->begin() + static_cast<std::ptrdiff_t>(*axis) + 1, first->end());
    return result;
  }
  if (op == "GatherElements") return dims(node.inputs[1]);
  if (op == "Concat") {
    const auto axis = normalise_axis(node.int_or("axis", 0), first->size());
    if (!axis) return std::nullopt;
    Sizes result = *first;
    for (size_t i = 1; i < node.inputs.size(); ++i) {
      const auto other = dims(node.inputs[i]);
      if (!other || other->size() != result.size()) return std::nullopt;
      for (size_t d = 0; d < result.size(); ++d) {
        if (d == *axis) result[d] = result[d] + (*other)[d];
        // All parts agree there: the one that is known best speaks for all.
        if (d != *axis && ((*other)[d].constant() || (!result[d].expression() && (*other)[d].expression())))
          result[d] = (*other)[d];
      }
    }
    return result;
  }
  if (op == "Pad" && has_input(node, 1) && !has_input(node, 3)) {
    const auto pads = input(node, 1);
    if (!pads || pads->elements.size() != 2 * first->size()) return std::nullopt;
    Sizes result = *first;
    for (size_t i = 0; i < result.size(); ++i)
      result[i] = result[i] + pads->elements[i] + pads->elements[first->size() + i];
    return result;
  }
  if (op == "Resize" && node.find("axes") == nullptr) {
    if (has_input(node, 3)) {
      const auto sizes = input(node, 3);
      return sizes && sizes->elements.size() == first->size() ? std::optional(sizes->elements) : std::nullopt;
    }
    const WeightPtr scales = has_input(node, 2) ? scope_.weight(node.inputs[2]) : nullptr;
    const auto factors = scales == nullptr ? std::vector<double>() : scales->as_doubles();
    if (factors.size() != first->size()) return std::nullopt;
    Sizes result;
    for (size_t i = 0; i < factors.size(); ++i) {
      const auto whole = static_cast<int64_t>(factors[i]);
      if (static_cast<double>(whole) != factors[i]) return std::nullopt;
      result.push_back((*first)[i] * Size::known(whole));
    }
    return result;
  }
  if (op == "MatMul" && first->size() >= 2) {
    const auto second = dims(node.inputs[1]);
    if (!second || second->size() < 2) return std::nullopt;
    auto result =
        broadcast(Sizes(first->begin(), first->end() - 2), Sizes(second->begin(), second->end() - 2));
    if (!result) return std::nullopt;
    result->push_back((*first)[first->size() - 2]);
    result->push_back(second->back());
    return result;
  }
  if (op == "Gemm" && first->size() == 2) {
    const auto second = dims(node.inputs[1]);
    if (!second || second->size() != 2) return std::nullopt;
    return Sizes{(*first)[node.int_or("transA", 0) != 0 ? 1 : 0],
                 (*second)[node.int_or("transB", 0) != 0 ? 0 : 1]};
  }
  return std::nullopt;
}

}  // namespace mts::canon
