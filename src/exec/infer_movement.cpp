// Shape functions of operators that move data (see bind.h).
#include "exec/geometry.h"
#include "exec/infer_families.h"

#include <algorithm>
#include <array>
#include <numeric>

namespace mts::exec::infer {

Result<bool> reshape(const Node& node, Facts inputs, std::vector<Fact>& outputs) {
  if (!shaped(inputs, 0)) return false;
  std::optional<std::vector<int64_t>> target = ints(inputs, 1);
  if (!target && node.find("shape") != nullptr) target = node.ints_or("shape", {});
  if (!target) return false;
  const Dims& from = inputs[0]->dims;
  Dims dims = *target;
  int64_t known = 1, unknown = -1;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == 0 && node.int_or("allowzero", 0) == 0) {
      if (i >= from.size()) return mismatch(node, "a 0 in the shape names a dimension that the input lacks");
      dims[i] = from[i];
    }
    if (dims[i] == -1 && unknown < 0) {
      unknown = static_cast<int64_t>(i);
    } else {
      known *= dims[i];
    }
  }
  const int64_t count = element_count(from);
  if (unknown >= 0) dims[static_cast<size_t>(unknown)] = known == 0 ? 0 : count / known;
  if (element_count(dims) != count ||
      std::any_of(dims.begin(), dims.end(), [](int64_t d) { return d < 0; })) {
    return mismatch(node, "cannot reshape " + to_string(from) + " to " + to_string(*target));
  }
  outputs[0] = Fact::shaped(inputs[0]->dtype, std::move(dims));
  return true;
}
Result<bool> flatten(const Node& node, Facts inputs, std::vector<Fact>& outputs) {
  if (!shaped(inputs, 0)) return false;
  const Dims& from = inputs[0]->dims;
  int64_t axis = node.int_or("axis", 1);
  if (axis < 0) axis += static_cast<int64_t>(from.size());
  if (axis < 0 || axis > static_cast<int64_t>(from.size())) return mismatch(node, "axis out of range");
  const auto middle = static_cast<size_t>(axis);
  outputs[0] = Fact::shaped(inputs[0]->dtype, {element_count(std::span(from).first(middle)),
                                               element_count(std::span(from).subspan(middle))});
  return true;
}
// Squeeze and Unsqueeze: axes from the attribute (before opset 13) or the second input.
static std::optional<std::vector<int64_t>> axes_of(const Node& node, Facts inputs) {
  if (node.find("axes") != nullptr) return node.ints_or("axes", {});
  return ints(inputs, 1);
}
Result<bool> squeeze(const Node& node, Facts inputs, std::vector<Fact>& outputs) {
  if (!shaped(inputs, 0)) return false;
  const Dims& from = inputs[0]->dims;
  std::vector<bool> drop(from.size(), false);
  if (node.find("axes") == nullptr && at(inputs, 1) == nullptr) {
    for (size_t i = 0; i < from.size(); ++i) drop[i] = from[i] == 1;
  } else {
    const auto axes = axes_of(node, inputs);
    if (!axes) return false;
    for (int64_t axis : *axes) {
      const auto normal = normal_axis(axis, from.size());
      if (!normal || from[*normal] != 1)
        return mismatch(node, "cannot squeeze axis " + std::to_string(axis) + " of " + to_string(from));
      drop[*normal] = true;
    }
  }
  Dims dims;
  for (size_t i = 0; i < from.size(); ++i) {
    if (!drop[i]) dims.push_back(from[i]);
  }
  outputs[0] = Fact::shaped(inputs[0]->dtype, std::move(dims));
  return true;
}
Result<bool> unsqueeze(const Node& node, Facts inputs, std::vector<Fact>& outputs) {
  const auto axes = axes_of(node, inputs);
  if (!shaped(inputs, 0) || !axes) return false;
  const Dims& from = inputs[0]->dims;
  std::vector<bool> added(from.size() + axes->size(), false);
  for (int64_t axis : *axes) {
    const auto normal = normal_axis(axis, added.size());
    if (!normal || added[*normal]) return mismatch(node, "cannot insert axis " + std::to_string(axis));
    added[*normal] = true;
  }
  Dims dims;
  size_t next = 0;
  for (bool is_new : added) dims.push_back(is_new ? 1 : from[next++]);
  outputs[0] = Fact::shaped(inputs[0]->dtype, std::move(dims));
  return true;
}
Result<bool> transpose(const Node& node, Facts inputs, std::vector<Fact>& outputs) {
  if (!shaped(inputs, 0)) return false;
  const auto order = permutation_of(node, inputs[0]->dims.size());
  if (!order) return mismatch(node, "perm is not a permutation of the axes of " + to_string(inputs[0]->dims));
  Dims dims;
  for (size_t axis : *order) dims.push_back(inputs[0]->dims[axis]);
  outputs[0] = Fact::shaped(inputs[0]->dtype, std::move(dims));
  return true;
}
Result<bool> concat(const Node& node, Facts inputs, std::vector<Fact>& outputs) {
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!shaped(inputs, i)) return false;
  }
  if (inputs.empty()) return false;
  Dims dims = inputs[0]->dims;
  const auto axis = normal_axis(node.int_or("axis", 1), dims.size());
  if (!axis) return mismatch(node, "axis out of range");
  for (size_t i = 1; i < inputs.size(); ++i) {
    const Dims& other = inputs[i]->dims;
    for (size_t d = 0; d < dims.size(); ++d) {
      if (other.size() != dims.size() || (d != *axis && other[d] != dims[d])) {
        return mismatch(node,
                        "cannot concatenate " + to_string(inputs[0]->dims) + " and " + to_string(other));
      }
    }
    dims[*axis] += other[*axis];
  }
  outputs[0] = Fact::shaped(inputs[0]->dtype, std::move(dims));
  return true;
}
Result<bool> split(const Node& node, Facts inputs, std::vector<Fact>& outputs) {
  if (!shaped(inputs, 0)) return false;
  const Dims& from = inputs[0]->dims;
  const auto axis = normal_axis(node.int_or("axis", 0), from.size());
  if (!axis) return mismatch(node, "axis out of range");
  std::vector<int64_t> lengths = node.ints_or("split", {});
  if (at(inputs, 1) != nullptr) {
    const auto given = ints(inputs, 1);
    if (!given) return false;
    lengths = *given;
  }
  if (lengths.empty()) {
    const auto parts = static_cast<int64_t>(outputs.size());
    const int64_t chunk = (from[*axis] + parts - 1) / parts;
    for (int64_t i = 0; i < parts; ++i)
      lengths.push_back(std::clamp<int64_t>(from[*axis] - i * chunk, 0, chunk));
  }
  if (lengths.size() != outputs.size() ||
      std::accumulate(lengths.begin(), lengths.end(), int64_t{0}) != from[*axis]) {
    return mismatch(node, "the lengths of the split do not add up to " + std::to_string(from[*axis]));
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    Dims dims = from;
    dims[*axis] = lengths[i];
    outputs[i] = Fact::shaped(inputs[0]->dtype, std::move(dims));
  }
  return true;
}
Result<bool> gather(const Node& node, Facts inputs, std::vector<Fact>& outputs) {
  if (!shaped(inputs, 0) || !shaped(inputs, 1)) return false;
  const Dims& from = inputs[0]->dims;
  const auto axis = normal_axis(node.int_or("axis", 0), from.size());
  if (!axis) return mismatch(node, "axis out of range");
  Dims dims(from.begin(), from.begin() + static_cast<std::ptrdiff_t>(*axis));
  dims.insert(dims.end(), inputs[1]->dims.begin(), inputs[1]->dims.end());
  dims.insert(dims.end(), from.begin() + static_cast<std::ptrdiff_t>(*axis) + 1, from.end());
  outputs[0] = Fact::shaped(inputs[0]->dtype, std::move(dims));
  return true;
}
Result<bool> expand(const Node& node, Facts inputs, std::vector<Fact>& outputs) {
  const auto target = ints(inputs, 1);
  if (!shaped(inputs, 0) || !target) return false;
  const auto dims = broadcast(inputs[0]->dims, *target);
  if (!dims)
    return mismatch(node, "cannot expand " + to_string(inputs[0]->dims) + " to " + to_string(*target));
  outputs[0] = Fact::shaped(inputs[0]->dtype, *dims);
  return true;
}
Result<bool> constant_of_shape(const Node& node, Facts inputs, std::vector<Fact>& outputs) {
  const auto dims = ints(inputs, 0);
  if (!dims || std::any_of(dims->begin(), dims->end(), [](int64_t d) { return d < 0; })) return false;
  DType dtype = DType::kFloat32;
  if (const Attribute* value = node.find("value")) {
    const auto* weight = std::get_if<WeightPtr>(&value->value);
    if (weight == nullptr || *weight == nullptr) return false;
    dtype = (*weight)->dtype();
  }
  outputs[0] = Fact::shaped(dtype, *dims);
  return true;
}
Result<bool> slice(const Node& node, Facts inputs, std::vector<Fact>& outputs) {
  if (!shaped(inputs, 0)) return false;
  std::array<std::optional<std::vector<int64_t>>, 4> operands;
  for (size_t i = 1; i < inputs.size(); ++i) {
    if (at(inputs, i) == nullptr) continue;
    operands[i - 1] = ints(inputs, i);
    if (!operands[i - 1]) return false;
  }
  const auto ranges = slice_ranges(node, inputs[0]->dims, operands[0], operands[1], operands[2], operands[3]);
  if (!ranges)
    return mismatch(node, "starts, ends, axes and steps do not fit the input " + to_string(inputs[0]->dims));
  Dims dims;
  for (const SliceRange& range : *ranges) dims.push_back(range.length);
  outputs[0] = Fact::shaped(inputs[0]->dtype, std::move(dims));
  return true;
}

}  // namespace mts::exec::infer
