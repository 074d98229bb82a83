// The numbers of float constants, in double precision.
#pragma once

#include "ir/number.h"

#include <mts/weight.h>

#include <cstddef>
#include <cstring>
#include <span>
#include <string>

namespace mts::recover_detail {

// Reads the elements of a weight where they lie; only content that has to be gathered (a lazy Transpose) is
// copied. Precondition: is_readable(dtype).
class Elements {
 public:
  explicit Elements(WeightPtr weight);
  Elements(const Elements&) = delete;
  Elements& operator=(const Elements&) = delete;

  const WeightPtr& weight() const { return weight_; }
  size_t size() const { return size_; }
  double operator[](size_t i) const {
    switch (dtype_) {
      case DType::kFloat32:
        return load<float>(i);
      case DType::kFloat64:
        return load<double>(i);
      case DType::kFloat16:
        return static_cast<double>(float16_to_float(load<uint16_t>(i)));
      default:
        return static_cast<double>(bfloat16_to_float(load<uint16_t>(i)));
    }
  }
  // Largest magnitude; infinite when an element is no finite number. Computed when first asked for.
  double largest() const;
  // Finite, and not of the size of a mask's "minus infinity", beside which all else would look equal.
  bool is_comparable() const { return largest() < 1e30; }

 private:
  template <class T>
  T load(size_t i) const {
    T value;
    std::memcpy(&value, bytes_.data() + i * sizeof(T), sizeof(T));
    return value;
  }

  WeightPtr weight_;
  DType dtype_;
  size_t size_;
  std::string buffer_;
  std::span<const std::byte> bytes_;
  mutable double largest_ = -1;
};

// float16, bfloat16, float32, float64.
bool is_readable(DType dtype);

// A new weight of these values, rounded to nearest.
WeightPtr rounded(DType dtype, std::span<const double> values, Dims dims);

}  // namespace mts::recover_detail
