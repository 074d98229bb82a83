// Which values of a float32 plan are held in 16 bits, and what stays as it was (narrow.h). The outputs of
// whole models are compared in models_test.cpp.
#include "exec/device_instance.h"
#include "tests/exec/cuda_runtime/host_device.h"
#include "tests/exec/cuda_runtime/plans.h"
#include "tests/exec/net.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mts::exec::cuda {
namespace {

// The plan of a net held in `dtype`, and its outputs.
class Held {
 public:
  explicit Held(const Net& net, DType dtype = DType::kFloat16) : net_(net) {
    backend_ = host_backend(1, {}, true, dtype);
    auto compiled = plan_for(net.model, net.inputs, *backend_);
    EXPECT_TRUE(compiled.has_value()) << compiled.error().to_string();
    plan = std::move(*compiled);
  }

  // Of the first step of this operator: its first output.
  DType of(const std::string& op) const {
    for (const Step& step : plan.steps) {
      if (step.op == op) return plan.value(step.outputs[0]).dtype;
    }
    ADD_FAILURE() << "no step " << op << "\n" << to_string(plan);
    return DType::kUndefined;
  }
  size_t steps(const std::string& op) const {
    return static_cast<size_t>(
        std::count_if(plan.steps.begin(), plan.steps.end(), [&](const Step& step) { return step.op == op; }));
  }
  uint64_t weight_bytes() {
    const auto instance = DeviceInstance::create(net_.model, plan, *backend_, memory_, 1);
    EXPECT_TRUE(instance.has_value()) << instance.error().to_string();
    return (*instance)->resident_constant_bytes() + backend_->weight_bytes();
  }
  // Near the reference, whatever the plan looks like.
  void expect_near(double tolerance = 5e-3) {
    auto reference = create_session(net_.model, {.device = "ref"});
    ASSERT_TRUE(reference.has_value());
    const auto expected = (*reference)->run(net_.inputs);
    ASSERT_TRUE(expected.has_value()) << expected.error().to_string();
    const auto instance = DeviceInstance::create(net_.model, plan, *backend_, memory_, 4);
    ASSERT_TRUE(instance.has_value()) << instance.error().to_string();
    const auto actual = (*instance)->run(net_.inputs);
    ASSERT_TRUE(actual.has_value()) << actual.error().to_string();
    for (size_t i = 0; i < actual->size(); ++i)
      expect_same((*expected)[i], (*actual)[i], to_string(plan), tolerance);
  }

  ExecPlan plan;

 private:
  const Net& net_;
  std::unique_ptr<Backend> backend_;
  SharedDeviceMemory memory_;
};

TEST(Narrow, WeightsAndActivationsAreHeldInHalfAndTheBordersAreNot) {
  Net net;
  const ValueId x = net.input({2, 8, 6, 6});
  const ValueId y = net.node("Relu", {net.conv(x, 8, 8)});
  const ValueId z = net.node("MaxPool", {y}, {{"kernel_shape", std::vector<int64_t>{2, 2}}});
  net.output(net.node("Add", {net.conv(z, 8, 8), z}));
  net.output(y);
  Held held(net);
  EXPECT_EQ(held.of("Conv"), DType::kFloat16);
  EXPECT_EQ(held.of("MaxPool"), DType::kFloat16);
  for (const std::vector<ValueIndex>* list : {&held.plan.inputs, &held.plan.outputs}) {
    for (ValueIndex v : *list) EXPECT_EQ(held.plan.value(v).dtype, DType::kFloat32);
  }
  held.expect_near(5e-3);
  EXPECT_EQ(2 * held.weight_bytes(), Held(net, DType::kFloat32).weight_bytes());
}

TEST(Narrow, TheFirstAndTheLastProductStayFloat32InBfloat16) {
  Net net;
  ValueId x = net.node("Reshape", {net.input({2, 8 * 36}), net.shape({2, 8, 6, 6})});  // a view of the data
  for (int i = 0; i < 3; ++i) x = net.node("Relu", {net.conv(x, 8, 8)});
  x = net.node("Flatten", {net.node("GlobalAveragePool", {x})});
  net.output(net.node("Softmax", {net.node("MatMul", {x, net.weight({8, 200})})}));
  Held held(net, DType::kBfloat16);
  std::vector<DType> convolutions;
  for (const Step& step : held.plan.steps) {
    if (step.op == "Conv") convolutions.push_back(held.plan.value(step.outputs[0]).dtype);
  }
  EXPECT_THAT(convolutions, testing::ElementsAre(DType::kFloat32, DType::kBfloat16, DType::kBfloat16));
  EXPECT_EQ(held.of("MatMul"), DType::kFloat32);
  EXPECT_EQ(held.of("Softmax"), DType::kFloat32) << "nothing is rounded behind it";
  held.expect_near(2e-2);
  EXPECT_EQ(Held(net, DType::kFloat16).of("MatMul"), DType::kFloat16);
}

// Vocabularies: twice their bytes would be the price; and what adds up over a residual is no end.
TEST(Narrow, LargeLastProductsAndResidualsAreHeldInBfloat16) {
  Net large;
  const ValueId x =
      large.node("Relu", {large.node("MatMul", {large.input({2, 16}), large.weight({16, 64})})});
  large.output(large.node("MatMul", {x, large.weight({64, 20000})}));
  EXPECT_EQ(Held(large, DType::kBfloat16).steps("MatMul"), 2u);
  const Held held(large, DType::kBfloat16);
  EXPECT_EQ(held.plan.value(held.plan.steps.back().inputs[0]).dtype, DType::kBfloat16)
      << to_string(held.plan);
  Net residual;
  const ValueId stem = residual.node("Relu", {residual.conv(residual.input({1, 8, 6, 6}), 8, 8)});
  const ValueId middle = residual.node("Relu", {residual.conv(stem, 8, 8)});
  residual.output(residual.node("Add", {residual.conv(middle, 8, 8), stem}));
  const Held block(residual, DType::kBfloat16);
  size_t small = 0;
  for (const Step& step : block.plan.steps)
    small += step.op == "Conv" && block.plan.value(step.outputs[0]).dtype == DType::kBfloat16 ? 1 : 0;
  EXPECT_EQ(small, 2u) << to_string(block.plan);
}

TEST(Narrow, ActivationsAndEpiloguesAreFoundAsInFloat32) {
  Net net;  // Gelu as exporters write it; 1.41421 rounded to 11 bits would not be recognised
  const ValueId x = net.node("MatMul", {net.input({4, 32}), net.weight({32, 48})});
  const ValueId erf = net.node("Erf", {net.node("Div", {x, net.weight({}, {1.4142135381698608})})});
  const ValueId sum = net.node("Add", {erf, net.weight({}, {1})});
  const ValueId gelu = net.node("Mul", {net.node("Mul", {x, sum}), net.weight({}, {0.5})});
  net.output(net.node("Add", {net.node("MatMul", {gelu, net.weight({48, 32})}), net.weight({32})}));
  Held held(net);
  // A cast on either side, and otherwise the steps of float32.
  EXPECT_EQ(held.plan.steps.size(), Held(net, DType::kFloat32).plan.steps.size() + 2) << to_string(held.plan);
  held.expect_near();
}

TEST(Narrow, PowersStayFloat32AndTheNextProductIsNot) {
  Net net;  // a layer normalisation in small pieces, of values whose squares are beyond float16
  const ValueId x = net.node("Mul", {net.input({4, 32}), net.weight({}, {400})});
  const ValueId squares = net.node("Pow", {x, net.weight({}, {2})});
  const ValueId mean = net.node("ReduceMean", {squares, net.shape({-1})});
  const ValueId root = net.node("Sqrt", {net.node("Add", {mean, net.weight({}, {1e-8})})});
  net.output(net.node("MatMul", {net.node("Div", {x, root}), net.weight({32, 32})}));
  Held held(net);
  EXPECT_EQ(held.of("ReduceMean"), DType::kFloat32) << to_string(held.plan);
  EXPECT_EQ(held.of("MatMul"), DType::kFloat16);
  held.expect_near();
}

TEST(Narrow, SquaresWrittenAsProductsDoToo) {
  Net net;
  const ValueId x = net.node("Mul", {net.input({4, 32}), net.weight({}, {400})});
  net.output(net.node("ReduceMean", {net.node("Mul", {x, x}), net.shape({-1})}));
  Held held(net);
  held.expect_near();
}

TEST(Narrow, MasksBeyondTheRangeKeepTheirValue) {
  Net net;  // a row that is masked altogether is evenly distributed, not NaN
  const ValueId scores = net.node("MatMul", {net.input({3, 8}), net.weight({8, 4})});
  const double off = -3.4e38;
  const ValueId mask = net.weight({3, 4}, {0, 0, 0, 0, 0, off, 0, off, off, off, off, off});
  net.output(net.node("Softmax", {net.node("Add", {scores, mask})}));
  Held held(net);
  EXPECT_EQ(held.of("Softmax"), DType::kFloat32) << to_string(held.plan);
  held.expect_near();
}

TEST(Narrow, PositionsStayFloat32) {
  Net net;  // angles of a rotary embedding: float16 knows no 2049
  const ValueId ids =
      net.model.graph.add_input("ids", Type::tensor(DType::kInt64, {Dim::known(2), Dim::known(1)}));
  net.inputs.emplace_back(Tensor::of<int64_t>(DType::kInt64, {2, 1}, std::vector<int64_t>{2049, 4099}));
  const ValueId position = net.node("Cast", {ids}, {{"to", int64_t{1}}});
  const ValueId angle = net.node("MatMul", {position, net.weight({1, 16}, std::vector<double>(16, 1.0))});
  net.output(net.node("Cos", {angle}));
  Held held(net);
  EXPECT_EQ(held.of("MatMul"), DType::kFloat32) << to_string(held.plan);
  held.expect_near(1e-4);
}

TEST(Narrow, TablesAreHeldInHalf) {
  Net net;
  const ValueId ids = net.model.graph.add_input("ids", Type::tensor(DType::kInt64, {Dim::known(3)}));
  net.inputs.emplace_back(Tensor::of<int64_t>(DType::kInt64, {3}, std::vector<int64_t>{5, 0, 99}));
  const ValueId words = net.node("Gather", {net.weight({100, 16}), ids});
  net.output(net.node("LayerNormalization", {words, net.weight({16}), net.weight({16})}));
  Held held(net);
  EXPECT_EQ(held.of("Gather"), DType::kFloat16);
  EXPECT_EQ(held.of("LayerNormalization"), DType::kFloat16);
  held.expect_near();
}

TEST(Narrow, HostStepsSeeFloat32) {
  Net net;
  const ValueId x = net.node("MatMul", {net.input({3, 8}), net.weight({8, 40})});
  const std::vector<ValueId> top = net.nodes("TopK", {x, net.shape({2})}, 2);
  net.output(net.node("Relu", {top[0]}));
  Held held(net);
  EXPECT_EQ(held.of("TopK"), DType::kFloat32);
  held.expect_near();
}

TEST(Narrow, QuantisedModelsStayAsTheyAre) {
  Net net;
  const ValueId x = net.node("MatMul", {net.input({3, 8}), net.weight({8, 40})});
  const ValueId scale = net.weight({}, {0.05});
  const ValueId quanta = net.node("QuantizeLinear", {x, scale});
  net.output(net.node("DequantizeLinear", {quanta, scale}));
  Held held(net);
  EXPECT_EQ(held.of("MatMul"), DType::kFloat32);
}

TEST(Narrow, ModelsWithHalvesOfTheirOwnStayAsTheyAre) {
  Net net;
  const ValueId half = net.node("Cast", {net.input({3, 8})}, {{"to", static_cast<int64_t>(DType::kFloat16)}});
  const ValueId x = net.node("Cast", {half}, {{"to", static_cast<int64_t>(DType::kFloat32)}});
  net.output(net.node("MatMul", {x, net.weight({8, 40})}));
  EXPECT_EQ(Held(net, DType::kBfloat16).of("MatMul"), DType::kFloat32);
}

TEST(Narrow, AWeightReadInBothTypesIsUploadedInBoth) {
  Net net;
  const ValueId table = net.weight({32, 32});
  const ValueId x = net.input({32, 32});
  const ValueId product = net.node("MatMul", {x, table});
  net.output(net.node("Pow", {product, net.weight({}, {2})}));
  net.output(net.node("CumSum", {table, net.shape({0})}));
  net.output(net.node("Pow", {x, table}));
  Held held(net);
  held.expect_near();
}

}  // namespace
}  // namespace mts::exec::cuda
