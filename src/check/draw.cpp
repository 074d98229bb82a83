#include "check/draw.h"

#include "check/random.h"
#include "ir/number.h"

#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>

namespace mts::check {
namespace {

// Follows an input through operators that hand its elements on.
class UsageWalk {
 public:
  Usage walk(const Graph& graph, ValueId value) {
    visit(graph, value);
    return usage_;
  }

 private:
  void visit(const Graph& graph, ValueId value) {
    if (!seen_.insert({&graph, value}).second) return;
    for (const Use& use : graph.uses(value)) {
      const Node& node = graph.node(use.node);
      if (use.input < 0) {
        visit_captures(node, value);
      } else {
        visit_use(graph, node, static_cast<size_t>(use.input));
      }
    }
  }

  void visit_captures(const Node& node, ValueId value) {
    for (const Graph* child : node.subgraphs()) {
      for (const Capture& capture : child->captures()) {
        if (capture.outer == value) visit(*child, capture.inner);
      }
    }
  }

  void visit_use(const Graph& graph, const Node& node, size_t input) {
    if (!node.domain.empty()) return;
    const std::string& op = node.op_type;
    if (op == "Gather" && input == 1) return limit(graph, node.inputs[0], node.int_or("axis", 0));
    if ((op == "GatherElements" || op == "ScatterElements") && input == 1) {
      return limit(graph, node.inputs[0], node.int_or("axis", 0));
    }
    if ((op == "GatherND" || op == "ScatterND") && input == 1) return limit_any(graph, node.inputs[0]);
    if (op == "OneHot" && input == 0) return limit_depth(graph, node.inputs[1]);
    static constexpr std::array kSizes = {std::pair("Reshape", 1u), std::pair("Expand", 1u),
                                          std::pair("Tile", 1u),    std::pair("ConstantOfShape", 0u),
                                          std::pair("Resize", 3u),  std::pair("TopK", 1u),
                                          std::pair("Loop", 0u),    std::pair("Range", 1u)};
    for (const auto& [name, position] : kSizes) {
      if (op == name && input == position) usage_.size = true;
    }
    static constexpr std::array kElementwise = {"Identity", "Cast", "Concat", "Where", "Max", "Min"};
    static constexpr std::array kReordering = {"Reshape", "Squeeze", "Unsqueeze",     "Flatten", "Transpose",
                                               "Expand",  "Slice",   "Split",         "Gather",  "Tile",
                                               "Pad",     "Clip",    "GatherElements"};
    const bool passes = std::ranges::find(kElementwise, op) != kElementwise.end() ||
                        (input == 0 && std::ranges::find(kReordering, op) != kReordering.end());
    if (!passes) return;
    for (const ValueId output : node.outputs) {
      if (output != kNoValue) visit(graph, output);
    }
  }

  void limit_to(int64_t size) {
    if (size >= 1) usage_.below = std::min(usage_.below.value_or(size), size);
  }

  void limit(const Graph& graph, ValueId data, int64_t axis) {
    const Value& value = graph.value(data);
    if (value.is_constant()) {
      const Dims& dims = value.weight->dims();
      const auto rank = static_cast<int64_t>(dims.size());
      if (axis < 0) axis += rank;
      if (axis >= 0 && axis < rank) limit_to(dims[static_cast<size_t>(axis)]);
    } else if (value.type.has_rank()) {
      const auto rank = static_cast<int64_t>(value.type.rank());
      if (axis < 0) axis += rank;
      if (axis < 0 || axis >= rank) return;
      const Dim& dim = (*value.type.shape)[static_cast<size_t>(axis)];
      // A dynamic axis may have any size: only its first element is sure to be there.
      limit_to(dim.is_known() ? dim.value : 1);
    } else {
      limit_to(1);
    }
  }

  void limit_any(const Graph& graph, ValueId data) {
    const Value& value = graph.value(data);
    const size_t rank = value.is_constant()     ? value.weight->dims().size()
                        : value.type.has_rank() ? value.type.rank()
                                                : 0;
    for (size_t axis = 0; axis < rank; ++axis) limit(graph, data, static_cast<int64_t>(axis));
  }

  void limit_depth(const Graph& graph, ValueId depth) {
    const Value& value = graph.value(depth);
    if (!value.is_constant()) return;
    for (const double size : value.weight->as_doubles()) limit_to(static_cast<int64_t>(size));
  }

  Usage usage_;
  std::set<std::pair<const Graph*, ValueId>> seen_;
};

std::pair<int64_t, int64_t> integer_range(const Drawing& drawing) {
  if (drawing.range) {
    return {static_cast<int64_t>(drawing.range->first), static_cast<int64_t>(drawing.range->second)};
  }
  const int64_t low = drawing.usage.size ? 1 : 0;
  if (drawing.usage.below) return {std::min(low, *drawing.usage.below - 1), *drawing.usage.below};
  if (drawing.usage.size) return {1, 5};
  switch (drawing.dtype) {
    case DType::kUint8:
      return {0, 256};
    case DType::kInt8:
      return {-128, 128};
    case DType::kUint4:
      return {0, 16};
    case DType::kInt4:
      return {-8, 8};
    case DType::kUint2:
      return {0, 4};
    case DType::kInt2:
      return {-2, 2};
    default:
      return {0, 8};
  }
}

template <class T, class Next>
void fill(Tensor& tensor, Next next) {
  T* const out = tensor.mutable_as<T>();
  const int64_t count = tensor.element_count();
  for (int64_t i = 0; i < count; ++i) out[i] = static_cast<T>(next(i));
}

}  // namespace

Usage usage_of(const Graph& graph, ValueId input) { return UsageWalk().walk(graph, input); }

Usage intersect(const Usage& a, const Usage& b) {
  Usage result = a;
  if (b.below) result.below = std::min(result.below.value_or(*b.below), *b.below);
  result.size |= b.size;
  return result;
}

Tensor draw(const Drawing& drawing, uint64_t seed, const std::string& stream) {
  Random random(seed, stream);
  Tensor tensor(drawing.dtype, drawing.dims);
  const auto real = [&](int64_t) {
    if (!drawing.range) return random.normal() + drawing.shift;
    return drawing.range->first + (drawing.range->second - drawing.range->first) * random.uniform();
  };
  const int64_t row = drawing.dims.empty() ? 1 : std::max<int64_t>(drawing.dims.back(), 1);
  const auto [low, high] = integer_range(drawing);
  const auto integer = [&, low = low, high = high](int64_t i) -> int64_t {
    if (drawing.mask && !drawing.range) return i % row == 0 || random.integer(0, 4) > 0 ? 1 : 0;
    return random.integer(low, high);
  };
  // Two 4-bit or four 2-bit values a byte.
  const auto packed = [&](int64_t) {
    const int bits = bit_width(drawing.dtype);
    int64_t byte = 0;
    for (int shift = 0; shift < 8; shift += bits) byte |= (integer(0) & ((1 << bits) - 1)) << shift;
    return byte;
  };
  switch (drawing.dtype) {
    case DType::kFloat32:
      fill<float>(tensor, real);
      break;
    case DType::kFloat64:
      fill<double>(tensor, real);
      break;
    case DType::kFloat16:
      fill<uint16_t>(tensor, [&](int64_t i) { return float_to_float16(static_cast<float>(real(i))); });
      break;
    case DType::kBfloat16:
      fill<uint16_t>(tensor, [&](int64_t i) { return float_to_bfloat16(static_cast<float>(real(i))); });
      break;
    case DType::kComplex64:
    case DType::kComplex128: {
      const bool narrow = drawing.dtype == DType::kComplex64;
      for (int64_t i = 0; i < 2 * tensor.element_count(); ++i) {
        if (narrow) tensor.mutable_as<float>()[i] = static_cast<float>(real(i));
        if (!narrow) tensor.mutable_as<double>()[i] = real(i);
      }
      break;
    }
    case DType::kBool:
      fill<uint8_t>(tensor, [&](int64_t i) { return drawing.mask ? integer(i) : random.integer(0, 2); });
      break;
    case DType::kInt8:
      fill<int8_t>(tensor, integer);
      break;
    case DType::kUint8:
      fill<uint8_t>(tensor, integer);
      break;
    case DType::kInt16:
      fill<int16_t>(tensor, integer);
      break;
    case DType::kUint16:
      fill<uint16_t>(tensor, integer);
      break;
    case DType::kInt32:
      fill<int32_t>(tensor, integer);
      break;
    case DType::kUint32:
      fill<uint32_t>(tensor, integer);
      break;
    case DType::kInt64:
      fill<int64_t>(tensor, integer);
      break;
    case DType::kUint64:
      fill<uint64_t>(tensor, integer);
      break;
    case DType::kString:
      for (std::string& text : tensor.mutable_strings()) text = fmt::format("w{}", random.integer(0, 16));
      break;
    default: {
      auto* const bytes = reinterpret_cast<uint8_t*>(tensor.mutable_data());
      const bool is_packed = bit_width(drawing.dtype) < 8;
      for (size_t i = 0; i < tensor.byte_size(); ++i) {
        // float8: without the exponents that hold NaN and infinity.
        bytes[i] = static_cast<uint8_t>(is_packed ? packed(0) : static_cast<int64_t>(random.bits() & 0xbfu));
      }
    }
  }
  return tensor;
}

}  // namespace mts::check
