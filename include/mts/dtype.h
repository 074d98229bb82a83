// Element types. Numbers are those of onnx.TensorProto.DataType, so that new ones survive a round trip.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mts {

enum class DType : int32_t {
  kUndefined = 0,
  kFloat32 = 1,
  kUint8 = 2,
  kInt8 = 3,
  kUint16 = 4,
  kInt16 = 5,
  kInt32 = 6,
  kInt64 = 7,
  kString = 8,
  kBool = 9,
  kFloat16 = 10,
  kFloat64 = 11,
  kUint32 = 12,
  kUint64 = 13,
  kComplex64 = 14,
  kComplex128 = 15,
  kBfloat16 = 16,
  kFloat8E4M3FN = 17,
  kFloat8E4M3FNUZ = 18,
  kFloat8E5M2 = 19,
  kFloat8E5M2FNUZ = 20,
  kUint4 = 21,
  kInt4 = 22,
  kFloat4E2M1 = 23,
  kFloat8E8M0 = 24,
  kUint2 = 25,
  kInt2 = 26,
};

// Bits of one element; 0 for strings, undefined and types that this version does not know.
int bit_width(DType dtype);
// Bytes of `count` elements in ONNX's raw_data encoding (sub-byte types are packed, the last byte padded).
size_t byte_size(DType dtype, int64_t count);
// "float32", "int64", ...; "unknown dtype" for numbers that this version does not know.
std::string_view name_of(DType dtype);
bool is_float(DType dtype);      // float16, bfloat16, float32, float64, float8*, float4
bool is_integer(DType dtype);    // signed and unsigned, sub-byte included; not bool
bool is_quantised(DType dtype);  // int8, uint8, int4, uint4, int2, uint2, float8*, float4
bool is_weight(DType dtype);     // float or quantised: the content that the rule against duplicates counts

}  // namespace mts
