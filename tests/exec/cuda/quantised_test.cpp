// The quantised kernels through the shim, against the reference evaluator.
#include "tests/exec/cuda/harness.h"

#include <gtest/gtest.h>

namespace mts::exec::cuda {
namespace {

TEST(CudaQuantised, DynamicQuantizeLinear) {
  const auto quantise = [](Operand x) {
    check_kernel({.op = "DynamicQuantizeLinear", .attributes = {}, .operands = {std::move(x)}, .outputs = 3});
  };
  // One block, several, and more elements than the blocks that look for the extremes have threads.
  for (const Dims& dims : {Dims{1}, Dims{7}, Dims{3, 50}, Dims{9, 4001}, Dims{400, 1000}})
    quantise(input(dims));
  quantise({.dims = {4}, .values = {0, 0, 0, 0}});
  quantise({.dims = {5}, .values = {1, 2, 3, 0.5, 255}});
  quantise({.dims = {5}, .values = {-1, -2, -3, -0.5, -127.5}});
}

Operand bytes(Dims dims, DType dtype, bool constant = false) {
  std::vector<double> values;
  for (int64_t i = 0; i < element_count(dims); ++i)
    values.push_back(static_cast<double>(i * 37 % 256 - (dtype == DType::kInt8 ? 128 : 0)));
  return {.dims = std::move(dims), .constant = constant, .dtype = dtype, .values = std::move(values)};
}
Operand zero_of(Dims dims, DType dtype) {
  std::vector<double> values;
  for (int64_t i = 0; i < element_count(dims); ++i) values.push_back(static_cast<double>(i * 11 % 100 + 3));
  return {.dims = std::move(dims), .constant = true, .dtype = dtype, .values = std::move(values)};
}

TEST(CudaQuantised, MatMulInteger) {
  for (DType a : {DType::kUint8, DType::kInt8}) {
    for (DType b : {DType::kUint8, DType::kInt8}) {
      for (const auto& [left, right] : {std::pair<Dims, Dims>{{1, 24}, {24, 48}},
                                        {{3, 5, 33}, {33, 17}},
                                        {{2, 1, 7, 9}, {2, 3, 9, 4}},
                                        {{70, 40}, {40, 130}}}) {
        const Operand x = bytes(left, a), w = bytes(right, b, true);
        const int64_t columns = right.back();
        check_kernel({"MatMulInteger", {}, {x, w}});
        check_kernel({"MatMulInteger", {}, {x, w, zero_of({}, a)}});
        check_kernel({"MatMulInteger", {}, {x, w, zero_of({}, a), zero_of({1}, b)}});
        check_kernel({"MatMulInteger", {}, {x, w, absent(), zero_of({columns}, b)}});
      }
      // Weights that are made at run time; all at the ends of their range, over a long row.
      check_kernel({"MatMulInteger", {}, {bytes({4, 6}, a), bytes({6, 3}, b)}});
      const auto at = [](DType dtype, Dims dims, double value) {
        const auto count = static_cast<size_t>(element_count(dims));
        return Operand{.dims = std::move(dims), .dtype = dtype, .values = std::vector<double>(count, value)};
      };
      check_kernel({"MatMulInteger",
                    {},
                    {at(a, {2, 3000}, a == DType::kInt8 ? -128 : 255),
                     at(b, {3000, 2}, b == DType::kInt8 ? -128 : 255)}});
    }
  }
  // One zero point a row.
  check_kernel(
      {.op = "MatMulInteger",
       .attributes = {},
       .operands = {bytes({4, 6}, DType::kUint8), bytes({6, 3}, DType::kInt8), zero_of({4}, DType::kUint8)},
       .on_host = true});
}

}  // namespace
}  // namespace mts::exec::cuda
