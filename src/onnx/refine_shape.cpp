// refine_shape: see shape_values.h.
#include "onnx/shape_operands.h"

#include <algorithm>
#include <limits>

namespace mts::onnxio {
namespace {

// The dims of `a` without those symbols that `b` has as well, and of `b` without those that `a` has.
void cancel(std::vector<Dim>& a, std::vector<Dim>& b) {
  for (auto it = a.begin(); it != a.end();) {
    const auto other = it->is_symbolic() ? std::ranges::find(b, *it) : b.end();
    if (other == b.end()) {
      ++it;
      continue;
    }
    b.erase(other);
    it = a.erase(it);
  }
}

// The product of the known dims; nothing when one is unknown, zero or the product overflows. Symbols go to
// `symbols`.
std::optional<int64_t> known_product(const std::vector<Dim>& dims, std::vector<Dim>& symbols) {
  int64_t total = 1;
  for (const Dim& dim : dims) {
    if (dim.is_symbolic()) {
      symbols.push_back(dim);
    } else if (dim.value <= 0 || __builtin_mul_overflow(total, dim.value, &total)) {
      return std::nullopt;
    }
  }
  return total;
}

Dim to_dim(const Element& e) {
  if (e.has_dim_value() && e.dim_value() >= 0) return Dim::known(e.dim_value());
  return is_symbol(e) ? Dim::symbolic(e.dim_param()) : Dim::unknown();
}

// One dim of the target may be -1 or unknown: it is what is left of the input.
std::optional<Shape> reshape(const Operands& o) {
  const Content* target = o.content(1);
  if (target == nullptr || o.types.empty()) return std::nullopt;
  const Type& input = o.types[0];
  const bool zero_copies = o.node.int_or("allowzero", 0) == 0;
  Shape result;
  std::vector<size_t> open;
  for (const Element& element : target->dim()) {
    const size_t i = result.size();
    result.push_back(to_dim(element));
    if (zero_copies && is_number(element, 0))
      result.back() = input.has_rank() && i < input.rank() ? (*input.shape)[i] : Dim::unknown();
    if (result.back() == Dim::unknown()) open.push_back(i);
  }
  if (open.size() != 1 || !input.has_rank()) return result;
  std::vector<Dim> from(*input.shape), to(result);
  to.erase(to.begin() + static_cast<std::ptrdiff_t>(open[0]));
  cancel(from, to);
  std::vector<Dim> symbols, left_over;
  const auto have = known_product(from, symbols);
  const auto need = known_product(to, left_over);
  if (!have || !need || !left_over.empty() || *have % *need != 0) return result;
  if (symbols.empty()) result[open[0]] = Dim::known(*have / *need);
  if (symbols.size() == 1 && *have == *need) result[open[0]] = symbols[0];
  return result;
}

std::optional<Shape> resized(const Operands& o) {
  const Content* sizes = o.content(3);
  if (sizes == nullptr || sizes->dim_size() == 0 || o.node.find("axes") != nullptr ||
      o.node.string_or("keep_aspect_ratio_policy", "stretch") != "stretch")
    return std::nullopt;
  Shape result;
  for (const Element& element : sizes->dim()) result.push_back(to_dim(element));
  return result;
}

std::optional<Shape> sliced(const Operands& o) {
  const auto bounds = bounds_of(o);
  if (!bounds || o.types.empty() || !o.types[0].has_rank()) return std::nullopt;
  Shape result = *o.types[0].shape;
  const auto rank = static_cast<int64_t>(result.size());
  for (size_t i = 0; i < bounds->axes.size(); ++i) {
    const int64_t axis = bounds->axes[i] < 0 ? bounds->axes[i] + rank : bounds->axes[i];
    if (axis < 0 || axis >= rank) return std::nullopt;
    Dim& dim = result[static_cast<size_t>(axis)];
    const Element &start = bounds->start[i], &end = bounds->end[i];
    const bool to_end = (end.has_dim_value() && end.dim_value() >= std::numeric_limits<int32_t>::max()) ||
                        (is_symbol(end) && dim.is_symbolic() && end.dim_param() == dim.symbol);
    const bool whole = is_number(start, 0) && is_number(bounds->step[i], 1) && to_end;
    if (!whole) dim = Dim::unknown();
  }
  return result;
}

}  // namespace

std::optional<Shape> refine_shape(const Node& node, const std::vector<const Content*>& inputs,
                                  const std::vector<Type>& input_types) {
  if (!node.domain.empty()) return std::nullopt;
  const Operands operands{node, inputs, input_types};
  if (node.op_type == "Reshape") return reshape(operands);
  if (node.op_type == "Slice") return sliced(operands);
  if (node.op_type == "Resize") return resized(operands);
  if (node.op_type == "Range" && operands.single(0) == 0 && operands.single(2) == 1 &&
      operands.content(1) != nullptr && operands.content(1)->dim_size() == 1)
    return Shape{to_dim(operands.content(1)->dim(0))};
  return std::nullopt;
}

}  // namespace mts::onnxio
