// As kernels_test.cpp: what moves, compares and counts, over several element types.
#include "tests/exec/harness.h"

#include <cmath>

#include <gtest/gtest.h>

namespace mts::exec {
namespace {

TEST(DataKernels, OtherTypes) {
  const std::vector<std::pair<Dims, Dims>> shapes = {
      {{2, 3, 40}, {2, 3, 40}}, {{2, 3, 40}, {40}}, {{2, 3, 40}, {3, 1}}, {{2, 3, 40}, {}}, {{}, {2, 3, 40}},
      {{2, 1, 4}, {1, 3, 1}},   {{}, {}},           {{5000}, {2, 1}}};
  for (const auto& [a, b] : shapes) {
    for (DType dtype : {DType::kFloat32, DType::kInt64, DType::kInt32}) {
      const Operand x{.dims = a, .dtype = dtype}, y{.dims = b, .dtype = dtype};
      for (const char* op : {"Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"})
        check({op, {}, {x, y}});
      if (dtype == DType::kFloat32) continue;
      for (const char* op : {"Add", "Sub", "Mul"}) check({op, {}, {x, y}});
    }
    const Operand p{.dims = a, .dtype = DType::kBool}, q{.dims = b, .dtype = DType::kBool};
    for (const char* op : {"And", "Or", "Xor", "Equal"}) check({op, {}, {p, q}});
    check({"Not", {}, {p}});
    for (DType dtype : {DType::kFloat32, DType::kInt64, DType::kUint8, DType::kFloat16}) {
      const Operand x{.dims = a, .dtype = dtype}, y{.dims = b, .dtype = dtype};
      check({"Where", {}, {p, x, y}});
      check({"Where", {}, {q, x, y}});
      check({"Where", {}, {{.dims = {1, 1}, .dtype = DType::kBool}, x, {.dims = {}, .dtype = dtype}}});
    }
  }
  const Operand special{.dims = {6}, .values = {std::nan(""), INFINITY, -INFINITY, 0, 1, -1}};
  check({"IsNaN", {}, {special}});
  for (const char* op : {"Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"})
    check({op, {}, {special, {.dims = {6}, .values = {1, INFINITY, 0, -0., std::nan(""), -2}}}});
  // Wrapping around.
  const Operand large{.dims = {2}, .dtype = DType::kInt64, .values = {9e18, -9e18}};
  for (const char* op : {"Add", "Mul"}) check({op, {}, {large, large}});
}

TEST(DataKernels, Pad) {
  for (DType dtype : {DType::kFloat32, DType::kInt64, DType::kUint8}) {
    const Operand x{.dims = {2, 3, 5, 7}, .dtype = dtype};
    for (const char* mode : {"constant", "edge", "reflect", "wrap"}) {
      const std::vector<std::pair<std::string, AttributeValue>> attributes = {{"mode", std::string(mode)}};
      for (const std::vector<double>& pads : {std::vector<double>{0, 0, 1, 2, 0, 0, 3, 1},
                                              {0, 0, 2, 0, 0, 0, 1, 0},
                                              {0, 1, 0, 0, 1, 1, 0, 0},
                                              {0, 0, 0, 0, 0, 0, 0, 0},
                                              {0, -1, -2, 1, 0, 0, 1, -3},
                                              {0, 0, 4, 6, 0, 0, 4, 6}})
        check({"Pad", attributes, {x, ints(pads)}, 19});
      check({"Pad", attributes, {x, ints({1, 2}), absent(), ints({-1})}, 19});
    }
    check(
        {"Pad",
         {},
         {x, ints({0, 0, 1, 1, 0, 0, 1, 1}), {.dims = {}, .constant = true, .dtype = dtype, .values = {3}}}});
    check({"Pad", {}, {x, ints({0, 0, 1, 1, 0, 0, 1, 1}), {.dims = {}, .dtype = dtype, .values = {3}}}});
  }
}

TEST(DataKernels, Trilu) {
  for (const Dims& dims : {Dims{5, 7}, Dims{2, 7, 5}, Dims{1, 1, 40, 40}}) {
    for (int64_t upper : {0, 1}) {
      check({"Trilu", {{"upper", upper}}, {input(dims)}});
      for (double k : {-100, -2, 0, 1, 6, 100})
        check({"Trilu", {{"upper", upper}}, {{.dims = dims, .dtype = DType::kInt64}, ints({k})}});
    }
  }
}

TEST(DataKernels, CumSum) {
  for (DType dtype : {DType::kFloat32, DType::kInt64, DType::kInt32}) {
    for (double axis : {0, 1, -1}) {
      for (int64_t flags : {0, 1, 2, 3}) {
        check({"CumSum",
               {{"exclusive", flags & 1}, {"reverse", flags >> 1}},
               {{.dims = {3, 5, 18}, .dtype = dtype},
                {.dims = {}, .constant = true, .dtype = DType::kInt64, .values = {axis}}}});
      }
    }
  }
}

TEST(DataKernels, GatherElements) {
  for (DType dtype : {DType::kFloat32, DType::kInt64, DType::kUint8}) {
    for (DType index : {DType::kInt64, DType::kInt32}) {
      for (int64_t axis : {0, 1, -1}) {
        const Operand picks{.dims = {3, 2, 4}, .dtype = index};
        check({"GatherElements", {{"axis", axis}}, {{.dims = {4, 4, 5}, .dtype = dtype}, picks}});
      }
    }
  }
  check({"GatherElements", {}, {input({4}), {.dims = {3}, .dtype = DType::kInt64, .values = {-4, -1, 3}}}});
  std::vector<Datum> inputs;
  const Model model = model_of({"GatherElements",
                                {{"axis", int64_t{1}}},
                                {weight({4, 5}), {.dims = {1, 1}, .dtype = DType::kInt64, .values = {5}}}},
                               inputs);
  auto session = create_session(model, {});
  ASSERT_TRUE(session.has_value());
  const auto outputs = (*session)->run(inputs);
  ASSERT_FALSE(outputs.has_value());
  EXPECT_EQ(outputs.error().code, ErrorCode::kModel);
}

}  // namespace
}  // namespace mts::exec
