// Own CUDA kernels for products and convolutions, through the shim, against the reference evaluator; and
// their epilogues.
#include "tests/exec/cuda/harness.h"
#include "tests/exec/cuda/shim_backend.h"

#include <mts/executor.h>

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

namespace mts::exec::cuda {
namespace {

using Ints = std::vector<int64_t>;

Operand of(DType dtype, Dims dims) { return {.dims = std::move(dims), .dtype = dtype}; }

TEST(CudaKernels, MatMul) {
  const std::vector<std::pair<Dims, Dims>> shapes = {{{5, 7}, {7, 3}},
                                                     {{2, 5, 7}, {7, 3}},
                                                     {{2, 3, 5, 7}, {7, 4}},
                                                     {{4, 5, 7}, {4, 7, 3}},
                                                     {{4, 6, 5, 8}, {4, 1, 8, 3}},
                                                     {{1, 5, 8}, {6, 8, 3}},
                                                     {{2, 1, 5, 8}, {1, 3, 8, 4}},
                                                     {{2, 3, 5, 8}, {2, 3, 8, 4}},
                                                     {{8, 1, 32}, {8, 32, 16}},
                                                     {{7}, {7, 3}},
                                                     {{5, 7}, {7}},
                                                     {{7}, {7}},
                                                     {{2, 3, 7}, {7}},
                                                     {{1, 64}, {64, 10}},
                                                     {{70, 33}, {33, 130}},
                                                     {{100, 40}, {40, 9}},
                                                     {{3, 0}, {0, 4}},
                                                     {{0, 5}, {5, 4}}};
  for (const auto& [a, b] : shapes) {
    check_kernel({"MatMul", {}, {input(a), input(b)}});
    check_kernel({"MatMul", {}, {input(a), weight(b)}});
    for (DType dtype : {DType::kFloat16, DType::kBfloat16})
      check_kernel({"MatMul", {}, {of(dtype, a), of(dtype, b)}, 22});
  }
}

TEST(CudaKernels, Gemm) {
  for (int64_t ta : {0, 1}) {
    for (int64_t tb : {0, 1}) {
      const Dims a = ta != 0 ? Dims{7, 5} : Dims{5, 7}, b = tb != 0 ? Dims{9, 7} : Dims{7, 9};
      for (const Dims& c : {Dims{9}, Dims{1, 9}, Dims{5, 9}, Dims{5, 1}, Dims{}}) {
        check_kernel({"Gemm", {{"transA", ta}, {"transB", tb}}, {input(a), weight(b), weight(c)}});
        check_kernel(
            {"Gemm", {{"transA", ta}, {"transB", tb}, {"alpha", 0.5f}}, {input(a), input(b), input(c)}});
      }
      check_kernel({"Gemm", {{"transA", ta}, {"transB", tb}}, {input(a), weight(b)}});
    }
  }
}

// Wide enough for the tensor cores' tiles; odd sizes end within a tile, and within a load of 16 bytes.
TEST(CudaKernels, TensorCoreProducts) {
  for (const auto& [a, b] : std::vector<std::pair<Dims, Dims>>{{{64, 64}, {64, 64}},
                                                               {{33, 45}, {45, 50}},
                                                               {{3, 70, 16}, {16, 130}},
                                                               {{2, 40, 24}, {2, 24, 37}}}) {
    check_kernel({"MatMul", {}, {input(a), input(b)}}, kTf32);
    for (DType dtype : {DType::kFloat16, DType::kBfloat16})
      check_kernel({"MatMul", {}, {of(dtype, a), of(dtype, b)}, 22});
  }
  for (int64_t ta : {0, 1}) {
    for (int64_t tb : {0, 1}) {
      const Dims a = ta != 0 ? Dims{40, 65} : Dims{65, 40}, b = tb != 0 ? Dims{66, 40} : Dims{40, 66};
      const std::vector<std::pair<std::string, AttributeValue>> attributes = {
          {"transA", ta}, {"transB", tb}, {"alpha", 0.5f}};
      check_kernel({"Gemm", attributes, {input(a), input(b), input({66})}}, kTf32);
      check_kernel({"Gemm",
                    attributes,
                    {of(DType::kFloat16, a), of(DType::kFloat16, b), of(DType::kFloat16, {65, 66})},
                    22});
    }
  }
}

// The sum of a product of numbers with more than TF32's 10 bits.
double error_of(const std::string& op, std::vector<Operand> operands, const ShimPrecision& precision) {
  std::vector<Datum> inputs;
  const Model model = model_of({op, {}, std::move(operands)}, inputs);
  const auto reference = create_session(model, {.device = "ref", .threads = 1});
  const auto session = make_shim_session(model, nullptr, precision.held, precision.tf32);
  const auto expected = (*reference)->run(inputs), actual = (*session)->run(inputs);
  const Tensor &e = *expected->front().tensor(), &a = *actual->front().tensor();
  double worst = 0, largest = 0;
  for (int64_t i = 0; i < e.element_count(); ++i) {
    worst = std::max(worst, std::abs(static_cast<double>(e.as<float>()[i]) - a.as<float>()[i]));
    largest = std::max(largest, std::abs(static_cast<double>(e.as<float>()[i])));
  }
  return worst / largest;
}

TEST(CudaKernels, ProductsRoundToTf32WhereThatIsAllowedAndOnlyThere) {
  const std::vector<Operand> matmul = {input({48, 64}), input({64, 48})},
                             conv = {input({1, 16, 9, 9}), weight({40, 16, 3, 3})};
  for (const auto& [op, operands] : {std::pair{"MatMul", matmul}, {"Conv", conv}}) {
    EXPECT_LT(error_of(op, operands, kStrict), 1e-6) << op;
    EXPECT_GT(error_of(op, operands, kTf32), 2e-5) << op;
    EXPECT_LT(error_of(op, operands, kTf32), 5e-3) << op;
  }
}

struct ConvShape {
  Dims x, w;
  int64_t group;
  Ints strides, pads, dilations;
};
const std::vector<ConvShape> kConvs = {
    {{1, 3, 32, 32}, {8, 3, 3, 3}, 1, {1, 1}, {1, 1, 1, 1}, {1, 1}},
    {{4, 8, 17, 19}, {16, 8, 3, 3}, 1, {2, 2}, {1, 1, 1, 1}, {1, 1}},
    {{2, 16, 9, 9}, {32, 16, 1, 1}, 1, {1, 1}, {0, 0, 0, 0}, {1, 1}},
    {{1, 3, 40, 40}, {16, 3, 7, 7}, 1, {2, 2}, {3, 3, 3, 3}, {1, 1}},
    {{2, 5, 6, 6}, {70, 5, 3, 3}, 1, {1, 1}, {1, 1, 1, 1}, {1, 1}},          // more than one row tile
    {{1, 32, 14, 14}, {32, 1, 3, 3}, 32, {1, 1}, {1, 1, 1, 1}, {1, 1}},      // depthwise
    {{2, 8 * 4, 8, 8}, {8 * 4, 4, 3, 3}, 8, {1, 1}, {1, 1, 1, 1}, {1, 1}},   // groups = models
    {{2, 3 * 5, 8, 8}, {3 * 7, 5, 3, 3}, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}},   // odd widths
    {{2, 3 * 5, 8, 8}, {3 * 33, 5, 3, 3}, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}},  // wide groups
    {{1, 4, 20, 20}, {4, 4, 3, 3}, 1, {1, 1}, {2, 2, 2, 2}, {2, 2}},
    {{1, 4, 11, 13}, {6, 4, 3, 2}, 1, {1, 2}, {0, 1, 2, 0}, {1, 1}},
    {{2, 6, 30}, {8, 3, 5}, 2, {2}, {2, 2}, {1}},
    {{1, 4, 6, 7, 8}, {20, 4, 3, 3, 3}, 1, {1, 1, 1}, {1, 1, 1, 1, 1, 1}, {1, 1, 1}},
    {{1, 1, 5, 5}, {1, 1, 5, 5}, 1, {1, 1}, {0, 0, 0, 0}, {1, 1}},
};

TEST(CudaKernels, Conv) {
  for (const ConvShape& s : kConvs) {
    const std::vector<std::pair<std::string, AttributeValue>> attributes = {
        {"group", s.group}, {"strides", s.strides}, {"pads", s.pads}, {"dilations", s.dilations}};
    check_kernel({"Conv", attributes, {input(s.x), weight(s.w)}});
    check_kernel({"Conv", attributes, {input(s.x), weight(s.w), weight({s.w[0]})}});
    for (DType dtype : {DType::kFloat16, DType::kBfloat16})
      check_kernel({"Conv", attributes, {of(dtype, s.x), of(dtype, s.w), of(dtype, {s.w[0]})}, 22});
    check_kernel({"Conv", attributes, {input(s.x), weight(s.w), weight({s.w[0]})}}, kTf32);
  }
  for (const char* pad : {"SAME_UPPER", "SAME_LOWER", "VALID"}) {
    check_kernel({"Conv",
                  {{"auto_pad", std::string(pad)}, {"strides", Ints{2, 2}}},
                  {input({1, 3, 10, 11}), weight({4, 3, 3, 4})}});
  }
}

TEST(CudaKernels, ConvTranspose) {
  check_kernel({"ConvTranspose", {{"strides", Ints{2, 2}}}, {input({1, 8, 7, 9}), weight({8, 4, 2, 2})}});
  check_kernel({"ConvTranspose",
                {{"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}, {"output_padding", Ints{1, 1}}},
                {input({2, 8, 7, 9}), weight({8, 4, 3, 3}), weight({4})}});
  check_kernel(
      {"ConvTranspose", {{"group", int64_t{2}}}, {input({1, 8, 5, 5}), weight({8, 3, 3, 3}), weight({6})}});
  check_kernel({"ConvTranspose", {{"strides", Ints{3}}}, {input({1, 2, 6}), weight({2, 3, 4})}});
  check_kernel({"ConvTranspose",
                {{"strides", Ints{3, 2}}, {"output_shape", Ints{10, 8}}},
                {input({1, 1, 3, 3}), weight({1, 2, 3, 3})}});
  check_kernel({"ConvTranspose",
                {{"dilations", Ints{2, 2}}},
                {of(DType::kFloat16, {1, 2, 4, 4}), of(DType::kFloat16, {2, 3, 3, 3})},
                22});
}

// A model under construction, with its inputs.
class Net {
 public:
  Net() {
    model.name = "net";
    model.ir_version = 8;
    model.opsets[""] = 20;
  }
  ValueId input(Dims dims) {
    Shape shape;
    for (int64_t d : dims) shape.push_back(Dim::known(d));
    const ValueId id = model.graph.add_input(fresh(), Type::tensor(DType::kFloat32, shape));
    inputs.emplace_back(random_tensor(DType::kFloat32, dims, ++seed_));
    return id;
  }
  ValueId weight(Dims dims) {
    const Tensor tensor = random_tensor(DType::kFloat32, dims, ++seed_);
    const std::string bytes(reinterpret_cast<const char*>(tensor.data()), tensor.byte_size());
    return model.graph.add_constant(fresh(), Weight::from_bytes(DType::kFloat32, dims, own_bytes(bytes)));
  }
  ValueId node(const std::string& op, std::vector<ValueId> operands,
               std::vector<std::pair<std::string, AttributeValue>> attributes = {}) {
    Node node;
    node.op_type = op;
    node.name = fresh();
    node.inputs = std::move(operands);
    for (auto& [name, value] : attributes) node.set(name, value);
    node.outputs = {model.graph.add_value(fresh(), Type{})};
    const ValueId made = node.outputs[0];
    model.graph.add_node(std::move(node));
    return made;
  }
  // Equal to the reference, in `steps` steps.
  void check(ValueId output, size_t steps, const std::string& what) {
    model.graph.add_output(output);
    const ExecPlan plan = shim_plan(model, inputs);
    EXPECT_EQ(plan.steps.size(), steps) << what << "\n" << exec::to_string(plan);
    expect_same_on_shim(model, inputs, what + "\n" + exec::to_string(plan));
  }

  Model model;
  std::vector<Datum> inputs;

 private:
  std::string fresh() { return "v" + std::to_string(++names_); }
  int names_ = 0;
  unsigned seed_ = 0;
};

TEST(CudaEpilogues, ConvTakesScaleResidualAndActivation) {
  for (int64_t group : {1, 4}) {
    for (int64_t width : {2, 20}) {
      Net net;
      const int64_t out = group * width;
      const ValueId x = net.input({2, 4 * group, 7, 6}), residual = net.input({2, out, 7, 6});
      ValueId y = net.node("Conv", {x, net.weight({out, 4, 3, 3}), net.weight({out})},
                           {{"group", group}, {"pads", Ints{1, 1, 1, 1}}});
      y = net.node("Mul", {y, net.weight({out, 1, 1})});    // per (model, channel)
      y = net.node("Add", {y, net.input({2, out, 1, 1})});  // one a sample and channel
      y = net.node("Mul", {net.weight({1}), y});            // a scalar
      y = net.node("Add", {residual, y});
      y = net.node("Add", {y, net.weight({7, 6})});  // one a pixel
      y = net.node("Relu", {y});
      net.check(y, 1, "conv epilogue");
    }
  }
}

TEST(CudaEpilogues, MatMulTakesWhatItsBatchAllows) {
  Net net;
  const ValueId x = net.input({3, 2, 5, 8});
  ValueId y = net.node("MatMul", {x, net.weight({3, 1, 8, 9})});
  y = net.node("Add", {y, net.weight({3, 1, 1, 9})});  // the bias of M stacked linears
  y = net.node("Mul", {y, net.weight({9})});
  y = net.node("Add", {y, net.input({3, 2, 5, 9})});
  y = net.node("Gelu", {y});
  net.check(y, 1, "matmul epilogue");
}

TEST(CudaEpilogues, WhatDoesNotFitStaysApart) {
  Net net;
  const ValueId x = net.input({2, 3, 5, 8});
  ValueId y = net.node("MatMul", {x, net.weight({8, 9})});  // rows: 2 x 3 x 5 as one
  y = net.node("Add", {y, net.weight({3, 1, 1})});          // differs inside the rows
  net.check(y, 2, "no epilogue");
}

}  // namespace
}  // namespace mts::exec::cuda
