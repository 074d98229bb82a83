// Own CUDA kernels that gather, scatter and convert, through the shim, against the reference evaluator.
#include "tests/exec/cuda/harness.h"
#include "tests/exec/cuda/shim_backend.h"

#include <cmath>

#include <gtest/gtest.h>

namespace mts::exec::cuda {
namespace {

Operand of(DType dtype, Dims dims) { return {.dims = std::move(dims), .dtype = dtype}; }
Operand indices(Dims dims, std::vector<double> values, DType dtype = DType::kInt64) {
  return {.dims = std::move(dims), .dtype = dtype, .values = std::move(values)};
}

TEST(CudaKernels, Gather) {
  for (DType dtype : {DType::kFloat32, DType::kFloat16, DType::kInt64, DType::kUint8}) {
    for (DType wide : {DType::kInt64, DType::kInt32}) {
      const Operand picks = indices({2, 3}, {0, 3, -1, 2, 1, 0}, wide);
      for (int64_t axis : {0, 1, -1}) {
        check_kernel({"Gather", {{"axis", axis}}, {of(dtype, {4, 5, 6}), picks}});
        check_kernel({"Gather", {{"axis", axis}}, {of(dtype, {4, 8, 16}), picks}});
      }
    }
  }
  check_kernel({"Gather", {}, {input({4}), indices({}, {2})}});
  check_kernel({"Gather", {{"axis", int64_t{1}}}, {input({2, 4, 3}), indices({0}, {})}});
}

TEST(CudaKernels, IndicesOutOfRangeAreErrors) {
  for (const char* op : {"Gather", "GatherElements", "GatherND"}) {
    for (double bad : {4., -5.}) {
      std::vector<Datum> inputs;
      const Model model = model_of({op, {}, {input({4, 5}), indices({1, 1}, {bad})}}, inputs);
      const auto session = make_shim_session(model);
      ASSERT_TRUE(session.has_value());
      const auto outputs = (*session)->run(inputs);
      ASSERT_FALSE(outputs.has_value()) << op;
      EXPECT_EQ(outputs.error().code, ErrorCode::kModel);
    }
  }
}

TEST(CudaKernels, GatherElements) {
  for (int64_t axis : {0, 1, -1}) {
    check_kernel({"GatherElements",
                  {{"axis", axis}},
                  {input({4, 5, 4}), indices({2, 3, 2}, {0, 3, -1, 2, 1, 0, 3, 3, 0, -2, 1, 2})}});
    check_kernel({"ScatterElements",
                  {{"axis", axis}},
                  {input({4, 5, 4}), indices({2, 1, 2}, {0, 3, 1, 2}), input({2, 1, 2})}});
  }
  check_kernel({.op = "ScatterElements",
                .attributes = {{"reduction", std::string("add")}},
                .operands = {input({4}), indices({2}, {0, 0}), input({2})},
                .on_host = true});
}

TEST(CudaKernels, GatherNd) {
  check_kernel({"GatherND", {}, {input({3, 4, 5}), indices({2, 2}, {0, 3, -1, 2})}});
  check_kernel({"GatherND", {}, {input({3, 4, 5}), indices({2, 1, 3}, {0, 3, 4, 2, 2, -5})}});
  check_kernel({"GatherND",
                {{"batch_dims", int64_t{1}}},
                {input({2, 4, 5}), indices({2, 3, 1}, {0, 3, 1, 2, 2, -1})}});
  check_kernel({"ScatterND", {}, {input({3, 4, 5}), indices({2, 2}, {0, 3, -1, 2}), input({2, 5})}});
  check_kernel(
      {"ScatterND", {}, {of(DType::kUint8, {6}), indices({3, 1}, {0, 3, -1}), of(DType::kUint8, {3})}});
}

TEST(CudaKernels, Casts) {
  const DType all[] = {DType::kFloat32, DType::kFloat16, DType::kBfloat16, DType::kFloat64, DType::kInt8,
                       DType::kUint8,   DType::kInt16,   DType::kInt32,    DType::kInt64,   DType::kBool};
  for (DType from : all) {
    for (DType to : all) check_kernel({"Cast", {{"to", static_cast<int64_t>(to)}}, {of(from, {3, 7})}, 22});
  }
  const Operand wild{.dims = {8}, .values = {std::nan(""), INFINITY, -INFINITY, 1e20, -1e20, 2.9, -2.9, 300}};
  for (DType to : all) {
    if (to != DType::kFloat16) check_kernel({"Cast", {{"to", static_cast<int64_t>(to)}}, {wild}, 22});
  }
  const Operand large{.dims = {4}, .dtype = DType::kInt64, .values = {4294967299., -4294967299., 65536, -1}};
  for (DType to : all) {
    if (to != DType::kFloat16) check_kernel({"Cast", {{"to", static_cast<int64_t>(to)}}, {large}, 22});
  }
}

TEST(CudaKernels, IntegerArithmetic) {
  const std::vector<double> a = {7, -7, 7, -7, 0, 5}, b = {2, 2, -2, -2, 3, 0};
  for (DType dtype : {DType::kInt64, DType::kInt32}) {
    const Operand x{.dims = {6}, .dtype = dtype, .values = a}, y{.dims = {6}, .dtype = dtype, .values = b};
    for (const char* op : {"Add", "Sub", "Mul", "Max", "Min", "Mod"}) {
      check_kernel({op, {}, {x, y}});
      check_kernel({op, {}, {of(dtype, {4, 1, 3}), of(dtype, {5, 1})}});
    }
    check_kernel({"Mod", {{"fmod", int64_t{1}}}, {x, y}});
    check_kernel({"Div", {}, {x, {.dims = {}, .dtype = dtype, .values = {2}}}});
    for (const char* op : {"Neg", "Abs", "Sign"}) check_kernel({op, {}, {x}});
    for (const char* op : {"BitwiseAnd", "BitwiseOr", "BitwiseXor"}) check_kernel({op, {}, {x, y}});
  }
  check_kernel({"Mod",
                {{"fmod", int64_t{1}}},
                {{.dims = {4}, .values = {7.5, -7.5, 7.5, -7.5}}, {.dims = {4}, .values = {2, 2, -2, -2}}}});
  for (const char* direction : {"LEFT", "RIGHT"})
    check_kernel({"BitShift",
                  {{"direction", std::string(direction)}},
                  {of(DType::kUint8, {9}), of(DType::kUint8, {9})}});
}

TEST(CudaKernels, ComparisonsAndLogic) {
  for (const char* op : {"Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"}) {
    for (DType dtype : {DType::kFloat32, DType::kFloat64, DType::kInt64, DType::kInt32, DType::kFloat16}) {
      check_kernel({op, {}, {of(dtype, {3, 1, 7}), of(dtype, {4, 1})}, 19});
    }
    const Operand special{.dims = {4}, .values = {std::nan(""), INFINITY, -0., 1}};
    check_kernel({op, {}, {special, {.dims = {4}, .values = {std::nan(""), 1, 0, INFINITY}}}, 19});
  }
  for (const char* op : {"And", "Or", "Xor"})
    check_kernel({op, {}, {of(DType::kBool, {3, 5}), of(DType::kBool, {5})}});
  check_kernel({"Not", {}, {of(DType::kBool, {3, 5})}});
  for (DType dtype : {DType::kFloat32, DType::kInt64, DType::kUint8, DType::kFloat16})
    check_kernel({"Where", {}, {of(DType::kBool, {2, 1, 5}), of(dtype, {3, 1}), of(dtype, {})}});
}

TEST(CudaKernels, Quantisation) {
  const Operand scale{.dims = {}, .constant = true, .values = {0.02}};
  const Operand scales{.dims = {3}, .constant = true, .values = {0.02, 0.5, 0.013}};
  for (DType dtype : {DType::kInt8, DType::kUint8}) {
    const Operand zero{.dims = {}, .constant = true, .dtype = dtype, .values = {7}};
    const Operand zeros{.dims = {3}, .constant = true, .dtype = dtype, .values = {7, 0, 100}};
    check_kernel({"QuantizeLinear", {}, {input({2, 3, 50}), scale, zero}});
    check_kernel({"QuantizeLinear", {{"axis", int64_t{1}}}, {input({2, 3, 50}), scales, zeros}});
    check_kernel({"DequantizeLinear", {}, {of(dtype, {2, 3, 5}), scale, zero}});
    check_kernel({"DequantizeLinear", {{"axis", int64_t{1}}}, {of(dtype, {2, 3, 5}), scales, zeros}});
    check_kernel({"DequantizeLinear", {}, {of(dtype, {2, 3, 5}), scale}});
  }
  check_kernel({"QuantizeLinear", {}, {input({2, 3, 50}), scale}});
}

TEST(CudaKernels, OtherFunctions) {
  const Operand special{.dims = {6}, .values = {std::nan(""), INFINITY, -INFINITY, 0, 1.5, -2.5}};
  for (const char* op : {"IsNaN", "IsInf", "Round", "Sign"}) check_kernel({op, {}, {special}, 20});
  check_kernel({"IsInf", {{"detect_negative", int64_t{0}}}, {special}, 20});
  for (const char* op : {"Sin", "Cos", "Softsign", "Mish", "Selu", "Celu", "ThresholdedRelu"})
    check_kernel({op, {}, {input({3, 9})}, 22});
  for (const char* op : {"Exp", "Sqrt", "Tanh", "Erf", "Sigmoid", "Floor", "Abs", "Neg", "Relu"})
    check_kernel({op, {}, {of(DType::kFloat64, {3, 9})}, 22});
}

}  // namespace
}  // namespace mts::exec::cuda
