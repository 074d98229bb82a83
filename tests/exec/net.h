// A model under construction, with inputs to run it on: for tests of the executor's plans.
#pragma once

#include "tests/exec/harness.h"

#include <mts/graph.h>

#include <string>
#include <utility>
#include <vector>

namespace mts::exec {

class Net {
 public:
  Net() {
    model.name = "net";
    model.ir_version = 8;
    model.opsets[""] = 18;
  }
  // `symbolic`: the batch is "N" to the model.
  ValueId input(Dims dims, bool symbolic = false) {
    Shape shape;
    for (int64_t d : dims) shape.push_back(Dim::known(d));
    if (symbolic) shape[0] = Dim::symbolic("N");
    const ValueId id = model.graph.add_input(fresh("x"), Type::tensor(DType::kFloat32, shape));
    inputs.emplace_back(random_tensor(DType::kFloat32, dims, ++seed_));
    return id;
  }
  ValueId weight(Dims dims, const std::vector<double>& values = {}) {
    const Tensor tensor = random_tensor(DType::kFloat32, dims, ++seed_, values);
    const std::string bytes(reinterpret_cast<const char*>(tensor.data()), tensor.byte_size());
    return model.graph.add_constant(fresh("w"), Weight::from_bytes(DType::kFloat32, dims, own_bytes(bytes)));
  }
  ValueId shape(std::vector<int64_t> values) {
    return model.graph.add_constant(fresh("s"), Weight::int64s(values));
  }
  std::vector<ValueId> nodes(const std::string& op, std::vector<ValueId> operands, size_t outputs,
                             std::vector<std::pair<std::string, AttributeValue>> attributes = {}) {
    Node node;
    node.op_type = op;
    node.name = fresh(op);
    node.inputs = std::move(operands);
    for (auto& [name, value] : attributes) node.set(name, value);
    for (size_t i = 0; i < outputs; ++i) node.outputs.push_back(model.graph.add_value(fresh("v"), Type{}));
    std::vector<ValueId> made = node.outputs;
    model.graph.add_node(std::move(node));
    return made;
  }
  ValueId node(const std::string& op, std::vector<ValueId> operands,
               std::vector<std::pair<std::string, AttributeValue>> attributes = {}) {
    return nodes(op, std::move(operands), 1, std::move(attributes))[0];
  }
  ValueId conv(ValueId x, int64_t in, int64_t out, int64_t kernel = 3, int64_t group = 1) {
    const int64_t pad = kernel / 2;
    return node("Conv", {x, weight({out, in / group, kernel, kernel}), weight({out})},
                {{"pads", std::vector<int64_t>{pad, pad, pad, pad}}, {"group", group}});
  }
  void output(ValueId id) { model.graph.add_output(id); }

  ExecPlan plan() const { return cpu_plan(model, inputs); }
  void check(const std::string& what) const {
    expect_same_on_cpu(model, inputs, what + "\n" + to_string(plan()));
  }
  // How many steps do work.
  size_t work() const {
    size_t count = 0;
    for (const Step& step : plan().steps)
      count += step.kind != StepKind::kView && step.kind != StepKind::kReorder ? 1 : 0;
    return count;
  }

  Model model;
  std::vector<Datum> inputs;

 private:
  std::string fresh(const std::string& stem) { return stem + std::to_string(next_++); }
  int next_ = 0;
  unsigned seed_ = 0;
};

}  // namespace mts::exec
