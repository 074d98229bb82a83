// Short ways to evaluate one node in a test.
#pragma once

#include "ref/evaluate.h"

#include <mts/error.h>
#include <mts/graph.h>
#include <mts/tensor.h>

#include <initializer_list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace mts::test {

inline Tensor floats(Dims dims, std::vector<float> values) {
  return Tensor::of<float>(DType::kFloat32, std::move(dims), values);
}
inline Tensor int64s(Dims dims, std::vector<int64_t> values) {
  return Tensor::of<int64_t>(DType::kInt64, std::move(dims), values);
}
inline Tensor int32s(Dims dims, std::vector<int32_t> values) {
  return Tensor::of<int32_t>(DType::kInt32, std::move(dims), values);
}
inline Tensor bytes(DType dtype, Dims dims, std::vector<uint8_t> values) {
  return Tensor::of<uint8_t>(dtype, std::move(dims), values);
}
inline Tensor bools(Dims dims, std::vector<uint8_t> values) {
  return bytes(DType::kBool, std::move(dims), std::move(values));
}
inline Tensor strings(Dims dims, std::vector<std::string> values) {
  Tensor result(DType::kString, std::move(dims));
  result.mutable_strings() = std::move(values);
  return result;
}

template <class T>
std::vector<T> values(const Tensor& tensor) {
  return {tensor.as<T>(), tensor.as<T>() + tensor.element_count()};
}

struct Attr {
  std::string name;
  AttributeValue value;
};

struct NodeCall {
  std::string op_type;
  std::vector<Attr> attributes = {};
  int64_t opset = 21;
  std::string domain = {};
  size_t outputs = 1;
};

// nullopt: an absent optional input.
inline Result<std::vector<Datum>> run(const NodeCall& call, const std::vector<std::optional<Datum>>& inputs) {
  Node node;
  node.op_type = call.op_type;
  node.domain = call.domain;
  node.name = "n";
  for (const Attr& attribute : call.attributes) node.set(attribute.name, attribute.value);
  for (size_t i = 0; i < call.outputs; ++i) node.outputs.push_back(static_cast<ValueId>(100 + i));
  std::vector<const Datum*> pointers;
  for (size_t i = 0; i < inputs.size(); ++i) {
    node.inputs.push_back(inputs[i] ? static_cast<ValueId>(i) : kNoValue);
    pointers.push_back(inputs[i] ? &*inputs[i] : nullptr);
  }
  Env env;
  env.opset = call.opset;
  env.opsets = {{"", call.opset}, {"ai.onnx.ml", 5}, {"com.microsoft", 1}};
  return evaluate(node, pointers, env);
}

// The first output, a tensor; fails the test on an error.
inline Tensor run_one(const NodeCall& call, const std::vector<std::optional<Datum>>& inputs) {
  auto result = run(call, inputs);
  if (!result) {
    ADD_FAILURE() << result.error().to_string();
    return Tensor(DType::kFloat32, {0});
  }
  return *(*result)[0].tensor();
}

// The error code of a call that must be refused; the message must name the node.
inline std::optional<ErrorCode> refusal(const NodeCall& call,
                                        const std::vector<std::optional<Datum>>& inputs) {
  auto result = run(call, inputs);
  if (result) return std::nullopt;
  EXPECT_EQ(result.error().where.node, "n (" + call.op_type + ")") << result.error().to_string();
  return result.error().code;
}

}  // namespace mts::test
