// What propagate and refine_shape read of a node: contents and types of its operands.
#pragma once

#include "onnx/shape_element.h"

#include <mts/graph.h>

#include <optional>
#include <vector>

namespace mts::onnxio {

// One node's operands.
struct Operands {
  const Node& node;
  const std::vector<const Content*>& inputs;
  const std::vector<Type>& types;

  const Content* content(size_t i) const { return i < inputs.size() ? inputs[i] : nullptr; }
  bool present(size_t i) const { return i < node.inputs.size() && node.inputs[i] != kNoValue; }
  bool is_vector(size_t i) const { return i < types.size() && types[i].has_rank() && types[i].rank() == 1; }
  // The only number of a scalar or vector of one element.
  std::optional<int64_t> single(size_t i) const {
    const Content* c = content(i);
    return c != nullptr && c->dim_size() == 1 ? number_of(c->dim(0)) : std::nullopt;
  }
};

// Bounds of a slice of one axis: inputs since opset 10, attributes before.
struct Bounds {
  std::vector<Element> start, end, step;
  std::vector<int64_t> axes;
};
// Nothing when they are not known or do not fit each other.
std::optional<Bounds> bounds_of(const Operands& o);

}  // namespace mts::onnxio
