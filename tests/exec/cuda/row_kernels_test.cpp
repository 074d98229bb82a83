// Own CUDA kernels that work on rows and windows, through the shim, against the reference evaluator.
#include "tests/exec/cuda/harness.h"

#include <cmath>

#include <gtest/gtest.h>

namespace mts::exec::cuda {
namespace {

using Ints = std::vector<int64_t>;
constexpr DType kFloats[] = {DType::kFloat32, DType::kFloat16, DType::kBfloat16};

Operand of(DType dtype, Dims dims) { return {.dims = std::move(dims), .dtype = dtype}; }
Operand constant_of(DType dtype, Dims dims) {
  return {.dims = std::move(dims), .constant = true, .dtype = dtype};
}

TEST(CudaKernels, Softmax) {
  for (const char* op : {"Softmax", "LogSoftmax"}) {
    for (DType dtype : kFloats) {
      for (int64_t axis : {-1, 0, 1}) {
        check_kernel({op, {{"axis", axis}}, {of(dtype, {3, 4, 17})}, 22});
        check_kernel({op, {{"axis", axis}}, {of(dtype, {2, 33, 9})}, 22});
      }
      check_kernel({op, {}, {of(dtype, {3, 1500})}, 22});
    }
    check_kernel({op, {{"axis", int64_t{1}}}, {input({2, 3, 5})}, 11});
    check_kernel({op, {}, {input({0, 5})}, 22});
    check_kernel({op, {}, {input({1})}, 22});
  }
  // Masked rows: -infinity first, and everywhere (NaN).
  const double off = -INFINITY;
  check_kernel(
      {"Softmax", {}, {{.dims = {3, 4}, .values = {off, off, 1, 2, 3, off, off, off, off, off, off, off}}}});
  check_kernel({"Softmax", {}, {{.dims = {1, 3}, .values = {1000, 1001, -1000}}}});
}

TEST(CudaKernels, Normalisations) {
  for (DType dtype : kFloats) {
    for (int64_t width : {1, 48, 1100}) {
      check_kernel({"LayerNormalization",
                    {},
                    {of(dtype, {2, 3, width}), constant_of(dtype, {width}), constant_of(dtype, {width})},
                    22});
      check_kernel({"RMSNormalization", {}, {of(dtype, {2, 3, width}), constant_of(dtype, {width})}, 23});
    }
    check_kernel({"InstanceNormalization",
                  {},
                  {of(dtype, {2, 6, 5, 5}), constant_of(dtype, {6}), constant_of(dtype, {6})},
                  22});
    check_kernel({"GroupNormalization",
                  {{"num_groups", int64_t{3}}},
                  {of(dtype, {2, 6, 5, 5}), constant_of(dtype, {6}), constant_of(dtype, {6})},
                  22});
  }
  check_kernel({"LayerNormalization", {{"axis", int64_t{1}}}, {input({2, 7, 5}), weight({7, 5})}});
  check_kernel({.op = "LayerNormalization",
                .attributes = {},
                .operands = {input({2, 7, 5}), weight({5}), weight({5})},
                .outputs = 3});
  check_kernel({"InstanceNormalization", {}, {input({2, 3, 40, 41}), weight({3}), weight({3})}});
  const Operand variance{.dims = {6}, .constant = true, .values = {0.1, 0.5, 1, 1.5, 2, 3}};
  check_kernel(
      {"BatchNormalization", {}, {input({2, 6, 5, 5}), weight({6}), weight({6}), weight({6}), variance}});
  for (DType dtype : {DType::kFloat16, DType::kBfloat16}) {
    const Operand spread{.dims = {6}, .constant = true, .dtype = dtype, .values = {0.1, 0.5, 1, 1.5, 2, 3}};
    check_kernel({"BatchNormalization",
                  {{"epsilon", 0.1f}},
                  {of(dtype, {2, 6, 5, 4}), constant_of(dtype, {6}), constant_of(dtype, {6}),
                   constant_of(dtype, {6}), spread},
                  22});
  }
}

TEST(CudaKernels, Reductions) {
  for (const char* op :
       {"ReduceMean", "ReduceMax", "ReduceMin", "ReduceL2", "ReduceL1", "ReduceSumSquare", "ReduceProd"}) {
    for (int64_t keep : {0, 1}) {
      check_kernel({op, {{"axes", Ints{2, 3}}, {"keepdims", keep}}, {input({2, 17, 7, 7})}, 13});
      check_kernel({op, {{"axes", Ints{-1}}, {"keepdims", keep}}, {input({4, 5, 65})}, 13});
      check_kernel({op, {{"axes", Ints{0}}, {"keepdims", keep}}, {input({4, 5, 30})}, 13});
      check_kernel({op, {{"axes", Ints{0, 2}}, {"keepdims", keep}}, {input({4, 5, 6})}, 13});
      check_kernel({op, {{"keepdims", keep}}, {input({4, 5, 6})}, 13});
    }
    check_kernel({op, {}, {input({2, 3, 4}), ints({1})}});
    check_kernel({op, {}, {input({3, 2000}), ints({1})}});
    for (DType dtype : {DType::kFloat16, DType::kFloat64})
      check_kernel({op, {}, {of(dtype, {3, 2, 40}), ints({2})}});
  }
  for (const char* op : {"ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd"}) {
    for (DType dtype : {DType::kInt64, DType::kInt32})
      check_kernel({op, {}, {of(dtype, {3, 5, 4}), ints({1})}});
  }
  check_kernel({"ReduceSum", {}, {input({2, 3, 4}), ints({0, 2})}, 13});
  check_kernel({"ReduceSum", {}, {input({2, 0, 4}), ints({1})}});
  check_kernel(
      {"ReduceMax", {}, {{.dims = {2, 2}, .values = {1, std::nan(""), -INFINITY, -INFINITY}}, ints({1})}});
  for (const char* op : {"GlobalAveragePool", "GlobalMaxPool"}) {
    check_kernel({op, {}, {input({2, 33, 7, 7})}});
    check_kernel({op, {}, {input({2, 3, 9})}});
    check_kernel({op, {}, {of(DType::kFloat16, {2, 3, 40, 40})}, 22});
  }
}

TEST(CudaKernels, ArgExtremes) {
  for (const char* op : {"ArgMax", "ArgMin"}) {
    for (int64_t axis : {0, 1, -1}) {
      for (int64_t last : {0, 1}) {
        for (DType dtype : {DType::kFloat32, DType::kFloat16, DType::kInt64, DType::kInt32, DType::kUint8}) {
          check_kernel({op, {{"axis", axis}, {"select_last_index", last}}, {of(dtype, {3, 40, 7})}});
          check_kernel({op, {{"axis", axis}, {"keepdims", int64_t{0}}}, {of(dtype, {3, 4, 70})}});
        }
      }
    }
  }
}

TEST(CudaKernels, Pools) {
  for (const char* op : {"MaxPool", "AveragePool"}) {
    for (DType dtype : kFloats) {
      check_kernel({op,
                    {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}},
                    {of(dtype, {2, 5, 16, 17})},
                    22});
    }
    check_kernel({op, {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}}, {input({1, 16, 8, 8})}});
    check_kernel({op,
                  {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}, {"ceil_mode", int64_t{1}}},
                  {input({1, 3, 8, 8})}});
    check_kernel({op, {{"kernel_shape", Ints{3}}, {"strides", Ints{1}}}, {input({2, 3, 10})}});
    check_kernel({op, {{"kernel_shape", Ints{2, 2, 2}}}, {input({1, 2, 5, 5, 5})}});
    check_kernel({op,
                  {{"kernel_shape", Ints{2, 3}}, {"dilations", Ints{2, 3}}, {"pads", Ints{1, 2, 1, 2}}},
                  {input({1, 2, 9, 10})},
                  22});
    check_kernel(
        {op,
         {{"kernel_shape", Ints{3, 3}}, {"auto_pad", std::string("SAME_UPPER")}, {"strides", Ints{2, 2}}},
         {input({1, 2, 8, 9})}});
  }
  for (int64_t ceil : {0, 1}) {
    check_kernel({"AveragePool",
                  {{"kernel_shape", Ints{3, 3}},
                   {"strides", Ints{2, 2}},
                   {"pads", Ints{1, 1, 1, 1}},
                   {"count_include_pad", int64_t{1}},
                   {"ceil_mode", ceil}},
                  {input({2, 5, 9, 8})},
                  22});
  }
  check_kernel({.op = "MaxPool",
                .attributes = {{"kernel_shape", Ints{3, 3}}, {"pads", Ints{1, 1, 1, 1}}},
                .operands = {input({2, 3, 6, 7})},
                .outputs = 2});
  check_kernel({"MaxPool", {{"kernel_shape", Ints{3, 3}}}, {of(DType::kUint8, {2, 3, 6, 7})}});
}

TEST(CudaKernels, Lrn) {
  for (int64_t size : {1, 2, 3, 5}) {
    check_kernel({"LRN", {{"size", size}}, {input({2, 4, 3, 5})}});
    check_kernel({"LRN",
                  {{"size", size}, {"alpha", 0.5f}, {"beta", 0.6f}, {"bias", 2.f}},
                  {of(DType::kFloat16, {1, 7, 6})},
                  22});
  }
}

TEST(CudaKernels, Resize) {
  const Operand scales{.dims = {4}, .constant = true, .values = {1, 1, 2, 1.7}};
  for (const char* mode : {"nearest", "linear"}) {
    for (const char* transform :
         {"half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric"}) {
      const std::vector<std::pair<std::string, AttributeValue>> attributes = {
          {"mode", std::string(mode)}, {"coordinate_transformation_mode", std::string(transform)}};
      check_kernel({"Resize", attributes, {input({2, 3, 5, 7}), absent(), scales}, 19});
      check_kernel(
          {"Resize", attributes, {input({2, 3, 5, 7}), absent(), absent(), ints({2, 3, 3, 10})}, 19});
      check_kernel({"Resize",
                    attributes,
                    {of(DType::kFloat16, {1, 3, 1, 6}), absent(), absent(), ints({1, 3, 4, 1})},
                    19});
    }
    check_kernel({"Upsample", {{"mode", std::string(mode)}}, {input({2, 3, 5, 7}), scales}, 9});
  }
}

}  // namespace
}  // namespace mts::exec::cuda
