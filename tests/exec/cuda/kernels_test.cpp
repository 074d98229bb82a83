// Own CUDA kernels, on the host through the shim, against the reference evaluator (see harness.h).
#include "tests/exec/cuda/harness.h"

#include <cmath>

#include <gtest/gtest.h>

namespace mts::exec::cuda {
namespace {

using Ints = std::vector<int64_t>;
constexpr DType kFloats[] = {DType::kFloat32, DType::kFloat16, DType::kBfloat16};

Operand of(DType dtype, Dims dims) { return {.dims = std::move(dims), .dtype = dtype}; }

TEST(CudaKernels, Unary) {
  for (const char* op : {"Relu", "Sigmoid", "Tanh", "Exp", "Abs", "Neg", "Erf", "HardSwish", "Softplus",
                         "Floor", "Ceil", "LeakyRelu", "Elu", "HardSigmoid", "Reciprocal"}) {
    for (const Dims& dims :
         {Dims{}, Dims{1}, Dims{7}, Dims{2, 3, 5}, Dims{1, 16, 33, 31}, Dims{4, 100, 20}, Dims{0, 3}})
      check_kernel({op, {}, {input(dims)}});
  }
  const std::vector<double> positive = {0, 1e-38, 1e-6, 0.3, 1, 2, 1e4, 3e38};
  for (const char* op : {"Sqrt", "Log"}) check_kernel({op, {}, {{.dims = {8}, .values = positive}}});
  const std::vector<double> wide = {-200, -90,  -88,  -20, -1e-3, -1e-8, 0,  1e-8,
                                    1e-3, 0.62, 0.63, 5,   20,    88,    90, 200};
  for (const char* op : {"Exp", "Sigmoid", "Tanh", "Erf", "Softplus", "Elu"})
    check_kernel({op, {}, {{.dims = {16}, .values = wide}}});
}

TEST(CudaKernels, SpecialValues) {
  const double nan = std::nan(""), infinity = INFINITY;
  const Operand special{.dims = {6}, .values = {nan, infinity, -infinity, 0, 1, -1}};
  for (const char* op :
       {"Relu", "Sigmoid", "Tanh", "Exp", "Erf", "Log", "Sqrt", "LeakyRelu", "Softplus", "Elu"})
    check_kernel({op, {}, {special}});
  for (const char* op : {"Max", "Min", "Add", "Mul"})
    check_kernel({op, {}, {special, {.dims = {6}, .values = {1, 1, 1, nan, 2, -2}}}});
}

const std::vector<std::pair<Dims, Dims>> kBroadcasts = {{{2, 3, 4}, {2, 3, 4}},
                                                        {{2, 3, 4}, {4}},
                                                        {{2, 3, 4}, {3, 1}},
                                                        {{2, 3, 4}, {}},
                                                        {{1}, {5, 1, 3}},
                                                        {{2, 1, 4}, {1, 3, 1}},
                                                        {{8, 64, 7, 7}, {64, 1, 1}},
                                                        {{4, 1, 32, 3}, {4, 7, 1, 3}},
                                                        {{3, 1, 2, 1, 2, 1}, {1, 2, 1, 3, 1, 2}},
                                                        {{0, 2}, {1, 2}}};

TEST(CudaKernels, Broadcasting) {
  for (const char* op : {"Add", "Sub", "Mul", "Div", "Max", "Min"}) {
    for (const auto& [a, b] : kBroadcasts) {
      check_kernel({op, {}, {input(a), input(b)}});
      check_kernel({op, {}, {input(a), weight(b)}});
    }
  }
  check_kernel({"Pow", {}, {input({3, 4}), {.dims = {}, .constant = true, .values = {2}}}});
  check_kernel({"Pow", {}, {input({3, 4}), {.dims = {}, .constant = true, .values = {3}}}});
  check_kernel({"PRelu", {}, {input({2, 8, 5, 5}), weight({8, 1, 1})}});
}

TEST(CudaKernels, SixteenBitElementwise) {
  for (DType dtype : {DType::kFloat16, DType::kBfloat16}) {
    for (const char* op : {"Relu", "Sigmoid", "Tanh", "Erf", "LeakyRelu", "HardSwish"}) {
      for (const Dims& dims : {Dims{}, Dims{7}, Dims{4, 100, 20}, Dims{0, 3}})
        check_kernel({op, {}, {of(dtype, dims)}, 22});
    }
    for (const char* op : {"Add", "Sub", "Mul", "Div"}) {
      for (const auto& [a, b] : kBroadcasts) check_kernel({op, {}, {of(dtype, a), of(dtype, b)}, 22});
    }
  }
}

TEST(CudaKernels, Clip) {
  const Operand low{.dims = {}, .constant = true, .values = {-0.5}},
      high{.dims = {}, .constant = true, .values = {0.7}};
  check_kernel({"Clip", {}, {input({9, 9}), low, high}});
  check_kernel({"Clip", {}, {input({9, 9}), absent(), high}});
  check_kernel({"Clip", {}, {input({9, 9}), low}});
  check_kernel({"Clip", {{"min", -1.f}, {"max", 1.f}}, {input({9, 9})}, 10});
  check_kernel({"Clip", {}, {input({9, 9}), high, low}});
  for (DType dtype : {DType::kFloat16, DType::kBfloat16}) {
    const Operand six{.dims = {}, .constant = true, .dtype = dtype, .values = {0.5}};
    check_kernel({"Clip", {}, {of(dtype, {9, 9}), absent(), six}});
  }
}

TEST(CudaKernels, Movement) {
  for (DType dtype :
       {DType::kFloat32, DType::kInt64, DType::kUint8, DType::kInt16, DType::kFloat16, DType::kBool}) {
    const Operand x = of(dtype, {2, 3, 4, 5});
    for (const Ints& perm : {Ints{0, 2, 1, 3}, Ints{3, 2, 1, 0}, Ints{0, 1, 3, 2}, Ints{1, 0, 2, 3}})
      check_kernel({"Transpose", {{"perm", perm}}, {x}});
    for (int64_t axis : {0, 1, 3}) {
      check_kernel({"Concat", {{"axis", axis}}, {x, x, x}});
      check_kernel(
          {.op = "Split", .attributes = {{"axis", axis}}, .operands = {x}, .opset = 17, .outputs = 2});
    }
    check_kernel({"Concat",
                  {{"axis", int64_t{1}}},
                  {of(dtype, {3, 8, 4}), of(dtype, {3, 1, 4}), of(dtype, {3, 8, 4})}});
    check_kernel({"Slice", {}, {x, ints({0, 1}), ints({2, 4}), ints({1, 3}), ints({1, 2})}});
    check_kernel({"Slice", {}, {x, ints({-1}), ints({-100}), ints({2}), ints({-1})}});
    check_kernel({"Expand", {}, {of(dtype, {3, 1, 5}), ints({2, 3, 4, 5})}});
    check_kernel({"Tile", {}, {of(dtype, {3, 1, 5}), ints({2, 3, 2})}});
    check_kernel({"Pad", {}, {of(dtype, {3, 2, 5}), ints({1, 0, 2, 0, 3, 1})}});
    check_kernel({"Pad", {}, {of(dtype, {3, 2, 8}), ints({0, 1, -2, 0, -2, 0})}});
  }
  check_kernel(
      {"Pad", {}, {input({3, 4}), ints({1, 1, 0, 2}), {.dims = {}, .constant = true, .values = {-7}}}});
  check_kernel({"Pad",
                {{"mode", std::string("constant")}, {"pads", Ints{0, 1, 1, 0}}, {"value", 2.5f}},
                {input({3, 4})},
                10});
  check_kernel({.op = "Split",
                .attributes = {{"axis", int64_t{1}}},
                .operands = {input({2, 7, 3}), ints({2, 1, 4})},
                .outputs = 3});
  for (const auto& [dims, perm] :
       std::vector<std::pair<Dims, Ints>>{{{70, 90}, {1, 0}},
                                          {{3, 40, 33}, {0, 2, 1}},
                                          {{33, 2, 70}, {2, 1, 0}},
                                          {{2, 9, 3, 16}, {0, 3, 2, 1}},
                                          {{2, 2, 2, 3, 2, 2, 2, 2}, {7, 5, 3, 1, 0, 2, 4, 6}}}) {
    for (DType dtype : {DType::kFloat32, DType::kUint8, DType::kInt64})
      check_kernel({"Transpose", {{"perm", perm}}, {of(dtype, dims)}});
  }
  check_kernel({"DepthToSpace", {{"blocksize", int64_t{2}}}, {input({1, 8, 3, 4})}});
  check_kernel(
      {"DepthToSpace", {{"blocksize", int64_t{2}}, {"mode", std::string("CRD")}}, {input({1, 8, 3, 4})}});
  check_kernel({"SpaceToDepth", {{"blocksize", int64_t{2}}}, {input({2, 3, 4, 6})}});
  // Large enough not to be folded.
  check_kernel({"ConstantOfShape", {}, {ints({300, 700})}});
  // More parts than one launch takes.
  Case many{"Concat", {{"axis", int64_t{1}}}, {}};
  for (int i = 0; i < 70; ++i) many.operands.push_back(input({2, i % 2 + 1, 4}));
  check_kernel(many);
}

}  // namespace
}  // namespace mts::exec::cuda
