#include "canon/constant_value.h"

#include "canon/scope.h"
#include "ref/evaluate.h"

#include <mts/tensor.h>

#include <algorithm>
#include <array>
#include <string>

namespace mts::canon {
namespace {

using Ints = std::vector<int64_t>;
using Weights = std::vector<WeightPtr>;

constexpr std::array kRearrangements = {
    std::string_view("Identity"), std::string_view("Transpose"), std::string_view("Reshape"),
    std::string_view("Flatten"),  std::string_view("Squeeze"),   std::string_view("Unsqueeze"),
    std::string_view("Slice"),    std::string_view("Concat"),    std::string_view("Split"),
    std::string_view("Gather"),
};

std::optional<Ints> ints(std::span<const WeightPtr> operands, size_t position) {
  if (position >= operands.size() || operands[position] == nullptr ||
      !is_integer(operands[position]->dtype()))
    return std::nullopt;
  return operands[position]->as_int64s();
}

WeightPtr transposed(const Node& node, const WeightPtr& data) {
  const size_t rank = data->dims().size();
  Ints permutation = node.ints_or("perm", {});
  if (permutation.empty())
    for (size_t i = 0; i < rank; ++i) permutation.push_back(static_cast<int64_t>(rank - 1 - i));
  Ints sorted = permutation;
  std::ranges::sort(sorted);
  for (size_t i = 0; i < sorted.size(); ++i)
    if (sorted[i] != static_cast<int64_t>(i)) return nullptr;
  return permutation.size() == rank ? Weight::transpose(data, std::move(permutation)) : nullptr;
}

WeightPtr reshaped(const Node& node, const WeightPtr& data, const Ints& target) {
  Dims dims = target;
  int64_t known = 1;
  std::optional<size_t> inferred;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == 0 && node.int_or("allowzero", 0) == 0) {
      if (i >= data->dims().size()) return nullptr;
      dims[i] = data->dims()[i];
    }
    if (dims[i] == -1) {
      if (inferred) return nullptr;
      inferred = i;
    } else if (dims[i] < 0) {
      return nullptr;
    } else {
      known *= dims[i];
    }
  }
  if (inferred) {
    if (known == 0) return nullptr;
    dims[*inferred] = data->element_count() / known;
  }
  return element_count(dims) == data->element_count() ? Weight::reshape(data, std::move(dims)) : nullptr;
}

WeightPtr sliced(const WeightPtr& data, std::span<const WeightPtr> operands) {
  const auto starts = ints(operands, 1), ends = ints(operands, 2), given = ints(operands, 3),
             steps = ints(operands, 4);
  if (!starts || !ends || starts->size() != ends->size()) return nullptr;
  WeightPtr result = data;
  for (size_t i = 0; i < starts->size(); ++i) {
    if (steps && (i >= steps->size() || (*steps)[i] != 1)) return nullptr;
    if (given && i >= given->size()) return nullptr;
    const auto axis = normalise_axis(given ? (*given)[i] : static_cast<int64_t>(i), data->dims().size());
    if (!axis) return nullptr;
    const int64_t size = data->dims()[*axis];
    const auto clamped = [size](int64_t v) { return std::clamp<int64_t>(v < 0 ? v + size : v, 0, size); };
    const int64_t start = clamped((*starts)[i]), end = clamped((*ends)[i]);
    if (end <= start) return nullptr;  // empty: not worth an expression
    result = Weight::slice(result, static_cast<int64_t>(*axis), start, end - start);
  }
  return result;
}

WeightPtr concatenated(const Node& node, std::span<const WeightPtr> operands) {
  const size_t rank = operands[0]->dims().size();
  const auto axis = normalise_axis(node.int_or("axis", 0), rank);
  if (!axis) return nullptr;
  for (const WeightPtr& part : operands) {
    if (part == nullptr || part->dtype() != operands[0]->dtype() || part->dims().size() != rank)
      return nullptr;
    for (size_t i = 0; i < rank; ++i)
      if (i != *axis && part->dims()[i] != operands[0]->dims()[i]) return nullptr;
  }
  return Weight::concat(Weights(operands.begin(), operands.end()), static_cast<int64_t>(*axis));
}

std::optional<Weights> split(const Node& node, std::span<const WeightPtr> operands) {
  const WeightPtr& data = operands[0];
  const auto axis = normalise_axis(node.int_or("axis", 0), data->dims().size());
  if (!axis || node.outputs.empty()) return std::nullopt;
  const int64_t size = data->dims()[*axis];
  const auto count = static_cast<int64_t>(node.outputs.size());
  Ints lengths(node.outputs.size(), (size + count - 1) / count);
  if (operands.size() > 1 && operands[1] != nullptr) {
    lengths = operands[1]->as_int64s();
    if (lengths.size() != node.outputs.size()) return std::nullopt;
  } else {
    lengths.back() = size - lengths.front() * (count - 1);
  }
  Weights parts;
  int64_t start = 0;
  for (const int64_t length : lengths) {
    if (length <= 0 || start + length > size) return std::nullopt;
    parts.push_back(Weight::slice(data, static_cast<int64_t>(*axis), start, length));
    start += length;
  }
  return parts;
}

// Gather of one position.
WeightPtr gathered(const Node& node, std::span<const WeightPtr> operands) {
  const WeightPtr& data = operands[0];
  const auto positions = ints(operands, 1);
  const auto axis = normalise_axis(node.int_or("axis", 0), data->dims().size());
  if (!positions || positions->size() != 1 || !axis) return nullptr;
  const auto at = normalise_axis((*positions)[0], static_cast<size_t>(data->dims()[*axis]));
  if (!at) return nullptr;
  Dims dims = data->dims();
  const Dims& inserted = operands[1]->dims();
  const auto place = dims.erase(dims.begin() + static_cast<std::ptrdiff_t>(*axis));
  dims.insert(place, inserted.begin(), inserted.end());
  return Weight::reshape(Weight::slice(data, static_cast<int64_t>(*axis), static_cast<int64_t>(*at), 1),
                         std::move(dims));
}

WeightPtr with_axes(const Node& node, std::span<const WeightPtr> operands) {
  const WeightPtr& data = operands[0];
  const auto axes = ints(operands, 1);
  if (node.is("Flatten")) {
    const int64_t rank = static_cast<int64_t>(data->dims().size());
    int64_t axis = node.int_or("axis", 1);
    if (axis < 0) axis += rank;
    if (axis < 0 || axis > rank) return nullptr;
    const auto dims = std::span(data->dims());
    const auto at = static_cast<size_t>(axis);
    return Weight::reshape(data, {element_count(dims.first(at)), element_count(dims.subspan(at))});
  }
  const bool adds = node.is("Unsqueeze");
  if (!axes) {
    if (adds || operands.size() > 1) return nullptr;
    Dims dims = data->dims();
    std::erase(dims, 1);
    return Weight::reshape(data, std::move(dims));
  }
  const size_t rank = data->dims().size() + (adds ? axes->size() : 0);
  std::vector<bool> marked(rank, false);
  for (const int64_t axis : *axes) {
    const auto at = normalise_axis(axis, rank);
    if (!at) return nullptr;
    marked[*at] = true;
  }
  Dims dims;
  size_t from = 0;
  for (size_t i = 0; i < rank; ++i) {
    if (adds) {
      if (!marked[i] && from >= data->dims().size()) return nullptr;
      dims.push_back(marked[i] ? 1 : data->dims()[from++]);
    } else if (!marked[i]) {
      dims.push_back(data->dims()[i]);
    } else if (data->dims()[i] != 1) {
      return nullptr;
    }
  }
  return element_count(dims) == data->element_count() ? Weight::reshape(data, std::move(dims)) : nullptr;
}

}  // namespace

bool is_rearrangement(const Node& node) {
  return node.domain.empty() && std::ranges::find(kRearrangements, node.op_type) != kRearrangements.end();
}

std::optional<Weights> rearranged(const Node& node, std::span<const WeightPtr> operands) {
  if (!is_rearrangement(node) || operands.empty() || operands[0] == nullptr) return std::nullopt;
  for (const char* old : {"axes", "starts", "split"})  // operands in the opsets that this understands
    if (node.find(old) != nullptr) return std::nullopt;
  const WeightPtr& data = operands[0];
  const bool is_plain = bit_width(data->dtype()) >= 8;
  const bool keeps_order = node.is("Identity") || node.is("Reshape") || node.is("Flatten") ||
                           node.is("Squeeze") || node.is("Unsqueeze");
  if (!is_plain && !keeps_order) return std::nullopt;
  if (node.is("Split")) return split(node, operands);
  WeightPtr result;
  if (node.is("Identity")) result = data;
  if (node.is("Transpose")) result = transposed(node, data);
  if (node.is("Concat")) result = concatenated(node, operands);
  if (node.is("Slice")) result = sliced(data, operands);
  if (node.is("Gather")) result = gathered(node, operands);
  if (node.is("Flatten") || node.is("Squeeze") || node.is("Unsqueeze")) result = with_axes(node, operands);
  if (node.is("Reshape"))
    if (const auto target = ints(operands, 1)) result = reshaped(node, data, *target);
  if (result == nullptr) return std::nullopt;
  return Weights{std::move(result)};
}

std::optional<Weights> evaluated(const Node& node, std::span<const WeightPtr> operands, const Model& model) {
  std::vector<Datum> data(operands.size());
  std::vector<const Datum*> inputs(operands.size(), nullptr);
  for (size_t i = 0; i < operands.size(); ++i) {
    if (operands[i] == nullptr) continue;
    data[i] = Tensor::from_weight(*operands[i]);
    inputs[i] = &data[i];
  }
  const auto results = evaluate(node, inputs, env_of(model));
  if (!results) return std::nullopt;  // the node stays and is run by whoever runs the model
  Weights weights;
  for (const Datum& result : *results) {
    const Tensor* tensor = result.tensor();
    if (tensor == nullptr || !tensor->defined()) {
      weights.push_back(nullptr);
    } else if (tensor->dtype() == DType::kString) {
      weights.push_back(Weight::from_strings(tensor->dims(), tensor->strings()));
    } else {
      weights.push_back(Weight::from_bytes(
          tensor->dtype(), tensor->dims(),
          own_bytes(std::string(reinterpret_cast<const char*>(tensor->data()), tensor->byte_size()))));
    }
  }
  return weights;
}

}  // namespace mts::canon
