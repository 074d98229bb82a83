#include "recover/elements.h"

#include <cmath>
#include <limits>
#include <utility>

namespace mts::recover_detail {

Elements::Elements(WeightPtr weight)
    : weight_(std::move(weight)),
      dtype_(weight_->dtype()),
      size_(static_cast<size_t>(weight_->element_count())),
      bytes_(weight_->bytes()) {
  if (!bytes_.empty() || size_ == 0) return;
  buffer_.resize(weight_->byte_size());
  const std::span<std::byte> gathered(reinterpret_cast<std::byte*>(buffer_.data()), buffer_.size());
  weight_->read(gathered);
  bytes_ = gathered;
}

double Elements::largest() const {
  if (largest_ >= 0) return largest_;
  double largest = 0;
  for (size_t i = 0; i < size_; ++i) {
    const double magnitude = std::abs((*this)[i]);
    if (!std::isfinite(magnitude)) return largest_ = std::numeric_limits<double>::infinity();
    if (magnitude > largest) largest = magnitude;
  }
  return largest_ = largest;
}

bool is_readable(DType dtype) {
  return dtype == DType::kFloat16 || dtype == DType::kBfloat16 || dtype == DType::kFloat32 ||
         dtype == DType::kFloat64;
}

namespace {

template <class T, class Round>
WeightPtr stored(DType dtype, std::span<const double> values, Dims dims, Round round) {
  std::string bytes(values.size() * sizeof(T), '\0');
  for (size_t i = 0; i < values.size(); ++i) {
    const T value = round(values[i]);
    std::memcpy(bytes.data() + i * sizeof(T), &value, sizeof(T));
  }
  return Weight::from_bytes(dtype, std::move(dims), own_bytes(std::move(bytes)));
}

}  // namespace

WeightPtr rounded(DType dtype, std::span<const double> values, Dims dims) {
  switch (dtype) {
    case DType::kFloat64:
      return stored<double>(dtype, values, std::move(dims), [](double v) { return v; });
    case DType::kFloat16:
      return stored<uint16_t>(dtype, values, std::move(dims),
                              [](double v) { return float_to_float16(static_cast<float>(v)); });
    case DType::kBfloat16:
      return stored<uint16_t>(dtype, values, std::move(dims),
                              [](double v) { return float_to_bfloat16(static_cast<float>(v)); });
    default:
      return stored<float>(dtype, values, std::move(dims), [](double v) { return static_cast<float>(v); });
  }
}

}  // namespace mts::recover_detail
