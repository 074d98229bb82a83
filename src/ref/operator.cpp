#include "ref/operator.h"

#include "ref/dispatch.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace mts::ref {

tl::unexpected<Error> Call::bad(std::string message) const {
  return fail(ErrorCode::kModel, std::move(message), Where{{}, node.label(), {}});
}

tl::unexpected<Error> Call::unsupported(std::string message) const {
  return fail(ErrorCode::kUnsupported, std::move(message), Where{{}, node.label(), {}});
}

tl::unexpected<Error> Call::bad_dtype(const Tensor& tensor) const {
  return unsupported(
      fmt::format("the reference evaluator does not implement it for {}", name_of(tensor.dtype())));
}

Result<size_t> Call::axis(int64_t value, size_t rank) const {
  const auto signed_rank = static_cast<int64_t>(rank);
  if (value < -signed_rank || value >= signed_rank) {
    return bad(fmt::format("axis {} is out of range for rank {}", value, rank));
  }
  return static_cast<size_t>(value < 0 ? value + signed_rank : value);
}

Result<std::vector<size_t>> Call::axes(std::span<const int64_t> values, size_t rank) const {
  std::vector<size_t> result;
  for (int64_t value : values) {
    MTS_ASSIGN(const size_t one, axis(value, rank));
    if (std::ranges::find(result, one) != result.end())
      return bad(fmt::format("axis {} occurs twice", value));
    result.push_back(one);
  }
  return result;
}

Result<std::vector<int64_t>> Call::ints(const Tensor& tensor) const {
  std::vector<int64_t> result(static_cast<size_t>(tensor.element_count()));
  const bool known = visit(kIntegers, tensor.dtype(), [&]<class T>(Tag<T>) {
    std::transform(tensor.as<T>(), tensor.as<T>() + result.size(), result.begin(),
                   [](T value) { return static_cast<int64_t>(value); });
  });
  if (!known) return bad(fmt::format("an integer tensor is expected, not {}", name_of(tensor.dtype())));
  return result;
}

Result<int64_t> Call::scalar_int(const Tensor& tensor) const {
  MTS_ASSIGN(const std::vector<int64_t> values, ints(tensor));
  if (values.size() != 1) return bad(fmt::format("one value is expected, not {}", values.size()));
  return values[0];
}

Result<double> Call::scalar(const Tensor& tensor) const {
  if (tensor.element_count() != 1)
    return bad(fmt::format("one value is expected, not {}", tensor.element_count()));
  double result = 0;
  const bool known = visit(kNumeric, tensor.dtype(),
                           [&]<class T>(Tag<T>) { result = static_cast<double>(*tensor.as<T>()); });
  if (!known) return bad_dtype(tensor);
  return result;
}

Result<std::optional<std::vector<int64_t>>> Call::ints_attribute_or_input(std::string_view name,
                                                                          size_t position,
                                                                          int64_t since) const {
  if (version >= since) {
    const Tensor* tensor = opt(position);
    if (!tensor) return std::optional<std::vector<int64_t>>{};
    MTS_ASSIGN(std::vector<int64_t> values, ints(*tensor));
    return std::optional(std::move(values));
  }
  if (!node.find(name)) return std::optional<std::vector<int64_t>>{};
  return std::optional(node.ints_or(name, {}));
}

std::vector<float> Call::floats(std::string_view name) const {
  const Attribute* found = node.find(name);
  const auto* values = found ? std::get_if<std::vector<float>>(&found->value) : nullptr;
  return values ? *values : std::vector<float>{};
}

std::vector<std::string> Call::strings(std::string_view name) const {
  const Attribute* found = node.find(name);
  const auto* values = found ? std::get_if<std::vector<std::string>>(&found->value) : nullptr;
  return values ? *values : std::vector<std::string>{};
}

std::optional<Tensor> Call::tensor_attribute(std::string_view name) const {
  const Attribute* found = node.find(name);
  const auto* weight = found ? std::get_if<WeightPtr>(&found->value) : nullptr;
  if (!weight || !*weight) return std::nullopt;
  return Tensor::from_weight(**weight);
}

Result<void> Call::check_dims(const Dims& dims) const {
  constexpr int64_t kMostElements = int64_t{1} << 31;
  int64_t count = 1;
  for (int64_t dim : dims) {
    if (dim < 0) return bad(fmt::format("the output would have the shape {}", to_string(dims)));
    if (dim != 0 && count > kMostElements / dim) {
      return bad(fmt::format("the output would have the shape {}, which is too large", to_string(dims)));
    }
    count *= dim;
  }
  return {};
}

Result<Tensor> Call::make(DType dtype, Dims dims) const {
  MTS_TRY(check_dims(dims));
  return Tensor(dtype, std::move(dims));
}

std::string to_string(const Dims& dims) { return fmt::format("[{}]", fmt::join(dims, ",")); }

}  // namespace mts::ref
