// Small models whose weights are given, and how recovered ones are judged.
#pragma once

#include "ref/interpreter.h"
#include "tests/share/graph_builder.h"

#include <mts/model_io.h>
#include <mts/recover.h>

#include <cmath>
#include <cstring>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace mts::testing {

using Values = std::vector<float>;

inline Values random_values(int64_t count, unsigned seed, float size = 1) {
  std::mt19937 random(seed);
  Values values(static_cast<size_t>(count));
  for (float& v : values)
    v = size * (static_cast<float>(random()) / 2147483648.0F - 1);  // uniform, the same with every library
  return values;
}

// Each value off by up to `relative` of itself.
inline Values nudged(Values values, double relative, unsigned seed) {
  const Values noise = random_values(static_cast<int64_t>(values.size()), seed);
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(values[i] * (1 + relative * static_cast<double>(noise[i])));
  return values;
}

// Row-major [rows, inner] x [inner, columns], rounded once.
inline Values product(const Values& a, const Values& b, int64_t rows, int64_t inner, int64_t columns) {
  Values result(static_cast<size_t>(rows * columns));
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) {
      double sum = 0;
      for (int64_t k = 0; k < inner; ++k)
        sum += static_cast<double>(a[static_cast<size_t>(i * inner + k)]) *
               static_cast<double>(b[static_cast<size_t>(k * columns + j)]);
      result[static_cast<size_t>(i * columns + j)] = static_cast<float>(sum);
    }
  return result;
}

inline Values sum(Values a, const Values& b) {
  for (size_t i = 0; i < a.size(); ++i) a[i] += b[i];
  return a;
}

struct Layer {
  std::string op;  // Conv, Gemm, MatMul
  Dims dims;       // of the weight
  std::vector<Attribute> attributes{};
  bool bias = true;
};
inline const Layer kConv{"Conv", {8, 6, 3, 3}, {{"pads", std::vector<int64_t>{1, 1, 1, 1}, {}}}};
inline const Layer kGemm{"Gemm", {24, 32}, {{"transB", int64_t{1}, {}}}};
inline const Layer kMatMul{"MatMul", {32, 24}};

// y = Relu(Op(x, w) + b): x [N, 6, 5, 5], [N, 32] or [N, 4, 32]; the bias is b_seed's.
inline Model one_layer(const Layer& layer, const Values& w, unsigned b_seed, const std::string& name) {
  GraphBuilder g(name);
  const bool conv = layer.op == "Conv", gemm = layer.op == "Gemm";
  const int64_t width = conv || gemm ? layer.dims[0] : layer.dims[1];
  const ValueId x = g.input(conv   ? floats({-1, layer.dims[1], 5, 5})
                            : gemm ? floats({-1, layer.dims[1]})
                                   : floats({-1, 4, layer.dims[0]}));
  int64_t size = 5;  // of the output: 3 x 3 filters with a padding of 1
  for (const Attribute& attribute : layer.attributes)
    if (attribute.name == "strides") size = 4 / std::get<std::vector<int64_t>>(attribute.value)[0] + 1;
  const Type type = conv   ? floats({-1, width, size, size})
                    : gemm ? floats({-1, width})
                           : floats({-1, 4, width});
  std::vector<ValueId> inputs{x, g.constant(Weight::floats(w, layer.dims))};
  const WeightPtr bias = Weight::floats(random_values(width, b_seed), {width});
  if (layer.bias && layer.op != "MatMul") inputs.push_back(g.constant(bias));
  ValueId y = g.op(layer.op, inputs, type, layer.attributes);
  if (layer.bias && layer.op == "MatMul") y = g.op("Add", {y, g.constant(bias)}, type);
  g.output(g.op("Relu", {y}));
  return std::move(g.model);
}

inline std::vector<Model> models_of(const Layer& layer, const std::vector<Values>& weights) {
  std::vector<Model> models;
  for (size_t m = 0; m < weights.size(); ++m)
    models.push_back(one_layer(layer, weights[m], static_cast<unsigned>(m) + 90, "m" + std::to_string(m)));
  return models;
}

inline std::vector<Recovered> recovered(std::vector<Model>& models, const RecoverOptions& options) {
  const Result<RecoverReport> report = recover(models, options);
  EXPECT_TRUE(report.has_value()) << (report ? "" : report.error().to_string());
  return report ? report->weights : std::vector<Recovered>{};
}

// Bytes of the constants that are read, content counted once over all models.
inline size_t stored_bytes(const std::vector<Model>& models) {
  std::set<std::pair<Digest, size_t>> seen;
  size_t bytes = 0;
  for (const Model& model : models)
    for (size_t i = 0; i < model.graph.value_count(); ++i) {
      const auto id = static_cast<ValueId>(i);
      const WeightPtr& weight = model.graph.value(id).weight;
      if (weight == nullptr || model.graph.is_unused(id)) continue;
      if (seen.emplace(weight->digest(), weight->byte_size()).second) bytes += weight->byte_size();
    }
  return bytes;
}

inline Values run(const Model& model) {
  const Graph& graph = model.graph;
  const Type& type = graph.value(graph.inputs().front()).type;
  Dims dims;
  for (const Dim& dim : *type.shape) dims.push_back(dim.is_known() ? dim.value : 2);
  const Values x = random_values(element_count(dims), 7);
  const std::vector<Datum> inputs{Tensor::of<float>(DType::kFloat32, dims, x)};
  const auto outputs = interpret(model, inputs);
  EXPECT_TRUE(outputs.has_value()) << (outputs ? "" : outputs.error().to_string());
  if (!outputs) return {};
  const Tensor& y = *outputs->front().tensor();
  return {y.as<float>(), y.as<float>() + y.element_count()};
}

// Largest difference of the outputs over their largest magnitude.
inline double output_error(const Model& before, const Model& after) {
  const Values a = run(before), b = run(after);
  EXPECT_EQ(a.size(), b.size());
  double error = 0, largest = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    error = std::max(error, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
    largest = std::max(largest, std::abs(static_cast<double>(a[i])));
  }
  EXPECT_GT(largest, 0);
  return error / largest;
}

inline std::vector<std::string> operators(const Model& model) {
  std::vector<std::string> names;
  for (const NodeId id : model.graph.order()) names.push_back(model.graph.node(id).op_type);
  return names;
}

}  // namespace mts::testing
