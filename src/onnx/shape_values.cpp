#include "onnx/shape_values.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace mts::onnxio {
namespace {

Element number(int64_t value) {
  Element element;
  element.set_dim_value(value);
  return element;
}
std::optional<int64_t> number_of(const Element& e) {
  return e.has_dim_value() ? std::optional<int64_t>(e.dim_value()) : std::nullopt;
}
bool is_number(const Element& e, int64_t value) { return e.has_dim_value() && e.dim_value() == value; }
bool is_symbol(const Element& e) { return e.has_dim_param() && !e.dim_param().empty(); }
bool same(const Element& a, const Element& b) {
  return (a.has_dim_value() && is_number(b, a.dim_value())) ||
         (is_symbol(a) && is_symbol(b) && a.dim_param() == b.dim_param());
}

using Binary = Element (*)(const Element&, const Element&);

// Applies `operation` where both are numbers and nothing overflows.
template <class Operation>
Element checked(const Element& a, const Element& b, Operation operation) {
  int64_t result = 0;
  return a.has_dim_value() && b.has_dim_value() && !operation(a.dim_value(), b.dim_value(), &result)
             ? number(result)
             : Element();
}

Element add(const Element& a, const Element& b) {
  if (is_number(a, 0)) return b;
  if (is_number(b, 0)) return a;
  return checked(a, b, [](int64_t x, int64_t y, int64_t* r) { return __builtin_add_overflow(x, y, r); });
}
Element subtract(const Element& a, const Element& b) {
  if (is_number(b, 0)) return a;
  if (same(a, b)) return number(0);
  return checked(a, b, [](int64_t x, int64_t y, int64_t* r) { return __builtin_sub_overflow(x, y, r); });
}
Element multiply(const Element& a, const Element& b) {
  if (is_number(a, 1) || is_number(b, 0)) return b;
  if (is_number(b, 1) || is_number(a, 0)) return a;
  return checked(a, b, [](int64_t x, int64_t y, int64_t* r) { return __builtin_mul_overflow(x, y, r); });
}
Element divide(const Element& a, const Element& b) {
  if (is_number(b, 1)) return a;
  return checked(a, b, [](int64_t x, int64_t y, int64_t* r) {
    if (y == 0 || (y == -1 && x == std::numeric_limits<int64_t>::min())) return true;
    *r = x / y;
    return false;
  });
}
Element modulo(const Element& a, const Element& b) {
  if (is_number(b, 1)) return number(0);
  return checked(a, b, [](int64_t x, int64_t y, int64_t* r) {
    if (y <= 0) return true;
    *r = (x % y + y) % y;
    return false;
  });
}
Element minimum(const Element& a, const Element& b) {
  if (same(a, b)) return a;
  return a.has_dim_value() && b.has_dim_value() ? number(std::min(a.dim_value(), b.dim_value())) : Element();
}
Element maximum(const Element& a, const Element& b) {
  if (same(a, b)) return a;
  return a.has_dim_value() && b.has_dim_value() ? number(std::max(a.dim_value(), b.dim_value())) : Element();
}
Element equal(const Element& a, const Element& b) {
  if (same(a, b)) return number(1);
  if (a.has_dim_value() && b.has_dim_value()) return number(0);
  // A symbol is not negative.
  const bool differ = (is_symbol(a) && b.has_dim_value() && b.dim_value() < 0) ||
                      (is_symbol(b) && a.has_dim_value() && a.dim_value() < 0);
  return differ ? number(0) : Element();
}

Binary binary_of(const std::string& type) {
  if (type == "Add") return add;
  if (type == "Sub") return subtract;
  if (type == "Mul") return multiply;
  if (type == "Div") return divide;
  if (type == "Mod") return modulo;
  if (type == "Min") return minimum;
  if (type == "Max") return maximum;
  if (type == "Equal") return equal;
  return nullptr;
}

// The element at `i` of a content that is broadcast.
const Element& at(const Content& c, int i) { return c.dim(c.dim_size() == 1 ? 0 : i); }
bool broadcasts(const Content& a, const Content& b) {
  return a.dim_size() == b.dim_size() || a.dim_size() == 1 || b.dim_size() == 1;
}
int broadcast_size(const Content& a, const Content& b) {
  return a.dim_size() == 1 ? b.dim_size() : a.dim_size();
}

// One node's operands.
struct Operands {
  const Node& node;
  const std::vector<const Content*>& inputs;
  const std::vector<Type>& types;

  const Content* content(size_t i) const { return i < inputs.size() ? inputs[i] : nullptr; }
  bool present(size_t i) const { return i < node.inputs.size() && node.inputs[i] != kNoValue; }
  bool is_vector(size_t i) const { return i < types.size() && types[i].has_rank() && types[i].rank() == 1; }
  // The only number of a scalar or vector of one element.
  std::optional<int64_t> single(size_t i) const {
    const Content* c = content(i);
    return c != nullptr && c->dim_size() == 1 ? number_of(c->dim(0)) : std::nullopt;
  }
};

std::optional<Content> elementwise(const Operands& o, Binary operation) {
  if (o.inputs.empty() || o.inputs[0] == nullptr) return std::nullopt;
  if (o.node.op_type == "Mod" && o.node.int_or("fmod", 0) != 0) return std::nullopt;
  Content result = *o.inputs[0];
  for (size_t i = 1; i < o.inputs.size(); ++i) {
    const Content* other = o.inputs[i];
    if (other == nullptr || !broadcasts(result, *other)) return std::nullopt;
    Content next;
    for (int k = 0; k < broadcast_size(result, *other); ++k)
      *next.add_dim() = operation(at(result, k), at(*other, k));
    result = std::move(next);
  }
  return result;
}

std::optional<Content> shape(const Operands& o) {
  if (o.types.empty() || !o.types[0].has_rank()) return std::nullopt;
  const Shape& dims = *o.types[0].shape;
  const auto rank = static_cast<int64_t>(dims.size());
  const auto bound = [rank](int64_t i) { return std::clamp(i < 0 ? i + rank : i, int64_t{0}, rank); };
  Content result;
  for (int64_t i = bound(o.node.int_or("start", 0)); i < bound(o.node.int_or("end", rank)); ++i) {
    const Dim& dim = dims[static_cast<size_t>(i)];
    auto& element = *result.add_dim();
    if (dim.is_known()) element.set_dim_value(dim.value);
    if (dim.is_symbolic()) element.set_dim_param(dim.symbol);
  }
  return result;
}

std::optional<Content> size(const Operands& o) {
  const auto dims = shape(o);
  if (!dims) return std::nullopt;
  Element product = number(1);
  for (const Element& dim : dims->dim()) product = multiply(product, dim);
  Content result;
  *result.add_dim() = product;
  return result;
}

std::optional<Content> gather(const Operands& o) {
  const Content* data = o.content(0);
  const Content* indices = o.content(1);
  if (data == nullptr || indices == nullptr || !o.is_vector(0)) return std::nullopt;
  Content result;
  for (const Element& index : indices->dim()) {
    const auto i = number_of(index);
    auto& element = *result.add_dim();
    if (!i || *i >= data->dim_size() || *i < -data->dim_size()) continue;
    element = data->dim(static_cast<int>(*i < 0 ? *i + data->dim_size() : *i));
  }
  return result;
}

std::optional<Content> concat(const Operands& o) {
  Content result;
  for (const Content* part : o.inputs) {
    if (part == nullptr || result.dim_size() + part->dim_size() > kMaxContent) return std::nullopt;
    for (const Element& element : part->dim()) *result.add_dim() = element;
  }
  return result;
}

// Bounds of a slice of one axis: inputs since opset 10, attributes before.
struct Bounds {
  std::vector<Element> start, end, step;
  std::vector<int64_t> axes;
};
std::optional<Bounds> bounds_of(const Operands& o) {
  Bounds b;
  if (o.node.inputs.size() == 1) {
    for (const int64_t v : o.node.ints_or("starts", {})) b.start.push_back(number(v));
    for (const int64_t v : o.node.ints_or("ends", {})) b.end.push_back(number(v));
    b.axes = o.node.ints_or("axes", {});
  } else {
    if (o.content(1) == nullptr || o.content(2) == nullptr) return std::nullopt;
    b.start.assign(o.content(1)->dim().begin(), o.content(1)->dim().end());
    b.end.assign(o.content(2)->dim().begin(), o.content(2)->dim().end());
    if (o.present(3)) {
      if (o.content(3) == nullptr) return std::nullopt;
      for (const Element& axis : o.content(3)->dim()) {
        if (!axis.has_dim_value()) return std::nullopt;
        b.axes.push_back(axis.dim_value());
      }
    }
    if (o.present(4)) {
      if (o.content(4) == nullptr) return std::nullopt;
      b.step.assign(o.content(4)->dim().begin(), o.content(4)->dim().end());
    }
  }
  if (b.axes.empty())
    for (size_t i = 0; i < b.start.size(); ++i) b.axes.push_back(static_cast<int64_t>(i));
  if (b.step.empty()) b.step.assign(b.start.size(), number(1));
  if (b.end.size() != b.start.size() || b.step.size() != b.start.size() || b.axes.size() != b.start.size())
    return std::nullopt;
  return b;
}

std::optional<Content> slice(const Operands& o) {
  const Content* data = o.content(0);
  const auto bounds = bounds_of(o);
  if (data == nullptr || !o.is_vector(0) || !bounds || bounds->start.size() != 1) return std::nullopt;
  const auto start = number_of(bounds->start[0]);
  const auto end = number_of(bounds->end[0]);
  const auto step = number_of(bounds->step[0]);
  if (!start || !end || !step || *step == 0) return std::nullopt;
  const int64_t length = data->dim_size();
  const int64_t low = *step > 0 ? 0 : -1;
  const int64_t high = *step > 0 ? length : length - 1;
  const auto bound = [&](int64_t i) { return std::clamp(i < 0 ? i + length : i, low, high); };
  Content result;
  const int64_t stride = std::clamp(*step, -length - 1, length + 1);
  for (int64_t i = bound(*start); stride > 0 ? i < bound(*end) : i > bound(*end); i += stride)
    *result.add_dim() = data->dim(static_cast<int>(i));
  return result;
}

std::optional<Content> where(const Operands& o) {
  const Content *condition = o.content(0), *a = o.content(1), *b = o.content(2);
  if (condition == nullptr || a == nullptr || b == nullptr) return std::nullopt;
  const int count = std::max({condition->dim_size(), a->dim_size(), b->dim_size()});
  for (const Content* c : {condition, a, b})
    if (c->dim_size() != 1 && c->dim_size() != count) return std::nullopt;
  Content result;
  for (int i = 0; i < count; ++i) {
    const auto chosen = number_of(at(*condition, i));
    auto& element = *result.add_dim();
    if (chosen) element = *chosen != 0 ? at(*a, i) : at(*b, i);
    if (!chosen && same(at(*a, i), at(*b, i))) element = at(*a, i);
  }
  return result;
}

std::optional<Content> constant_of_shape(const Operands& o) {
  const auto length = o.single(0);
  if (!length || *length < 0 || *length > kMaxContent) return std::nullopt;
  const Attribute* value = o.node.find("value");
  const auto* weight = value == nullptr ? nullptr : std::get_if<WeightPtr>(&value->value);
  if (weight == nullptr) return std::nullopt;  // floats
  const auto fill = content_of(**weight);
  if (!fill || fill->dim_size() != 1) return std::nullopt;
  Content result;
  for (int64_t i = 0; i < *length; ++i) *result.add_dim() = fill->dim(0);
  return result;
}

std::optional<Content> expand(const Operands& o) {
  const Content* data = o.content(0);
  const auto length = o.single(1);
  if (data == nullptr || !length || *length < 0 || *length > kMaxContent) return std::nullopt;
  if (*length == 1 || data->dim_size() != 1) return *data;
  Content result;
  for (int64_t i = 0; i < *length; ++i) *result.add_dim() = data->dim(0);
  return result;
}

std::optional<Content> range(const Operands& o) {
  const auto start = o.single(0), limit = o.single(1), delta = o.single(2);
  if (!start || !limit || delta != 1) return std::nullopt;
  Content result;
  for (int64_t i = *start; i < *limit && i - *start < kMaxContent + 1; ++i) *result.add_dim() = number(i);
  return result;
}

std::optional<Content> product(const Operands& o) {
  const Content* data = o.content(0);
  const Attribute* axes = o.node.find("axes");
  if (data == nullptr || !o.is_vector(0) || axes != nullptr || o.node.inputs.size() > 2) return std::nullopt;
  if (o.present(1) && o.single(1) != 0 && o.single(1) != -1) return std::nullopt;
  Element all = number(1);
  for (const Element& element : data->dim()) all = multiply(all, element);
  Content result;
  *result.add_dim() = all;
  return result;
}

std::optional<Content> copy(const Operands& o) {
  return o.content(0) == nullptr ? std::nullopt : std::optional(*o.content(0));
}

// Content of the only output, before it is checked against the output's type.
std::optional<Content> evaluate(const Operands& o) {
  const std::string& type = o.node.op_type;
  if (const Binary operation = binary_of(type)) return elementwise(o, operation);
  if (type == "Identity" || type == "Reshape" || type == "Squeeze" || type == "Unsqueeze" || type == "Cast" ||
      type == "Transpose" || type == "Dropout")
    return copy(o);
  if (type == "Shape") return shape(o);
  if (type == "Size") return size(o);
  if (type == "Gather") return gather(o);
  if (type == "Concat") return concat(o);
  if (type == "Slice") return slice(o);
  if (type == "Where") return where(o);
  if (type == "ConstantOfShape") return constant_of_shape(o);
  if (type == "Expand") return expand(o);
  if (type == "Range") return range(o);
  if (type == "ReduceProd") return product(o);
  return std::nullopt;
}

std::vector<std::optional<Content>> split(const Operands& o, const std::vector<Type>& output_types) {
  std::vector<std::optional<Content>> parts(output_types.size());
  const Content* data = o.content(0);
  if (data == nullptr || !o.is_vector(0)) return parts;
  int offset = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    const auto dims = static_dims(output_types[i]);
    if (!dims || dims->size() != 1 || dims->front() > data->dim_size() - offset) return parts;
    parts[i].emplace();
    for (int64_t k = 0; k < dims->front(); ++k) *parts[i]->add_dim() = data->dim(offset++);
  }
  return parts;
}

bool fits(const Content& content, const Type& type) {
  if (!may_have_content(type) || content.dim_size() > kMaxContent) return false;
  if (type.rank() == 0) return content.dim_size() == 1;
  const Dim& length = type.shape->front();
  return !length.is_known() || length.value == content.dim_size();
}

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

bool may_have_content(const Type& type) {
  return type.has_rank() && type.rank() <= 1 &&
         (type.dtype == DType::kInt64 || type.dtype == DType::kInt32 || type.dtype == DType::kBool);
}

std::optional<Content> content_of(const Weight& weight) {
  const bool integers =
      weight.dtype() == DType::kInt64 || weight.dtype() == DType::kInt32 || weight.dtype() == DType::kBool;
  if (!integers || weight.dims().size() > 1 || weight.element_count() > kMaxContent) return std::nullopt;
  Content content;
  for (const int64_t value : weight.as_int64s()) *content.add_dim() = number(value);
  return content;
}

std::optional<Content> open_content(const Type& type) {
  if (!may_have_content(type)) return std::nullopt;
  const Dim length = type.rank() == 0 ? Dim::known(1) : type.shape->front();
  if (!length.is_known() || length.value > kMaxContent) return std::nullopt;
  Content content;
  for (int64_t i = 0; i < length.value; ++i) content.add_dim();
  return content;
}

std::vector<std::optional<Content>> propagate(const Node& node, const std::vector<const Content*>& inputs,
                                              const std::vector<Type>& input_types,
                                              const std::vector<Type>& output_types) {
  std::vector<std::optional<Content>> outputs(output_types.size());
  if (!node.domain.empty() || outputs.empty()) return outputs;
  const Operands operands{node, inputs, input_types};
  if (node.op_type == "Split") {
    outputs = split(operands, output_types);
  } else {
    outputs[0] = evaluate(operands);
  }
  // A cast to bool keeps only whether an element is zero, which is not worth knowing.
  const bool narrows = node.op_type == "Cast" && output_types[0].dtype == DType::kBool;
  for (size_t i = 0; i < outputs.size(); ++i)
    if (outputs[i] && (narrows || !fits(*outputs[i], output_types[i]))) {
      outputs[i].reset();
    } else if (outputs[i] && output_types[i].dtype == DType::kInt32) {
      for (Element& element : *outputs[i]->mutable_dim())
        if (element.has_dim_value() && !std::in_range<int32_t>(element.dim_value())) element.Clear();
    }
  return outputs;
}

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
