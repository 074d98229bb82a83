#include "canon/shape_values.h"

#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <map>

namespace mts::canon {
namespace {

using Sizes = std::vector<Size>;
using Tensor1 = std::optional<ShapeTensor>;

bool is_whole(DType dtype) { return is_integer(dtype) || dtype == DType::kBool; }

// Elementwise over operands that are scalars or of one length.
template <class F>
Tensor1 zip(const ShapeTensor& a, const ShapeTensor& b, F&& combine) {
  const size_t count = std::max(a.elements.size(), b.elements.size());
  if ((a.elements.size() != count && a.elements.size() != 1) ||
      (b.elements.size() != count && b.elements.size() != 1))
    return std::nullopt;
  ShapeTensor result{{}, a.scalar && b.scalar};
  for (size_t i = 0; i < count; ++i) {
    const std::optional<Size> element =
        combine(a.elements[a.elements.size() == 1 ? 0 : i], b.elements[b.elements.size() == 1 ? 0 : i]);
    if (!element) return std::nullopt;
    result.elements.push_back(*element);
  }
  return result;
}

std::optional<Size> truth(std::optional<bool> value) {
  return value ? std::optional(Size::known(*value ? 1 : 0)) : std::nullopt;
}

std::optional<Size> binary(const std::string& op, const Size& a, const Size& b) {
  if (op == "Add") return a + b;
  if (op == "Sub") return a - b;
  if (op == "Mul") return a * b;
  if (op == "Div") return a.floor_divided_by(b);
  if (op == "Min") return a.smaller(b);
  if (op == "Max") return a.larger(b);
  if (op == "Equal") return truth(a.equals(b));
  if (op == "LessOrEqual") return truth(a.at_most(b));
  if (op == "GreaterOrEqual") return truth(b.at_most(a));
  if (op == "Less") return truth((a + Size::known(1)).at_most(b));
  if (op == "Greater") return truth((b + Size::known(1)).at_most(a));
  if (op == "Mod" && a.constant() && b.constant() && *b.constant() > 0 && *a.constant() >= 0)
    return Size::known(*a.constant() % *b.constant());
  return std::nullopt;
}

std::optional<int64_t> one_constant(const Tensor1& tensor) {
  return tensor && tensor->elements.size() == 1 ? tensor->elements.front().constant() : std::nullopt;
}

Tensor1 slice(const ShapeTensor& data, int64_t start, int64_t end, int64_t step) {
  const auto count = static_cast<int64_t>(data.elements.size());
  if (step == 0 || data.scalar) return std::nullopt;
  if (start < 0) start += count;
  if (end < 0) end += count;
  ShapeTensor result;
  if (step > 0) {
    end = std::min(end, count);
    for (int64_t i = std::max<int64_t>(start, 0); i < end; i += step)
      result.elements.push_back(data.elements[static_cast<size_t>(i)]);
  } else {
    end = std::max<int64_t>(end, -1);
    for (int64_t i = std::min(start, count - 1); i > end; i += step)
      result.elements.push_back(data.elements[static_cast<size_t>(i)]);
  }
  return result;
}

}  // namespace

std::optional<std::vector<int64_t>> ShapeTensor::constants() const {
  std::vector<int64_t> values;
  for (const Size& element : elements) {
    const auto value = element.constant();
    if (!value) return std::nullopt;
    values.push_back(*value);
  }
  return values;
}

Size product_of(const Sizes& sizes) {
  Size product = Size::known(1);
  for (const Size& size : sizes) product = product * size;
  return product;
}

std::optional<Sizes> reshaped_dims(const ShapeTensor& target, const std::optional<Sizes>& data,
                                   bool allow_zero) {
  Sizes dims = target.elements;
  std::optional<size_t> inferred;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i].is(0) && !allow_zero) {
      if (!data || i >= data->size()) return std::nullopt;
      dims[i] = (*data)[i];
    } else if (dims[i].is(-1)) {
      inferred = i;
    } else if (const auto value = dims[i].constant(); value && *value < 0) {
      return std::nullopt;
    }
  }
  if (inferred) {
    if (!data) return std::nullopt;
    dims[*inferred] = Size::known(1);
    const auto quotient = product_of(*data).divided_by(product_of(dims));
    if (!quotient) return std::nullopt;
    dims[*inferred] = *quotient;
  }
  return dims;
}

// The constant Reshape target that turns `from` into `to`; nullopt when two dimensions would have to be
// inferred.
std::optional<std::vector<int64_t>> reshape_target(const Sizes& from, const Sizes& to) {
  std::vector<int64_t> target;
  bool inferred = false;
  for (size_t i = 0; i < to.size(); ++i) {
    const auto value = to[i].constant();
    if (i < from.size() && from[i] == to[i]) {
      target.push_back(0);
    } else if (value && *value > 0) {
      target.push_back(*value);
    } else if (!value && !inferred) {
      inferred = true;
      target.push_back(-1);
    } else {
      return std::nullopt;
    }
  }
  return target;
}

ShapeValues::ShapeValues(const Scope& scope)
    : scope_(scope), contents_(scope.graph().value_count()), dims_(scope.graph().value_count()) {
  for (const ValueId id : scope.graph().inputs()) {
    const Type& type = scope.graph().value(id).type;
    if (!type.has_rank()) continue;
    for (const Dim& dim : *type.shape)
      if (dim.is_symbolic()) input_symbols_.insert(Size::dimension(dim.symbol).to_string());
  }
  for (const NodeId id : scope.graph().order()) visit(scope.graph().node(id));
}

std::optional<Sizes> ShapeValues::dims(ValueId id) const {
  if (id == kNoValue) return std::nullopt;
  if (index(id) < dims_.size() && dims_[index(id)]) return dims_[index(id)];
  const Type& type = scope_.graph().value(id).type;
  if (!type.has_rank()) return std::nullopt;
  Sizes sizes;
  for (const Dim& dim : *type.shape) {
    if (dim.is_known()) {
      sizes.push_back(Size::known(dim.value));
    } else if (dim.is_symbolic()) {
      const auto known = expressions_.find(dim.symbol);
      sizes.push_back(known != expressions_.end() ? known->second : Size::dimension(dim.symbol));
    } else {
      sizes.push_back(Size::symbol("#" + std::to_string(index(id)) + "." + std::to_string(sizes.size())));
    }
  }
  return sizes;
}

std::optional<ShapeTensor> ShapeValues::content(ValueId id) const {
  if (id == kNoValue) return std::nullopt;
  if (index(id) < contents_.size() && contents_[index(id)]) return contents_[index(id)];
  const WeightPtr weight = scope_.weight(id);
  if (weight == nullptr || !is_whole(weight->dtype()) || weight->dims().size() > 1 ||
      static_cast<size_t>(weight->element_count()) > kMaxElements)
    return std::nullopt;
  ShapeTensor tensor{{}, weight->dims().empty()};
  for (const int64_t value : weight->as_int64s()) tensor.elements.push_back(Size::known(value));
  return tensor;
}

std::optional<ShapeTensor> ShapeValues::input(const Node& node, size_t position) const {
  return has_input(node, position) ? content(node.inputs[position]) : std::nullopt;
}

void ShapeValues::visit(const Node& node) {
  if (!node.domain.empty() || node.outputs.empty() || node.outputs[0] == kNoValue) return;
  const size_t out = index(node.outputs[0]);
  const Type& type = scope_.graph().value(node.outputs[0]).type;
  if (auto inferred = infer_dims(node)) {
    // A number that inference knows stays; a symbol of the file is better than an atom without a name.
    if (const auto typed = dims(node.outputs[0]); typed && typed->size() == inferred->size())
      for (size_t i = 0; i < typed->size(); ++i)
        if (((*typed)[i].constant() && !follows_inputs((*inferred)[i])) ||
            (!(*inferred)[i].expression() && (*type.shape)[i].is_symbolic()))
          (*inferred)[i] = (*typed)[i];
    for (const Size& size : *inferred)
      if (auto text = size.expression()) expressions_.try_emplace(std::move(*text), size);
    dims_[out] = std::move(inferred);
  }
  if (type.is_tensor() && !is_whole(type.dtype) && type.dtype != DType::kUndefined) return;
  if (node.is("Split")) {
    const auto data = input(node, 0);
    const auto lengths = input(node, 1);
    if (!data || data->scalar) return;
    size_t start = 0;
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      size_t length = (data->elements.size() + node.outputs.size() - 1) / node.outputs.size();
      if (has_input(node, 1)) {
        if (!lengths || i >= lengths->elements.size() || !lengths->elements[i].constant()) return;
        length = static_cast<size_t>(*lengths->elements[i].constant());
      }
      const size_t end = std::min(start + length, data->elements.size());
      if (node.outputs[i] != kNoValue)
        contents_[index(node.outputs[i])] =
            ShapeTensor{Sizes(data->elements.begin() + static_cast<std::ptrdiff_t>(start),
                              data->elements.begin() + static_cast<std::ptrdiff_t>(end)),
                        false};
      start = end;
    }
    return;
  }
  auto result = evaluate(node);
  if (result && result->elements.size() <= kMaxElements) contents_[out] = std::move(result);
}

std::optional<ShapeTensor> ShapeValues::evaluate(const Node& node) const {
  const std::string& op = node.op_type;
  if (op == "Shape") {
    const auto sizes = dims(node.inputs[0]);
    if (!sizes) return std::nullopt;
    const auto rank = static_cast<int64_t>(sizes->size());
    const int64_t start = node.int_or("start", 0), end = node.int_or("end", rank);
    const int64_t from = std::clamp<int64_t>(start < 0 ? start + rank : start, 0, rank);
    const int64_t to = std::clamp<int64_t>(end < 0 ? end + rank : end, 0, rank);
    ShapeTensor result;
    for (int64_t i = from; i < to; ++i) result.elements.push_back((*sizes)[static_cast<size_t>(i)]);
    return result;
  }
  if (op == "Size") {
    const auto sizes = dims(node.inputs[0]);
    return sizes ? std::optional(ShapeTensor{{product_of(*sizes)}, true}) : std::nullopt;
  }
  if (op == "ConstantOfShape") {
    const auto shape = input(node, 0);
    if (!shape || shape->elements.size() != 1) return std::nullopt;
    const auto count = shape->elements.front().constant();
    if (!count || *count < 0 || *count > static_cast<int64_t>(kMaxElements)) return std::nullopt;
    const Attribute* attribute = node.find("value");
    if (attribute == nullptr) return std::nullopt;  // float zeros
    const auto* value = std::get_if<WeightPtr>(&attribute->value);
    if (value == nullptr || !is_whole((*value)->dtype())) return std::nullopt;
    return ShapeTensor{Sizes(static_cast<size_t>(*count), Size::known((*value)->as_int64s().at(0))), false};
  }
  if (op == "Concat") {
    ShapeTensor result;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const auto part = input(node, i);
      if (!part || part->scalar) return std::nullopt;
      result.elements.insert(result.elements.end(), part->elements.begin(), part->elements.end());
    }
    return result;
  }
  if (op == "Range") {
    const auto start = one_constant(input(node, 0)), limit = one_constant(input(node, 1)),
               delta = one_constant(input(node, 2));
    if (!start || !limit || !delta || *delta == 0) return std::nullopt;
    ShapeTensor result;
    for (int64_t v = *start; *delta > 0 ? v < *limit : v > *limit; v += *delta) {
      if (result.elements.size() == kMaxElements) return std::nullopt;
      result.elements.push_back(Size::known(v));
    }
    return result;
  }

  auto data = input(node, 0);
  if (!data) return std::nullopt;
  if (op == "Identity") return data;
  if (op == "Cast") {
    const auto to = static_cast<DType>(node.int_or("to", 0));
    if (to == DType::kInt64 || to == DType::kInt32) return data;
    return std::nullopt;
  }
  if (op == "Squeeze") {
    if (data->elements.size() != 1) return std::nullopt;
    data->scalar = true;
    return data;
  }
  if (op == "Unsqueeze") {
    if (!data->scalar) return std::nullopt;
    const auto axes = input(node, 1);
    if (!axes || axes->elements.size() != 1) return std::nullopt;
    data->scalar = false;
    return data;
  }
  if (op == "Reshape") {
    const auto target = input(node, 1);
    if (!target || target->elements.size() > 1) return std::nullopt;
    data->scalar = target->elements.empty();
    return data;
  }
  if (op == "Gather") {
    const auto positions = input(node, 1);
    if (!positions || data->scalar) return std::nullopt;
    ShapeTensor result{{}, positions->scalar};
    for (const Size& element : positions->elements) {
      const auto position = element.constant();
      const auto at = position ? normalise_axis(*position, data->elements.size()) : std::nullopt;
      if (!at) return std::nullopt;
      result.elements.push_back(data->elements[*at]);
    }
    return result;
  }
  if (op == "Slice") {
    const auto start = one_constant(input(node, 1)), end = one_constant(input(node, 2));
    const auto step = has_input(node, 4) ? one_constant(input(node, 4)) : std::optional<int64_t>(1);
    if (!start || !end || !step) return std::nullopt;
    return slice(*data, *start, *end, *step);
  }
  if (op == "ReduceProd" || op == "ReduceSum") {
    if (data->scalar || node.int_or("noop_with_empty_axes", 0) != 0) return std::nullopt;
    Size total = Size::known(op == "ReduceProd" ? 1 : 0);
    for (const Size& element : data->elements) total = op == "ReduceProd" ? total * element : total + element;
    return ShapeTensor{{total}, node.int_or("keepdims", 1) == 0};
  }
  if (op == "Neg")
    return zip(ShapeTensor{{Size()}, true}, *data,
               [](const Size& a, const Size& b) { return std::optional(a - b); });
  if (op == "Not") {
    for (Size& element : data->elements) {
      if (!element.constant()) return std::nullopt;
      element = Size::known(*element.constant() == 0 ? 1 : 0);
    }
    return data;
  }
  if (op == "Expand" || op == "Tile") {
    const auto target = input(node, 1);
    const auto count = one_constant(target);
    if (!count || *count < 1 || *count > static_cast<int64_t>(kMaxElements) || data->elements.size() != 1)
      return std::nullopt;
    return ShapeTensor{Sizes(static_cast<size_t>(*count), data->elements.front()), false};
  }
  if (op == "Where") {
    const auto yes = input(node, 1), no = input(node, 2);
    if (!yes || !no) return std::nullopt;
    const size_t count = std::max({data->elements.size(), yes->elements.size(), no->elements.size()});
    ShapeTensor result{{}, data->scalar && yes->scalar && no->scalar};
    const auto at = [count](const ShapeTensor& t, size_t i) -> const Size* {
      if (t.elements.size() == count) return &t.elements[i];
      return t.elements.size() == 1 ? &t.elements.front() : nullptr;
    };
    for (size_t i = 0; i < count; ++i) {
      const Size *condition = at(*data, i), *a = at(*yes, i), *b = at(*no, i);
      if (condition == nullptr || a == nullptr || b == nullptr || !condition->constant()) return std::nullopt;
      result.elements.push_back(*condition->constant() != 0 ? *a : *b);
    }
    return result;
  }
  if (node.inputs.size() == 2) {
    const auto other = input(node, 1);
    if (!other) return std::nullopt;
    return zip(*data, *other, [&](const Size& a, const Size& b) { return binary(op, a, b); });
  }
  return std::nullopt;
}

}  // namespace mts::canon
