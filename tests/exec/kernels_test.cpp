// Kernels of the CPU backend against the reference evaluator (see harness.h).
#include "tests/exec/harness.h"

#include <cmath>

#include <gtest/gtest.h>

namespace mts::exec {
namespace {

using Ints = std::vector<int64_t>;

TEST(Kernels, Unary) {
  for (const char* op : {"Relu",        "Sigmoid",    "Tanh",     "Exp",  "Abs",   "Neg",       "Erf",
                         "HardSwish",   "Softplus",   "Floor",    "Ceil", "Round", "LeakyRelu", "Elu",
                         "HardSigmoid", "Reciprocal", "Identity", "Selu", "Celu",  "Softsign",  "Mish",
                         "Sin",         "Cos",        "Atan",     "Sign"}) {
    for (const Dims& dims :
         {Dims{}, Dims{1}, Dims{7}, Dims{2, 3, 5}, Dims{1, 16, 33, 31}, Dims{4, 100, 200}, Dims{0, 3}}) {
      check({op, {}, {input(dims)}});
    }
  }
  const std::vector<double> positive = {0, 1e-38, 1e-6, 0.3, 1, 2, 1e4, 3e38};
  for (const char* op : {"Sqrt", "Log"}) check({op, {}, {{.dims = {8}, .values = positive}}});
  const std::vector<double> wide = {-200, -90,  -88,  -20, -1e-3, -1e-8, 0,  1e-8,
                                    1e-3, 0.62, 0.63, 5,   20,    88,    90, 200};
  for (const char* op :
       {"Exp", "Sigmoid", "Tanh", "Erf", "Softplus", "Elu", "Selu", "Mish", "Sin", "Cos", "Atan"})
    check({op, {}, {{.dims = {16}, .values = wide}}});
  for (float alpha : {1.f, 0.3f, 4.f}) check({"Celu", {{"alpha", alpha}}, {{.dims = {16}, .values = wide}}});
  check({.op = "Celu", .attributes = {{"alpha", -1.f}}, .operands = {input({3, 4})}, .on_host = true});
  check({"Selu", {{"alpha", 1.f}, {"gamma", 3.f}}, {{.dims = {16}, .values = wide}}});
  for (float alpha : {1.f, 1.7f}) check({"Swish", {{"alpha", alpha}}, {{.dims = {16}, .values = wide}}, 24});
  // Beyond where the polynomials hold.
  for (const char* op : {"Sin", "Cos"})
    check({op, {}, {{.dims = {5}, .values = {8191, 8193, -1e6, 3e9, 1}}}});
}

TEST(Kernels, SpecialValues) {
  const double nan = std::nan(""), infinity = INFINITY;
  const Operand special{.dims = {6}, .values = {nan, infinity, -infinity, 0, 1, -1}};
  for (const char* op : {"Relu", "Sigmoid", "Tanh", "Exp", "Erf", "Log", "Sqrt", "LeakyRelu", "Softplus",
                         "Elu", "Selu", "Celu", "Softsign", "Mish", "Sin", "Cos", "Atan", "Sign"})
    check({op, {}, {special}});
  const Operand ties{.dims = {10},
                     .values = {-2.5, -1.5, -0.5, -0.3, 0.5, 1.5, 2.5, 4194303.5, 8388609, -1e30}};
  check({"Round", {}, {ties}});
  check({"Round", {}, {special}});
  for (const char* op : {"Max", "Min", "Add", "Mul"})
    check({op, {}, {special, {.dims = {6}, .values = {1, 1, 1, nan, 2, -2}}}});
}

TEST(Kernels, GeluHasTwoForms) {
  for (const char* form : {"none", "tanh"})
    check({"Gelu", {{"approximate", std::string(form)}}, {input({3, 50})}, 20});
}

TEST(Kernels, Broadcasting) {
  const std::vector<std::pair<Dims, Dims>> shapes = {{{2, 3, 4}, {2, 3, 4}},
                                                     {{2, 3, 4}, {4}},
                                                     {{2, 3, 4}, {3, 1}},
                                                     {{2, 3, 4}, {}},
                                                     {{1}, {5, 1, 3}},
                                                     {{2, 1, 4}, {1, 3, 1}},
                                                     {{8, 64, 14, 14}, {64, 1, 1}},
                                                     {{4, 1, 128, 3}, {4, 7, 1, 3}},
                                                     {{0, 2}, {1, 2}}};
  for (const char* op : {"Add", "Sub", "Mul", "Div", "Max", "Min"}) {
    for (const auto& [a, b] : shapes) {
      check({op, {}, {input(a), input(b)}});
      check({op, {}, {input(a), weight(b)}});
    }
  }
  check({"Pow", {}, {input({3, 4}), {.dims = {}, .constant = true, .values = {2}}}});
  check({"Pow", {}, {input({3, 4}), {.dims = {}, .constant = true, .values = {3}}}});
  check({"PRelu", {}, {input({2, 8, 5, 5}), weight({8, 1, 1})}});
}

// One value a row becomes a factor or a summand of the row.
TEST(Kernels, OneValueARow) {
  for (const Dims& operand : {Dims{8, 1, 1}, Dims{2, 8, 1, 1}, Dims{2, 1, 1, 1}, Dims{8, 5, 1}, Dims{1}}) {
    for (const char* op : {"Add", "Sub", "Mul", "Div"}) {
      check({op, {}, {input({2, 8, 5, 37}), input(operand)}});
      check({op, {}, {input(operand), input({2, 8, 5, 37})}});
    }
  }
  check({"Mul", {}, {input({1, 600}), input({3, 1})}});
  const Operand variance{.dims = {8}, .constant = true, .values = {1, 2, 3, 0.5, 0.1, 4, 5, 6}};
  for (const Dims& dims : {Dims{2, 8, 5, 37}, Dims{1, 8, 30, 40}, Dims{3, 8}, Dims{2, 8, 1, 1}})
    check({"BatchNormalization", {}, {input(dims), weight({8}), weight({8}), weight({8}), variance}, 15});
  const double nan = std::nan("");
  check({"Mul",
         {},
         {{.dims = {1, 3}, .values = {0, -0., INFINITY}}, {.dims = {3, 1}, .values = {nan, -1, 0}}}});
}

TEST(Kernels, Clip) {
  const Operand low{.dims = {}, .constant = true, .values = {-0.5}},
      high{.dims = {}, .constant = true, .values = {0.7}};
  check({"Clip", {}, {input({9, 9}), low, high}});
  check({"Clip", {}, {input({9, 9}), absent(), high}});
  check({"Clip", {}, {input({9, 9}), low}});
  check({"Clip", {{"min", -1.f}, {"max", 1.f}}, {input({9, 9})}, 10});
  check({"Clip", {}, {input({9, 9}), high, low}});
}

TEST(Kernels, Conv) {
  struct Shape {
    Dims x, w;
    int64_t group;
    Ints strides, pads, dilations;
  };
  const std::vector<Shape> shapes = {
      {{1, 3, 32, 32}, {8, 3, 3, 3}, 1, {1, 1}, {1, 1, 1, 1}, {1, 1}},
      {{4, 8, 17, 19}, {16, 8, 3, 3}, 1, {2, 2}, {1, 1, 1, 1}, {1, 1}},
      {{2, 16, 9, 9}, {32, 16, 1, 1}, 1, {1, 1}, {0, 0, 0, 0}, {1, 1}},
      {{1, 3, 40, 40}, {16, 3, 7, 7}, 1, {2, 2}, {3, 3, 3, 3}, {1, 1}},
      {{1, 32, 14, 14}, {32, 1, 3, 3}, 32, {1, 1}, {1, 1, 1, 1}, {1, 1}},     // depthwise
      {{2, 8 * 4, 8, 8}, {8 * 4, 4, 3, 3}, 8, {1, 1}, {1, 1, 1, 1}, {1, 1}},  // groups = models
      {{2, 3 * 5, 8, 8}, {3 * 7, 5, 3, 3}, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}},  // odd widths
      {{1, 4, 20, 20}, {4, 4, 3, 3}, 1, {1, 1}, {2, 2, 2, 2}, {2, 2}},
      {{1, 4, 11, 13}, {6, 4, 3, 2}, 1, {1, 2}, {0, 1, 2, 0}, {1, 1}},
      {{2, 6, 30}, {8, 3, 5}, 2, {2}, {2, 2}, {1}},  // 1-D
      {{1, 4, 6, 7, 8}, {8, 4, 3, 3, 3}, 1, {1, 1, 1}, {1, 1, 1, 1, 1, 1}, {1, 1, 1}},
      {{1, 1, 5, 5}, {1, 1, 5, 5}, 1, {1, 1}, {0, 0, 0, 0}, {1, 1}},
  };
  for (const Shape& s : shapes) {
    const std::vector<std::pair<std::string, AttributeValue>> attributes = {
        {"group", s.group}, {"strides", s.strides}, {"pads", s.pads}, {"dilations", s.dilations}};
    check({"Conv", attributes, {input(s.x), weight(s.w)}});
    check({"Conv", attributes, {input(s.x), weight(s.w), weight({s.w[0]})}});
    check({"Conv", attributes, {input(s.x), input(s.w), input({s.w[0]})}});
  }
  for (const char* pad : {"SAME_UPPER", "SAME_LOWER", "VALID"}) {
    check({"Conv",
           {{"auto_pad", std::string(pad)}, {"strides", Ints{2, 2}}},
           {input({1, 3, 10, 11}), weight({4, 3, 3, 4})}});
  }
}

TEST(Kernels, ConvTranspose) {
  check({"ConvTranspose", {{"strides", Ints{2, 2}}}, {input({1, 8, 7, 9}), weight({8, 4, 2, 2})}});
  check({"ConvTranspose",
         {{"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}, {"output_padding", Ints{1, 1}}},
         {input({2, 8, 7, 9}), weight({8, 4, 3, 3}), weight({4})}});
  check({"ConvTranspose", {{"group", int64_t{2}}}, {input({1, 8, 5, 5}), weight({8, 3, 3, 3}), weight({6})}});
  check({"ConvTranspose", {{"strides", Ints{3}}}, {input({1, 2, 6}), weight({2, 3, 4})}});
  check({"ConvTranspose",
         {{"strides", Ints{3, 2}}, {"output_shape", Ints{10, 8}}},
         {input({1, 1, 3, 3}), weight({1, 2, 3, 3})}});
}

TEST(Kernels, Pools) {
  for (const char* op : {"MaxPool", "AveragePool"}) {
    check({op,
           {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}},
           {input({2, 5, 16, 17})}});
    check({op, {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}}, {input({1, 16, 8, 8})}});
    check({op,
           {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}, {"ceil_mode", int64_t{1}}},
           {input({1, 3, 8, 8})}});
    check({op, {{"kernel_shape", Ints{3}}, {"strides", Ints{1}}}, {input({2, 3, 10})}});
    check({op, {{"kernel_shape", Ints{2, 2, 2}}}, {input({1, 2, 5, 5, 5})}});
  }
  check({"AveragePool",
         {{"kernel_shape", Ints{3, 3}}, {"pads", Ints{1, 1, 1, 1}}, {"count_include_pad", int64_t{1}}},
         {input({2, 5, 9, 9})}});
  for (const char* op : {"GlobalAveragePool", "GlobalMaxPool"}) {
    check({op, {}, {input({2, 33, 7, 7})}});
    check({op, {}, {input({2, 3, 9})}});
  }
}

TEST(Kernels, MatMul) {
  const std::vector<std::pair<Dims, Dims>> shapes = {
      {{5, 7}, {7, 3}},
      {{2, 5, 7}, {7, 3}},
      {{2, 3, 5, 7}, {7, 4}},
      {{4, 5, 7}, {4, 7, 3}},
      {{4, 6, 5, 8}, {4, 1, 8, 3}},  // models x batch x rows, one weight a model
      {{1, 5, 8}, {6, 8, 3}},
      {{2, 1, 5, 8}, {1, 3, 8, 4}},
      {{2, 3, 5, 8}, {2, 3, 8, 4}},
      {{8, 1, 32}, {8, 32, 16}},
      {{7}, {7, 3}},
      {{5, 7}, {7}},
      {{7}, {7}},
      {{2, 3, 7}, {7}},
      {{1, 64}, {64, 10}},
      {{16, 128}, {128, 96}}};
  for (const auto& [a, b] : shapes) {
    check({"MatMul", {}, {input(a), input(b)}});
    check({"MatMul", {}, {input(a), weight(b)}});
  }
}

TEST(Kernels, Einsum) {
  const std::vector<std::pair<std::string, std::pair<Dims, Dims>>> cases = {
      {"bhid,bhjd->bhij", {{2, 3, 5, 8}, {2, 3, 7, 8}}},
      {"bhij,bhjd->bhid", {{2, 3, 5, 7}, {2, 3, 7, 8}}},
      {"bihd,bjhd->bhij", {{2, 5, 3, 8}, {2, 7, 3, 8}}},
      {"b h i j , b j h d -> b i h d", {{2, 3, 5, 7}, {2, 7, 3, 8}}},
      {"bij,jk->bik", {{4, 17, 19}, {19, 33}}},
      {"bij,kj->bik", {{4, 17, 19}, {33, 19}}},
      {"bhwc,hkc->bhwk", {{2, 3, 5, 7}, {3, 6, 7}}},
      {"ij,ij->", {{3, 4}, {3, 4}}},
      {"i,j->ij", {{3}, {4}}},
      {"i,i->i", {{5}, {5}}},
      {"bcij,bcjk->bkci", {{2, 3, 4, 5}, {2, 3, 5, 6}}},
      {"ki,kj->ij", {{9, 4}, {9, 5}}},
      {"abc,cbd->ad", {{3, 4, 5}, {5, 4, 6}}},
  };
  for (const auto& [equation, dims] : cases) {
    check({"Einsum", {{"equation", equation}}, {input(dims.first), input(dims.second)}});
    check({"Einsum", {{"equation", equation}}, {input(dims.first), weight(dims.second)}});
  }
  // A repeated letter, and a sum over one operand only.
  for (const char* equation : {"ij,jj->ij", "ij,jk->i"}) {
    check({.op = "Einsum",
           .attributes = {{"equation", std::string(equation)}},
           .operands = {input({3, 4}), input({4, 4})},
           .on_host = true});
  }
}

TEST(Kernels, Gemm) {
  for (int64_t ta : {0, 1}) {
    for (int64_t tb : {0, 1}) {
      const Dims a = ta != 0 ? Dims{7, 5} : Dims{5, 7}, b = tb != 0 ? Dims{9, 7} : Dims{7, 9};
      for (const Dims& c : {Dims{9}, Dims{1, 9}, Dims{5, 9}}) {
        check({"Gemm", {{"transA", ta}, {"transB", tb}}, {input(a), weight(b), weight(c)}});
        check({"Gemm",
               {{"transA", ta}, {"transB", tb}, {"alpha", 0.5f}, {"beta", 2.f}},
               {input(a), weight(b), weight(c)}});
        check({"Gemm", {{"transA", ta}, {"transB", tb}}, {input(a), input(b), input(c)}});
      }
      check({"Gemm", {{"transA", ta}, {"transB", tb}}, {input(a), weight(b)}});
    }
  }
  check({.op = "Gemm",
         .attributes = {},
         .operands = {input({5, 7}), weight({7, 9}), weight({5, 1})},
         .on_host = true});
}

TEST(Kernels, Softmax) {
  for (const char* op : {"Softmax", "LogSoftmax"}) {
    check({op, {{"axis", int64_t{-1}}}, {input({3, 4, 17})}});
    check({op, {{"axis", int64_t{2}}}, {input({2, 100, 33})}});
    check({op, {{"axis", int64_t{1}}}, {input({2, 3, 5})}, 11});
  }
  // Along an inner axis.
  for (const char* op : {"Softmax", "LogSoftmax"}) {
    for (const Dims& dims : {Dims{2, 3, 5}, Dims{1, 21, 300}, Dims{3, 1, 4}, Dims{2, 7, 4, 65}})
      check({op, {{"axis", int64_t{1}}}, {input(dims)}});
    check({op,
           {{"axis", int64_t{0}}},
           {{.dims = {2, 3}, .values = {-INFINITY, 1e4, std::nan(""), 1, -1e4, 2}}}});
  }
}

TEST(Kernels, Normalisations) {
  check({"LayerNormalization", {{"axis", int64_t{-1}}}, {input({2, 7, 48}), weight({48}), weight({48})}});
  check({"LayerNormalization", {{"axis", int64_t{1}}}, {input({2, 7, 5}), weight({7, 5})}});
  check({"InstanceNormalization", {}, {input({2, 6, 5, 5}), weight({6}), weight({6})}});
  check({"GroupNormalization",
         {{"num_groups", int64_t{3}}},
         {input({2, 6, 5, 5}), weight({6}), weight({6})},
         21});
  const Operand variance{.dims = {6}, .constant = true, .values = {0.1, 0.5, 1, 1.5, 2, 3}};
  check({"BatchNormalization", {}, {input({2, 6, 5, 5}), weight({6}), weight({6}), weight({6}), variance}});
  check({"BatchNormalization",
         {{"epsilon", 0.1f}},
         {input({3, 6}), weight({6}), weight({6}), weight({6}), variance}});
}

TEST(Kernels, Reductions) {
  for (const char* op : {"ReduceMean", "ReduceMax", "ReduceMin", "ReduceL2", "ReduceL1", "ReduceSumSquare"}) {
    for (int64_t keep : {0, 1}) {
      check({op, {{"axes", Ints{2, 3}}, {"keepdims", keep}}, {input({2, 17, 7, 7})}, 13});
      check({op, {{"axes", Ints{-1}}, {"keepdims", keep}}, {input({4, 5, 65})}, 13});
      check({op, {{"axes", Ints{0}}, {"keepdims", keep}}, {input({4, 5, 300})}, 13});
      check({op, {{"axes", Ints{0, 2}}, {"keepdims", keep}}, {input({4, 5, 6})}, 13});
      check({op, {{"keepdims", keep}}, {input({4, 5, 6})}, 13});
    }
    check({op, {}, {input({2, 3, 4}), ints({1})}});
  }
  check({"ReduceSum", {}, {input({2, 3, 4}), ints({0, 2})}, 13});
}

// Rows on both sides of whole vectors, with a NaN anywhere.
TEST(Kernels, ExtremaOfRows) {
  for (int64_t length : {1, 5, 15, 16, 17, 63, 64, 65, 100, 130}) {
    for (const char* op : {"ReduceMax", "ReduceMin", "ReduceSum", "ReduceSumSquare"}) {
      for (int64_t nan : {int64_t{-1}, int64_t{0}, length / 2, length - 1}) {
        std::vector<double> values;
        for (int64_t i = 0; i < 2 * length; ++i)
          values.push_back(i == nan ? std::nan("") : static_cast<double>(i * 7 % 31) - 40);
        check({op, {{"keepdims", int64_t{0}}}, {{.dims = {2, length}, .values = values}, ints({1})}, 18});
      }
    }
    for (const char* op : {"Softmax", "LogSoftmax"}) check({op, {}, {input({3, length})}});
  }
}

TEST(Kernels, DynamicQuantisation) {
  const auto quantise = [](Operand x) {
    check({.op = "DynamicQuantizeLinear", .attributes = {}, .operands = {std::move(x)}, .outputs = 3});
  };
  for (const Dims& dims : {Dims{1}, Dims{7}, Dims{3, 50}, Dims{9, 4001}}) quantise(input(dims));
  quantise({.dims = {4}, .values = {0, 0, 0, 0}});
  quantise({.dims = {5}, .values = {1, 2, 3, 0.5, 255}});
  quantise({.dims = {5}, .values = {-1, -2, -3, -0.5, -127.5}});
}

TEST(Kernels, IntegerMatMul) {
  const auto bytes = [](Dims dims, DType dtype, bool constant) {
    std::vector<double> values;
    for (int64_t i = 0; i < element_count(dims); ++i)
      values.push_back(static_cast<double>(i * 37 % 256 - (dtype == DType::kInt8 ? 128 : 0)));
    return Operand{.dims = std::move(dims), .constant = constant, .dtype = dtype, .values = values};
  };
  for (DType dtype : {DType::kUint8, DType::kInt8}) {
    const Operand zero{.dims = {}, .dtype = dtype, .values = {101}},
        none{.dims = {}, .constant = true, .dtype = DType::kInt8, .values = {0}};
    for (const auto& [a, b] :
         {std::pair<Dims, Dims>{{1, 24}, {24, 48}}, {{3, 5, 33}, {33, 17}}, {{2, 1, 7, 9}, {2, 3, 9, 4}}}) {
      const Operand left = bytes(a, dtype, false), right = bytes(b, DType::kInt8, true);
      check({.op = "MatMulInteger", .attributes = {}, .operands = {left, right}});
      check({.op = "MatMulInteger", .attributes = {}, .operands = {left, right, zero}});
      check({.op = "MatMulInteger", .attributes = {}, .operands = {left, right, zero, none}});
    }
    const Operand left = bytes({4, 6}, dtype, false),
                  one{.dims = {}, .constant = true, .dtype = DType::kInt8, .values = {1}};
    for (const Operand& right : {bytes({6, 3}, DType::kUint8, true), bytes({6, 3}, DType::kInt8, false)})
      check({.op = "MatMulInteger", .attributes = {}, .operands = {left, right}, .on_host = true});
    check({.op = "MatMulInteger",
           .attributes = {},
           .operands = {left, bytes({6, 3}, DType::kInt8, true), zero, one},
           .on_host = true});
  }
}

TEST(Kernels, Movement) {
  for (DType dtype : {DType::kFloat32, DType::kInt64, DType::kUint8, DType::kInt16}) {
    const Operand x{.dims = {2, 3, 4, 5}, .dtype = dtype};
    for (const Ints& perm : {Ints{0, 2, 1, 3}, Ints{3, 2, 1, 0}, Ints{0, 1, 3, 2}, Ints{1, 0, 2, 3}})
      check({"Transpose", {{"perm", perm}}, {x}});
    for (int64_t axis : {0, 1, 3}) {
      check({"Concat", {{"axis", axis}}, {x, x, x}});
      check({.op = "Split", .attributes = {{"axis", axis}}, .operands = {x}, .opset = 17, .outputs = 2});
    }
    check({"Slice", {}, {x, ints({0, 1}), ints({2, 4}), ints({1, 3}), ints({1, 2})}});
    check({"Slice", {}, {x, ints({-1}), ints({-100}), ints({2}), ints({-1})}});
    check({"Expand", {}, {{.dims = {3, 1, 5}, .dtype = dtype}, ints({2, 3, 4, 5})}});
    check({"Reshape", {}, {x, ints({0, -1, 5})}});
    check({"Flatten", {{"axis", int64_t{2}}}, {x}});
    check({"Unsqueeze", {}, {x, ints({0, -1})}});
    check({"Squeeze", {}, {{.dims = {1, 3, 1}, .dtype = dtype}, ints({0})}});
  }
  check({.op = "Split",
         .attributes = {{"axis", int64_t{1}}},
         .operands = {input({2, 7, 3}), ints({2, 1, 4})},
         .outputs = 3});
  check({"Transpose", {}, {input({70, 90})}});
  check({"Transpose", {{"perm", Ints{0, 2, 3, 1}}}, {input({2, 17, 9, 5})}});
  check({"Transpose", {{"perm", Ints{0, 3, 1, 2}}}, {input({2, 9, 5, 17})}});
  check({"Transpose", {{"perm", Ints{0, 3, 1, 2}}}, {input({2, 30, 41, 3})}});
  check({"Transpose", {{"perm", Ints{0, 2, 3, 1}}}, {input({2, 3, 30, 41})}});
  check({"SpaceToDepth", {{"blocksize", int64_t{2}}}, {input({2, 3, 4, 6})}});
  for (const char* equation : {"bchw->bhwc", " b c h w -> w h c b ", "abcd->abcd"})
    check({"Einsum", {{"equation", std::string(equation)}}, {input({2, 3, 4, 5})}});
  for (const char* equation : {"bchw->bhw", "...hw->...wh", "bchw"}) {
    check({.op = "Einsum",
           .attributes = {{"equation", std::string(equation)}},
           .operands = {input({2, 3, 4, 5})},
           .on_host = true});
  }
  check({"DepthToSpace", {{"blocksize", int64_t{2}}}, {input({1, 8, 3, 4})}});
  check({"DepthToSpace", {{"blocksize", int64_t{2}}, {"mode", std::string("CRD")}}, {input({1, 8, 3, 4})}});
}

TEST(Kernels, Resize) {
  const Operand scales{.dims = {4}, .constant = true, .values = {1, 1, 2, 1.7}};
  for (const char* mode : {"nearest", "linear"}) {
    for (const char* transform :
         {"half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric"}) {
      const std::vector<std::pair<std::string, AttributeValue>> attributes = {
          {"mode", std::string(mode)}, {"coordinate_transformation_mode", std::string(transform)}};
      check({"Resize", attributes, {input({2, 3, 5, 7}), absent(), scales}, 19});
      check({"Resize", attributes, {input({2, 3, 5, 7}), absent(), absent(), ints({2, 3, 3, 10})}, 19});
      check({"Resize", attributes, {input({1, 3, 1, 6}), absent(), absent(), ints({1, 3, 4, 1})}, 19});
    }
    check({"Resize", {{"mode", std::string(mode)}}, {input({2, 3, 5, 7}), scales}, 10});
    check({"Upsample", {{"mode", std::string(mode)}}, {input({2, 3, 5, 7}), scales}, 9});
    // Wider than what is blended at once.
    check({"Resize",
           {{"mode", std::string(mode)}},
           {input({1, 1, 2, 2100}), absent(), absent(), ints({1, 1, 5, 2200})},
           19});
  }
  for (const char* nearest : {"floor", "ceil", "round_prefer_ceil", "round_prefer_floor"}) {
    check({"Resize",
           {{"nearest_mode", std::string(nearest)}},
           {input({1, 2, 6, 6}), absent(), absent(), ints({1, 2, 4, 9})},
           19});
  }
  check({.op = "Resize",
         .attributes = {{"mode", std::string("cubic")}},
         .operands = {input({1, 2, 6, 6}), absent(), absent(), ints({1, 2, 4, 9})},
         .opset = 19,
         .on_host = true});
}

TEST(Kernels, Gather) {
  const Operand picks{.dims = {2, 3}, .dtype = DType::kInt64, .values = {0, 3, -1, 2, 1, 0}};
  for (int64_t axis : {0, 1, -1}) check({"Gather", {{"axis", axis}}, {weight({4, 5, 6}), picks}});
}

TEST(Kernels, GatherRefusesIndicesOutOfRange) {
  std::vector<Datum> inputs;
  const Model model = model_of(
      {"Gather", {}, {weight({4, 5}), {.dims = {1}, .dtype = DType::kInt64, .values = {4}}}}, inputs);
  auto session = create_session(model, {});
  ASSERT_TRUE(session.has_value());
  const auto outputs = (*session)->run(inputs);
  ASSERT_FALSE(outputs.has_value());
  EXPECT_EQ(outputs.error().code, ErrorCode::kModel);
}

TEST(Kernels, TheRestRunsOnTheHost) {
  check({.op = "Dropout",
         .attributes = {},
         .operands = {input({3, 4})},
         .opset = 13,
         .outputs = 2,
         .on_host = true});
  check({.op = "CumSum",
         .attributes = {},
         .operands = {input({3, 4}), {.dims = {}, .dtype = DType::kInt64, .values = {1}}},
         .on_host = true});
  check({.op = "Div",
         .attributes = {},
         .operands = {{.dims = {3}, .dtype = DType::kInt64, .values = {1, 2, 3}},
                      {.dims = {3}, .dtype = DType::kInt64, .values = {0, 2, 2}}},
         .on_host = true});
  check({.op = "NonZero", .attributes = {}, .operands = {input({3, 4})}, .on_host = true});
}

}  // namespace
}  // namespace mts::exec
