// The floating-point types that kernels compute with; arithmetic is float for all.
#pragma once

#include <cstdint>

namespace mts::exec::cuda {

enum class FloatType : uint8_t { kFloat32, kFloat16, kBfloat16 };
constexpr int size_of(FloatType type) { return type == FloatType::kFloat32 ? 4 : 2; }

}  // namespace mts::exec::cuda
