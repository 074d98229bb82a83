#include "rules/builder.h"

#include <algorithm>
#include <cassert>
#include <numeric>

namespace mts {

void Builder::set_origin(std::string origin, std::string stem) {
  origin_ = std::move(origin);
  stem_ = std::move(stem);
}

std::string Builder::fresh_name(std::string_view what) {
  return (stem_.empty() ? std::string("mts") : stem_) + "/" + std::string(what) + "_" +
         std::to_string(next_name_++);
}

ValueId Builder::constant(WeightPtr weight) {
  const auto key = std::make_pair(weight->digest(), weight->dims());
  const auto it = constants_.find(key);
  if (it != constants_.end() && graph_.value(it->second).weight->same_content(*weight)) return it->second;
  const ValueId id = graph_.add_constant("mts/constant_" + std::to_string(next_name_++), std::move(weight));
  constants_.emplace(key, id);
  return id;
}

Node Builder::like(const Node& original) {
  Node node;
  node.op_type = original.op_type;
  node.domain = original.domain;
  node.overload = original.overload;
  node.attributes = original.attributes;
  node.extra = original.extra;
  return node;
}

std::vector<ValueId> Builder::nodes(Node prototype, std::vector<ValueId> inputs,
                                    const std::vector<Type>& outputs) {
  prototype.name = fresh_name(prototype.op_type);
  prototype.inputs = std::move(inputs);
  while (!prototype.inputs.empty() && prototype.inputs.back() == kNoValue) prototype.inputs.pop_back();
  prototype.outputs.clear();
  if (!origin_.empty()) prototype.metadata.emplace_back("mts.origin", origin_);
  for (size_t i = 0; i < outputs.size(); ++i)
    prototype.outputs.push_back(graph_.add_value(prototype.name + ":" + std::to_string(i), outputs[i]));
  auto result = prototype.outputs;
  graph_.add_node(std::move(prototype));
  return result;
}

ValueId Builder::node(std::string op_type, std::vector<ValueId> inputs, std::vector<Attribute> attributes,
                      Type output) {
  Node prototype;
  prototype.op_type = std::move(op_type);
  prototype.attributes = std::move(attributes);
  return nodes(std::move(prototype), std::move(inputs), {std::move(output)}).front();
}

ValueId Builder::reshape(ValueId value, const Extents& from, const Extents& to) {
  if (from == to) return value;
  assert(can_reshape(from, to));
  const auto open_sizes = std::ranges::count_if(to, [](const Extent& e) { return !e.is_known(); });
  if (const WeightPtr& weight = graph_.value(value).weight; weight != nullptr && open_sizes <= 1) {
    int64_t known = 1;
    for (const Extent& extent : to)
      if (extent.is_known()) known *= extent.factor;
    Dims dims;  // the one size without a number is what is left
    for (const Extent& extent : to)
      dims.push_back(extent.is_known() ? extent.factor : weight->element_count() / known);
    return constant(Weight::reshape(weight, std::move(dims)));
  }
  const DType dtype = graph_.value(value).type.dtype;
  // Known sizes as numbers, 0 where the size at the same position is kept, -1 for one size.
  std::vector<int64_t> target;
  size_t open = 0;
  for (size_t i = 0; i < to.size(); ++i) {
    if (to[i].is_known()) {
      target.push_back(to[i].factor);
    } else if (i < from.size() && from[i] == to[i]) {
      target.push_back(0);
    } else {
      target.push_back(-1);
      ++open;
    }
  }
  const ValueId shape = open <= 1 ? ints(std::move(target)) : computed_shape(value, from, to);
  return node("Reshape", {value, shape}, {}, type_of(dtype, to));
}

ValueId Builder::computed_shape(ValueId value, const Extents& from, const Extents& to) {
  const auto int64_type = [](int64_t count) { return Type::tensor(DType::kInt64, {Dim::known(count)}); };
  const ValueId sizes = node("Shape", {value}, {}, int64_type(static_cast<int64_t>(from.size())));
  std::vector<ValueId> parts;
  [[maybe_unused]] bool open = false;  // -1 used; only the assert reads it
  for (const Extent& size : to) {
    if (size.is_known()) {
      parts.push_back(ints({size.factor}));
      continue;
    }
    const auto source = std::ranges::find_if(from, [&](const Extent& e) {
      return e.symbol == size.symbol && (size.factor % e.factor == 0 || e.factor % size.factor == 0);
    });
    if (source == from.end()) {
      assert(!open);
      open = true;
      parts.push_back(ints({-1}));
      continue;
    }
    ValueId part =
        node("Gather", {sizes, ints({source - from.begin()})}, {{"axis", int64_t{0}, {}}}, int64_type(1));
    if (size.factor > source->factor)
      part = node("Mul", {part, ints({size.factor / source->factor})}, {}, int64_type(1));
    if (size.factor < source->factor)
      part = node("Div", {part, ints({source->factor / size.factor})}, {}, int64_type(1));
    parts.push_back(part);
  }
  return concat(std::move(parts), 0, int64_type(static_cast<int64_t>(to.size())));
}

ValueId Builder::transpose(ValueId value, const std::vector<int64_t>& permutation, Type output) {
  if (const WeightPtr& weight = graph_.value(value).weight)
    return constant(Weight::transpose(weight, permutation));
  return node("Transpose", {value}, {{"perm", permutation, {}}}, std::move(output));
}

ValueId Builder::unsqueeze(ValueId value, std::vector<int64_t> axes) {
  if (axes.empty()) return value;
  const Type& type = graph_.value(value).type;
  Shape shape = *type.shape;
  for (const int64_t axis : axes) shape.insert(shape.begin() + axis, Dim::known(1));
  if (const WeightPtr& weight = graph_.value(value).weight) {
    Dims dims;
    for (const Dim& dim : shape) dims.push_back(dim.value);
    return constant(Weight::reshape(weight, std::move(dims)));
  }
  const Type output = Type::tensor(type.dtype, std::move(shape));
  if (opset_ < 13) return node("Unsqueeze", {value}, {{"axes", std::move(axes), {}}}, output);
  return node("Unsqueeze", {value, ints(std::move(axes))}, {}, output);
}

ValueId Builder::squeeze(ValueId value, std::vector<int64_t> axes) {
  if (axes.empty()) return value;
  const Type& type = graph_.value(value).type;
  Shape shape = *type.shape;
  for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis) shape.erase(shape.begin() + *axis);
  const Type output = Type::tensor(type.dtype, std::move(shape));
  if (opset_ < 13) return node("Squeeze", {value}, {{"axes", std::move(axes), {}}}, output);
  return node("Squeeze", {value, ints(std::move(axes))}, {}, output);
}

ValueId Builder::concat(std::vector<ValueId> values, int64_t axis, Type output, bool at_run_time) {
  if (values.size() == 1) return values.front();
  const bool constants = !at_run_time && std::ranges::all_of(values, [this](ValueId v) {
    return graph_.value(v).is_constant();
  });
  if (constants) {
    std::vector<WeightPtr> parts;
    for (const ValueId v : values) parts.push_back(graph_.value(v).weight);
    return constant(Weight::concat(std::move(parts), axis));
  }
  return node("Concat", std::move(values), {{"axis", axis, {}}}, std::move(output));
}

ValueId Builder::slice(ValueId value, int64_t axis, int64_t start, int64_t end, Type output) {
  if (opset_ < 10)
    return node(
        "Slice", {value},
        {{"starts", std::vector{start}, {}}, {"ends", std::vector{end}, {}}, {"axes", std::vector{axis}, {}}},
        std::move(output));
  return node("Slice", {value, ints({start}), ints({end}), ints({axis})}, {}, std::move(output));
}

ValueId Builder::size_of(const std::string& symbol) {
  if (const auto it = sizes_.find(symbol); it != sizes_.end()) return it->second;
  const Type one = Type::tensor(DType::kInt64, {Dim::known(1)});
  for (const ValueId input : graph_.inputs()) {
    const Type& type = graph_.value(input).type;
    if (!type.has_rank()) continue;
    for (size_t axis = 0; axis < type.rank(); ++axis) {
      if ((*type.shape)[axis].is_known() || (*type.shape)[axis].symbol != symbol) continue;
      const Type shape_type = Type::tensor(DType::kInt64, {Dim::known(static_cast<int64_t>(type.rank()))});
      const ValueId shape = node("Shape", {input}, {}, shape_type);
      const ValueId size =
          node("Gather", {shape, ints({static_cast<int64_t>(axis)})}, {{"axis", int64_t{0}, {}}}, one);
      return sizes_[symbol] = size;
    }
  }
  return kNoValue;
}

std::vector<ValueId> Builder::split(ValueId value, int64_t axis, ValueId sizes,
                                    const std::vector<Type>& outputs) {
  Node prototype;
  prototype.op_type = "Split";
  prototype.set("axis", axis);
  return nodes(std::move(prototype), {value, sizes}, outputs);
}

std::vector<ValueId> Builder::split(ValueId value, int64_t axis, const std::vector<int64_t>& sizes,
                                    const std::vector<Type>& outputs) {
  Node prototype;
  prototype.op_type = "Split";
  prototype.set("axis", axis);
  if (opset_ >= 13) return nodes(std::move(prototype), {value, ints(sizes)}, outputs);
  prototype.set("split", sizes);
  return nodes(std::move(prototype), {value}, outputs);
}

std::vector<ValueId> Builder::split_equally(ValueId value, int64_t axis, const std::vector<Type>& outputs) {
  Node prototype;
  prototype.op_type = "Split";
  prototype.set("axis", axis);
  if (opset_ >= 18) prototype.set("num_outputs", static_cast<int64_t>(outputs.size()));
  return nodes(std::move(prototype), {value}, outputs);
}

}  // namespace mts
