// Builds small models by hand, for the tests of sharing analysis and alignment.
#pragma once

#include <mts/graph.h>

#include <string>
#include <utility>
#include <vector>

namespace mts::testing {

inline Type floats(std::vector<int64_t> dims) {
  Shape shape;
  for (const int64_t d : dims) shape.push_back(d < 0 ? Dim::symbolic("N") : Dim::known(d));
  return Type::tensor(DType::kFloat32, std::move(shape));
}

// A float weight whose content is a function of `seed` and its size.
inline WeightPtr weight(int seed, Dims dims) {
  std::vector<float> values(static_cast<size_t>(element_count(dims)));
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(seed) + static_cast<float>(i) / 1024.0F;
  return Weight::floats(values, std::move(dims));
}

class GraphBuilder {
 public:
  explicit GraphBuilder(std::string name = "m") {
    model.name = std::move(name);
    model.ir_version = 10;
    model.opsets[""] = 21;
  }

  ValueId input(Type type) { return model.graph.add_input(fresh("in"), std::move(type)); }
  ValueId constant(WeightPtr content) { return model.graph.add_constant(fresh("w"), std::move(content)); }
  ValueId constant(int seed, Dims dims) { return constant(weight(seed, std::move(dims))); }

  // A node with `outputs` outputs of type `type`; returns the first one.
  ValueId op(std::string op_type, std::vector<ValueId> inputs, Type type,
             std::vector<Attribute> attributes = {}, size_t outputs = 1, std::string domain = "") {
    Node node;
    node.op_type = std::move(op_type);
    node.domain = std::move(domain);
    node.name = fresh("node");
    node.inputs = std::move(inputs);
    node.attributes = std::move(attributes);
    for (size_t i = 0; i < outputs; ++i) node.outputs.push_back(model.graph.add_value(fresh("v"), type));
    const ValueId first = node.outputs.front();
    last = model.graph.add_node(std::move(node));
    return first;
  }
  // Elementwise: the type of its first operand.
  ValueId op(std::string op_type, std::vector<ValueId> inputs) {
    Type type = model.graph.value(inputs.front()).type;
    return op(std::move(op_type), std::move(inputs), std::move(type));
  }
  // x [N, in] times a weight [in, out].
  ValueId linear(ValueId x, int seed, int64_t in, int64_t out) {
    return op("MatMul", {x, constant(seed, {in, out})}, floats({-1, out}));
  }
  void output(ValueId id) { model.graph.add_output(id); }

  Graph& graph() { return model.graph; }
  NodeId producer(ValueId id) const { return model.graph.value(id).producer; }

  Model model;
  NodeId last = kNoNode;

 private:
  std::string fresh(const char* prefix) { return prefix + std::to_string(names_++); }
  int names_ = 0;
};

}  // namespace mts::testing
