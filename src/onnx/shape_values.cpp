// What is known of contents: see shape_values.h. refine_shape is in refine_shape.cpp.
#include "onnx/shape_operands.h"

#include <algorithm>
#include <utility>

namespace mts::onnxio {
namespace {

// The element at `i` of a content that is broadcast.
const Element& at(const Content& c, int i) { return c.dim(c.dim_size() == 1 ? 0 : i); }
bool broadcasts(const Content& a, const Content& b) {
  return a.dim_size() == b.dim_size() || a.dim_size() == 1 || b.dim_size() == 1;
}
int broadcast_size(const Content& a, const Content& b) {
  return a.dim_size() == 1 ? b.dim_size() : a.dim_size();
}

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

}  // namespace mts::onnxio
