#include "tests/exec/harness.h"

#include "exec/bind.h"
#include "exec/compile.h"
#include "exec/cpu/backend.h"
#include "exec/geometry.h"
#include "ref/formats.h"

#include <mts/verify.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

#include <gtest/gtest.h>

namespace mts::exec {
namespace {

template <class T>
void fill(Tensor& tensor, std::mt19937& random, const std::vector<double>& values, double low, double high) {
  std::uniform_real_distribution<double> uniform(low, high);
  for (int64_t i = 0; i < tensor.element_count(); ++i) {
    tensor.mutable_as<T>()[i] =
        static_cast<T>(values.empty() ? uniform(random) : values[static_cast<size_t>(i)]);
  }
}

std::vector<Datum> run(const std::string& device, const Model& model, const std::vector<Datum>& inputs) {
  auto session = create_session(model, {.device = device, .threads = 2});
  EXPECT_TRUE(session.has_value()) << session.error().to_string();
  if (!session) return {};
  auto outputs = (*session)->run(inputs);
  EXPECT_TRUE(outputs.has_value()) << device << ": " << outputs.error().to_string();
  if (!outputs) return {};
  if (std::getenv("MTS_KERNEL_TIMES") != nullptr) {
    double best = 1e9;
    for (int i = 0; i < 20; ++i) {
      const auto start = std::chrono::steady_clock::now();
      outputs = (*session)->run(inputs);
      best = std::min(
          best, std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count());
    }
    std::printf("%-4s %10.1f us  ", device.c_str(), best);
  } else {
    outputs = (*session)->run(inputs);  // a second run must not depend on the first
    EXPECT_TRUE(outputs.has_value()) << device << ": " << outputs.error().to_string();
  }
  return outputs ? *outputs : std::vector<Datum>{};
}

Tensor floats_of(const Tensor& doubles) {
  Tensor result(DType::kFloat32, doubles.dims());
  for (int64_t i = 0; i < doubles.element_count(); ++i)
    result.mutable_as<float>()[i] = static_cast<float>(doubles.as<double>()[i]);
  return result;
}

void expect_close(const Tensor& expected, const Tensor& actual, const std::string& what,
                  double tolerance = 1e-4) {
  ASSERT_EQ(expected.dims(), actual.dims()) << what;
  ASSERT_EQ(expected.dtype(), actual.dtype()) << what;
  if (ref::is_small_float(expected.dtype())) {
    return expect_close(ref::widen(expected), ref::widen(actual), what,
                        expected.dtype() == DType::kFloat16 ? 5e-3 : 2e-2);
  }
  if (expected.dtype() == DType::kFloat64) {
    return expect_close(floats_of(expected), floats_of(actual), what, 1e-6);
  }
  if (expected.dtype() != DType::kFloat32) {
    if (expected.dtype() == DType::kString) {
      EXPECT_EQ(expected.strings(), actual.strings()) << what;
    } else {
      EXPECT_EQ(std::memcmp(expected.data(), actual.data(), expected.byte_size()), 0) << what;
    }
    return;
  }
  double scale = 0, error = 0;
  int64_t worst = 0;
  for (int64_t i = 0; i < expected.element_count(); ++i) {
    const double x = expected.as<float>()[i], y = actual.as<float>()[i];
    ASSERT_EQ(std::isnan(x), std::isnan(y)) << what << " at " << i;
    ASSERT_EQ(std::isinf(x), std::isinf(y)) << what << " at " << i;
    if (!std::isfinite(x)) continue;
    scale = std::max(scale, std::abs(x));
    if (std::abs(x - y) > error) error = std::abs(x - y), worst = i;
  }
  EXPECT_LE(error, tolerance * scale + 1e-30) << what << ": expected " << expected.as<float>()[worst]
                                              << ", got " << actual.as<float>()[worst] << " at " << worst;
}

}  // namespace

std::string to_string(const Case& c) {
  std::string text = c.op;
  for (const auto& [name, value] : c.attributes) {
    text += " " + name;
    if (const auto* i = std::get_if<int64_t>(&value)) text += "=" + std::to_string(*i);
    if (const auto* i = std::get_if<std::vector<int64_t>>(&value))
      text += "=" + to_string(std::span<const int64_t>(*i));
  }
  for (const Operand& operand : c.operands)
    text += operand.absent ? " -" : " " + to_string(std::span<const int64_t>(operand.dims));
  return text;
}

Tensor random_tensor(DType dtype, const Dims& dims, unsigned seed, const std::vector<double>& values) {
  std::mt19937 random(seed);
  Tensor tensor(dtype, dims);
  switch (dtype) {
    case DType::kFloat32:
      fill<float>(tensor, random, values, -2, 2);
      break;
    case DType::kFloat64:
      fill<double>(tensor, random, values, -2, 2);
      break;
    case DType::kFloat16:
    case DType::kBfloat16:
      return ref::narrow(random_tensor(DType::kFloat32, dims, seed, values), dtype);
    case DType::kInt64:
      fill<int64_t>(tensor, random, values, 0, 3.99);
      break;
    case DType::kInt32:
      fill<int32_t>(tensor, random, values, 0, 3.99);
      break;
    case DType::kUint16:
    case DType::kInt16:
      fill<int16_t>(tensor, random, values, 0, 3.99);
      break;
    default:
      fill<uint8_t>(tensor, random, values, 0, 1.99);
      break;
  }
  return tensor;
}

Model model_of(const Case& c, std::vector<Datum>& inputs) {
  Model model;
  model.name = "case";
  model.ir_version = 8;
  model.opsets[""] = c.opset;
  Graph& graph = model.graph;
  Node node;
  node.op_type = c.op;
  node.name = "node";
  for (const auto& [name, value] : c.attributes) node.set(name, value);
  for (size_t i = 0; i < c.operands.size(); ++i) {
    const Operand& operand = c.operands[i];
    if (operand.absent) {
      node.inputs.push_back(kNoValue);
      continue;
    }
    const Tensor tensor =
        random_tensor(operand.dtype, operand.dims, static_cast<unsigned>(i + 1), operand.values);
    const std::string name = "x" + std::to_string(i);
    if (operand.constant) {
      const std::string bytes(reinterpret_cast<const char*>(tensor.data()), tensor.byte_size());
      node.inputs.push_back(
          graph.add_constant(name, Weight::from_bytes(operand.dtype, operand.dims, own_bytes(bytes))));
      continue;
    }
    Shape shape;
    for (int64_t d : operand.dims) shape.push_back(Dim::known(d));
    node.inputs.push_back(graph.add_input(name, Type::tensor(operand.dtype, shape)));
    inputs.emplace_back(tensor);
  }
  for (int i = 0; i < c.outputs; ++i) {
    node.outputs.push_back(graph.add_value("y" + std::to_string(i), Type{}));
    graph.add_output(node.outputs.back());
  }
  graph.add_node(std::move(node));
  return model;
}

void expect_same_on_cpu(const Model& model, const std::vector<Datum>& inputs, const std::string& what) {
  const std::vector<Datum> expected = run("ref", model, inputs), actual = run("cpu", model, inputs);
  if (std::getenv("MTS_KERNEL_TIMES") != nullptr) std::printf(" %s\n", what.c_str());
  ASSERT_EQ(expected.size(), actual.size()) << what;
  for (size_t i = 0; i < expected.size(); ++i) {
    expect_same(expected[i], actual[i], what);
  }
}

void expect_same(const Datum& expected, const Datum& actual, const std::string& what, double tolerance) {
  ASSERT_EQ(expected.value.index(), actual.value.index()) << what;
  if (const Tensor* tensor = expected.tensor()) {
    expect_close(*tensor, *actual.tensor(), what, tolerance);
  } else if (const auto* sequence = std::get_if<Sequence>(&expected.value)) {
    const auto& other = std::get<Sequence>(actual.value);
    ASSERT_EQ(sequence->size(), other.size()) << what;
    for (size_t i = 0; i < other.size(); ++i) expect_same((*sequence)[i], other[i], what, tolerance);
  } else if (const auto* map = std::get_if<Map>(&expected.value)) {
    const auto& other = std::get<Map>(actual.value);
    expect_close(map->keys, other.keys, what);
    ASSERT_EQ(map->values.size(), other.values.size()) << what;
    for (size_t i = 0; i < other.values.size(); ++i)
      expect_same(map->values[i], other.values[i], what, tolerance);
  }
}

ExecPlan cpu_plan(const Model& model, const std::vector<Datum>& inputs) {
  std::vector<InputType> types;
  for (const Datum& input : inputs) {
    types.push_back(input.tensor() == nullptr ? InputType{}
                                              : InputType{input.tensor()->dtype(), input.tensor()->dims()});
  }
  auto backend = make_cpu_backend();
  EXPECT_TRUE(backend.has_value());
  auto binding = exec::bind(model, types);
  EXPECT_TRUE(binding.has_value()) << binding.error().to_string();
  auto plan = compile(model, *binding, **backend);
  EXPECT_TRUE(plan.has_value()) << plan.error().to_string();
  return std::move(*plan);
}

void check(const Case& c) {
  std::vector<Datum> inputs;
  const Model model = model_of(c, inputs);
  const std::string what = to_string(c);
  const ExecPlan plan = cpu_plan(model, inputs);
  bool on_host = false;
  for (const Step& step : plan.steps) on_host = on_host || step.kind == StepKind::kHost;
  EXPECT_EQ(on_host, c.on_host) << what << "\n" << to_string(plan);
  expect_same_on_cpu(model, inputs, what);
}

}  // namespace mts::exec
