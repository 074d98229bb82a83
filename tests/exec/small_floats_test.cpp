// float16 and bfloat16 on the CPU: the conversions against the reference, and models that run in float32.
#include "exec/cpu/tile_ops.h"
#include "exec/widen.h"
#include "ref/formats.h"
#include "tests/exec/harness.h"

#include <cmath>
#include <cstring>
#include <limits>

#include <gtest/gtest.h>

namespace mts::exec {
namespace {

Operand half(Dims dims, bool constant = false) {
  return {.dims = std::move(dims), .constant = constant, .dtype = DType::kFloat16};
}

TEST(SmallFloats, EveryFloat16IsRead) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const auto given = static_cast<uint16_t>(bits);
    float got = 0;
    tile_ops().from_half(&got, &given, 1);
    const float expected = ref::decode_float(DType::kFloat16, bits);
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(got)) << bits;
    } else {
      EXPECT_EQ(std::memcmp(&expected, &got, sizeof(float)), 0) << bits << ": " << got;
    }
  }
}

TEST(SmallFloats, Float16IsRoundedToNearestEven) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  std::vector<float> values = {0.f, -0.f, kInfinity, -kInfinity, 65504.f, 65519.9f, 65520.f, 1e30f, 1e-8f};
  for (uint32_t bits = 0; bits < 0x7c00; ++bits) {
    const float low = ref::decode_float(DType::kFloat16, bits),
                high = ref::decode_float(DType::kFloat16, bits + 1);
    const float tie = std::isinf(high) ? 65520.f : (low + high) / 2;
    for (float x : {low, std::nextafter(tie, 0.f), tie, std::nextafter(tie, kInfinity)}) {
      values.push_back(x);
      values.push_back(-x);
    }
  }
  std::vector<uint16_t> got(values.size());
  tile_ops().to_half(got.data(), values.data(), static_cast<int64_t>(values.size()));
  for (size_t i = 0; i < values.size(); ++i)
    ASSERT_EQ(got[i], ref::encode_float(DType::kFloat16, values[i], false)) << values[i];
  const float nan = std::numeric_limits<float>::quiet_NaN();
  uint16_t bits = 0;
  tile_ops().to_half(&bits, &nan, 1);
  EXPECT_TRUE(std::isnan(ref::decode_float(DType::kFloat16, bits)));
}

TEST(SmallFloats, Cast) {
  const auto cast = [](DType from, DType to, bool on_host) {
    check({.op = "Cast",
           .attributes = {{"to", static_cast<int64_t>(to)}},
           .operands = {{.dims = {3, 7, 41}, .dtype = from}},
           .on_host = on_host});
  };
  for (DType from : {DType::kFloat16, DType::kBfloat16}) cast(from, DType::kFloat32, false);
  for (DType to : {DType::kFloat16, DType::kBfloat16, DType::kFloat64, DType::kBool})
    cast(DType::kFloat32, to, false);
  for (DType from : {DType::kInt64, DType::kInt32}) {
    for (DType to : {DType::kFloat32, DType::kInt64, DType::kInt32, DType::kBool}) cast(from, to, false);
  }
  cast(DType::kFloat32, DType::kInt64, true);  // what is out of range is the reference's affair
}

TEST(SmallFloats, ModelsComputeInFloat32) {
  for (const Case& c : {Case{"Conv", {}, {half({2, 8, 9, 9}), half({8, 8, 3, 3}, true)}},
                        Case{"MatMul", {}, {half({4, 16}), half({16, 5}, true)}},
                        Case{"Add", {}, {half({3, 4}), half({4})}}}) {
    std::vector<Datum> inputs;
    Model model = model_of(c, inputs);
    model.graph.value(model.graph.outputs()[0]).type = Type::tensor(DType::kFloat16);
    expect_same_on_cpu(model, inputs, c.op);
    const auto widened = widen_small_floats(model);
    ASSERT_TRUE(widened.has_value() && *widened);
    ASSERT_TRUE(model.graph.sort().has_value());
    for (const Step& step : cpu_plan(model, inputs).steps) EXPECT_NE(step.kind, StepKind::kHost) << step.op;
    EXPECT_EQ(model.graph.value(model.graph.outputs()[0]).type.dtype, DType::kFloat16);
  }
}

TEST(SmallFloats, WhatIsNotKnownStaysAsItIs) {
  for (const char* op : {"Mish", "Relu"}) {
    const Case c = {.op = op, .attributes = {}, .operands = {half({3, 4})}};
    std::vector<Datum> inputs;
    Model model = model_of(c, inputs);
    // An operator that is not known, then an output whose type is not.
    if (c.op == "Mish") model.graph.value(model.graph.outputs()[0]).type = Type::tensor(DType::kFloat16);
    const auto widened = widen_small_floats(model);
    ASSERT_TRUE(widened.has_value());
    EXPECT_FALSE(*widened);
    EXPECT_EQ(model.graph.order().size(), 1u);
  }
}

}  // namespace
}  // namespace mts::exec
