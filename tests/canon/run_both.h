// Runs two models on the same random inputs with the reference evaluator and compares all outputs.
#pragma once

#include "ref/interpreter.h"

#include <mts/model_io.h>

#include <cmath>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace mts::testing_canon {

// Every symbol of the inputs takes the value `size`, so that equal symbols stay equal.
inline std::vector<Datum> random_inputs(const Graph& graph, int64_t size, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<Datum> inputs;
  for (const ValueId id : graph.inputs()) {
    const Type& type = graph.value(id).type;
    Dims dims;
    for (const Dim& dim : *type.shape) dims.push_back(dim.is_known() ? dim.value : size);
    Tensor tensor(type.dtype, dims);
    const auto count = static_cast<size_t>(tensor.element_count());
    std::normal_distribution<float> normal;
    for (size_t i = 0; i < count; ++i) {
      switch (type.dtype) {
        case DType::kFloat32:
          tensor.mutable_as<float>()[i] = normal(random) * 2;
          break;
        case DType::kFloat64:
          tensor.mutable_as<double>()[i] = normal(random);
          break;
        case DType::kInt64:
          tensor.mutable_as<int64_t>()[i] = static_cast<int64_t>(random() % 3);
          break;
        case DType::kInt32:
          tensor.mutable_as<int32_t>()[i] = static_cast<int32_t>(random() % 3);
          break;
        case DType::kBool:
          tensor.mutable_as<uint8_t>()[i] = random() % 2;
          break;
        default:
          ADD_FAILURE() << "no random numbers for " << to_string(type);
      }
    }
    inputs.emplace_back(std::move(tensor));
  }
  return inputs;
}

inline void expect_same(const Tensor& a, const Tensor& b, const std::string& what) {
  ASSERT_EQ(a.dtype(), b.dtype()) << what;
  ASSERT_EQ(a.dims(), b.dims()) << what;
  const auto count = static_cast<size_t>(a.element_count());
  if (a.dtype() != DType::kFloat32) {
    if (a.dtype() != DType::kString) {
      EXPECT_EQ(0, std::memcmp(a.data(), b.data(), a.byte_size())) << what;
    }
    return;
  }
  float largest = 0;
  for (size_t i = 0; i < count; ++i)
    if (std::isfinite(a.as<float>()[i])) largest = std::max(largest, std::abs(a.as<float>()[i]));
  for (size_t i = 0; i < count; ++i) {
    const float x = a.as<float>()[i], y = b.as<float>()[i];
    if (std::isnan(x) && std::isnan(y)) continue;
    ASSERT_TRUE(x == y || std::abs(x - y) <= 1e-5f * largest)
        << what << " element " << i << ": " << x << " and " << y;
  }
}

// Random operators make a model incomparable.
inline bool is_deterministic(const Graph& graph) {
  for (const NodeId id : graph.order()) {
    if (graph.node(id).op_type.starts_with("Random") || graph.node(id).op_type == "Bernoulli") return false;
    for (const Graph* child : graph.node(id).subgraphs())
      if (!is_deterministic(*child)) return false;
  }
  return true;
}

// What a graph does, without names: operators, attributes as text, operands by number, constants by content.
inline std::string structure_of(const Graph& graph, const std::map<ValueId, std::string>& outer = {}) {
  std::map<ValueId, std::string> label = outer;
  std::string text;
  int next = 0;
  const auto name = [&](ValueId id) -> std::string {
    if (id == kNoValue) return "-";
    auto [it, inserted] = label.try_emplace(id);
    if (inserted) {
      const WeightPtr& weight = graph.value(id).weight;
      it->second =
          weight == nullptr ? "v" + std::to_string(next++) : "c" + std::to_string(weight->digest().low);
      if (weight != nullptr)
        for (const int64_t d : weight->dims()) it->second += "x" + std::to_string(d);
    }
    return it->second;
  };
  for (const ValueId id : graph.inputs()) text += name(id) + ":" + to_string(graph.value(id).type) + " ";
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    text += "\n" + node.op_type;
    for (const Attribute& attribute : node.attributes) text += " " + attribute.name;
    for (const auto* list : {&node.inputs, &node.outputs})
      for (const ValueId v : *list) text += " " + name(v);
    for (const Graph* child : node.subgraphs()) {
      std::map<ValueId, std::string> captured;
      for (const Capture& capture : child->captures()) captured[capture.inner] = name(capture.outer);
      text += " {" + structure_of(*child, captured) + "}";
    }
  }
  for (const ValueId id : graph.outputs()) text += "\n=> " + name(id) + ":" + to_string(graph.value(id).type);
  return text;
}

inline void expect_same_results(const Model& before, const Model& after, const std::string& what) {
  if (!is_deterministic(before.graph)) return;
  int ran = 0;
  std::string refusals;
  for (const int64_t size : {1, 2, 3, 6}) {
    const auto inputs = random_inputs(before.graph, size, static_cast<uint32_t>(size));
    const auto expected = interpret(before, inputs);
    if (!expected) {  // a size that the model does not allow
      ASSERT_NE(expected.error().code, ErrorCode::kUnsupported)
          << what << ": " << expected.error().to_string();
      continue;
    }
    const auto actual = interpret(after, inputs);
    ASSERT_TRUE(actual) << what << " with size " << size << ": " << actual.error().to_string();
    ASSERT_EQ(expected->size(), actual->size()) << what;
    for (size_t i = 0; i < expected->size(); ++i) {
      const Tensor *a = (*expected)[i].tensor(), *b = (*actual)[i].tensor();
      ASSERT_TRUE(a != nullptr && b != nullptr) << what;
      expect_same(*a, *b, what + ", output " + std::to_string(i) + ", size " + std::to_string(size));
    }
    ++ran;
  }
  EXPECT_GT(ran, 0) << what << " ran with no size" << refusals;
}

}  // namespace mts::testing_canon
