#include <mts/dtype.h>

#include <array>

namespace mts {
namespace {

struct DTypeInfo {
  int bits;
  std::string_view name;
};
// Indexed by the number of the type.
constexpr std::array<DTypeInfo, 27> kTypes{
    {{0, "undefined"},      {32, "float32"},  {8, "uint8"},        {8, "int8"},           {16, "uint16"},
     {16, "int16"},         {32, "int32"},    {64, "int64"},       {0, "string"},         {8, "bool"},
     {16, "float16"},       {64, "float64"},  {32, "uint32"},      {64, "uint64"},        {64, "complex64"},
     {128, "complex128"},   {16, "bfloat16"}, {8, "float8e4m3fn"}, {8, "float8e4m3fnuz"}, {8, "float8e5m2"},
     {8, "float8e5m2fnuz"}, {4, "uint4"},     {4, "int4"},         {4, "float4e2m1"},     {8, "float8e8m0"},
     {2, "uint2"},          {2, "int2"}}};

bool is_known(DType dtype) {
  return static_cast<int32_t>(dtype) >= 0 && static_cast<size_t>(dtype) < kTypes.size();
}

}  // namespace

int bit_width(DType dtype) { return is_known(dtype) ? kTypes[static_cast<size_t>(dtype)].bits : 0; }

size_t byte_size(DType dtype, int64_t count) {
  return (static_cast<size_t>(count) * static_cast<size_t>(bit_width(dtype)) + 7) / 8;
}

std::string_view name_of(DType dtype) {
  return is_known(dtype) ? kTypes[static_cast<size_t>(dtype)].name : std::string_view("unknown dtype");
}

bool is_float(DType dtype) {
  switch (dtype) {
    case DType::kFloat16:
    case DType::kBfloat16:
    case DType::kFloat32:
    case DType::kFloat64:
    case DType::kFloat8E4M3FN:
    case DType::kFloat8E4M3FNUZ:
    case DType::kFloat8E5M2:
    case DType::kFloat8E5M2FNUZ:
    case DType::kFloat4E2M1:
    case DType::kFloat8E8M0:
      return true;
    default:
      return false;
  }
}

bool is_integer(DType dtype) {
  switch (dtype) {
    case DType::kUint8:
    case DType::kInt8:
    case DType::kUint16:
    case DType::kInt16:
    case DType::kInt32:
    case DType::kInt64:
    case DType::kUint32:
    case DType::kUint64:
    case DType::kUint4:
    case DType::kInt4:
    case DType::kUint2:
    case DType::kInt2:
      return true;
    default:
      return false;
  }
}

bool is_quantised(DType dtype) {
  return dtype == DType::kInt8 || dtype == DType::kUint8 || (bit_width(dtype) > 0 && bit_width(dtype) <= 4) ||
         (bit_width(dtype) == 8 && is_float(dtype));
}

bool is_weight(DType dtype) { return is_float(dtype) || is_quantised(dtype); }

}  // namespace mts
