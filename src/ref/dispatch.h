// Calls a generic lambda with the C++ type of a DType: visit(kNumeric, dtype, [&]<class T>(Tag<T>) { ... });
// Returns false when the dtype is not in the list. Bool tensors hold one byte an element and are visited as
// uint8_t.
#pragma once

#include <mts/dtype.h>

#include <cstdint>
#include <limits>
#include <type_traits>

namespace mts::ref {

template <class T>
struct Tag {
  using type = T;
};
template <class... T>
struct Types {};

inline constexpr Types<float, double> kFloats;
inline constexpr Types<int8_t, uint8_t, int16_t, uint16_t, int32_t, uint32_t, int64_t, uint64_t> kIntegers;
inline constexpr Types<float, double, int64_t, int32_t> kCommon;
inline constexpr Types<float, double, int8_t, uint8_t, int16_t, uint16_t, int32_t, uint32_t, int64_t,
                       uint64_t>
    kNumeric;

template <class T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::kFloat32;
};
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::kFloat64;
};
template <>
struct DTypeOf<int8_t> {
  static constexpr DType value = DType::kInt8;
};
template <>
struct DTypeOf<uint8_t> {
  static constexpr DType value = DType::kUint8;
};
template <>
struct DTypeOf<int16_t> {
  static constexpr DType value = DType::kInt16;
};
template <>
struct DTypeOf<uint16_t> {
  static constexpr DType value = DType::kUint16;
};
template <>
struct DTypeOf<int32_t> {
  static constexpr DType value = DType::kInt32;
};
template <>
struct DTypeOf<uint32_t> {
  static constexpr DType value = DType::kUint32;
};
template <>
struct DTypeOf<int64_t> {
  static constexpr DType value = DType::kInt64;
};
template <>
struct DTypeOf<uint64_t> {
  static constexpr DType value = DType::kUint64;
};
template <class T>
inline constexpr DType kDTypeOf = DTypeOf<T>::value;

// A double as T without undefined behaviour: out of range saturates, NaN becomes 0 in an integer.
template <class T>
T number_cast(double value) {
  if constexpr (std::is_floating_point_v<T>) {
    return static_cast<T>(value);
  } else {
    if (value != value) return T{0};
    if (value <= static_cast<double>(std::numeric_limits<T>::lowest()))
      return std::numeric_limits<T>::lowest();
    if (value >= static_cast<double>(std::numeric_limits<T>::max())) return std::numeric_limits<T>::max();
    return static_cast<T>(value);
  }
}

template <class... T, class F>
bool visit(Types<T...>, DType dtype, F&& f) {
  const DType carrier = dtype == DType::kBool ? DType::kUint8 : dtype;
  return ((carrier == kDTypeOf<T> ? (f(Tag<T>{}), true) : false) || ...);
}

}  // namespace mts::ref
