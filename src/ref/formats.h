// Floating point formats below 32 bits, and packed sub-byte elements.
#pragma once

#include <mts/dtype.h>
#include <mts/tensor.h>

#include <cstdint>

namespace mts::ref {

// float16, bfloat16, float8*, float4e2m1: a format that decode and encode know.
bool is_small_float(DType dtype);
float decode_float(DType dtype, uint32_t bits);
// Rounds to nearest even. What is too large becomes the largest finite value when `saturate`, else infinity
// (or NaN in a format without infinities). float4e2m1 always saturates; float8e8m0 rounds as RoundingMode
// says.
enum class E8M0Rounding { kUp, kDown, kNearest };
uint32_t encode_float(DType dtype, float value, bool saturate = true,
                      E8M0Rounding rounding = E8M0Rounding::kUp);

// Small floats -> float32.
Tensor widen(const Tensor& in);
// float32 -> a small float.
Tensor narrow(const Tensor& in, DType dtype, bool saturate = false);

// One byte an element <-> ONNX's packed encoding (low bits first). `in` of unpack has bit_width 2 or 4; the
// result is uint8 with the raw bits in the low end.
Tensor unpack_bits(const Tensor& in);
Tensor pack_bits(const Tensor& in, DType dtype);

}  // namespace mts::ref
