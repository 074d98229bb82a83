#include "exec/host.h"

#include <map>
#include <utility>

namespace mts::exec {
namespace {

// A body ready to run once or, in a Loop, many times: what does not change between iterations is put in place
// once.
class Body {
 public:
  static Result<Body> create(const Graph& graph, const OuterValue& outer) {
    Body body(graph);
    for (size_t i = 0; i < graph.value_count(); ++i) {
      const ValueId id{static_cast<uint32_t>(i)};
      if (graph.value(id).is_constant()) body.put(id, tensor_of(graph.value(id).weight));
    }
    for (const Capture& capture : graph.captures()) {
      const Datum* datum = outer(capture.outer);
      if (datum == nullptr)
        return fail(ErrorCode::kInternal, "a captured value of the body '" + graph.name + "' is missing");
      body.put(capture.inner, *datum);
    }
    return body;
  }

  Result<std::vector<Datum>> run(std::span<const Datum> inputs, const Env& env) {
    if (inputs.size() != graph_->inputs().size()) {
      return fail(ErrorCode::kModel, "the body '" + graph_->name + "' takes " +
                                         std::to_string(graph_->inputs().size()) + " inputs, " +
                                         std::to_string(inputs.size()) + " were given");
    }
    for (size_t i = 0; i < inputs.size(); ++i) put(graph_->inputs()[i], inputs[i]);
    const OuterValue own = [this](ValueId id) { return find(id); };
    std::vector<const Datum*> operands;
    for (NodeId id : graph_->order()) {
      const Node& node = graph_->node(id);
      operands.clear();
      for (ValueId input : node.inputs) operands.push_back(input == kNoValue ? nullptr : find(input));
      MTS_ASSIGN(std::vector<Datum> results, evaluate_on_host(node, operands, env, own));
      for (size_t i = 0; i < node.outputs.size() && i < results.size(); ++i) {
        if (node.outputs[i] != kNoValue) put(node.outputs[i], std::move(results[i]));
      }
    }
    std::vector<Datum> outputs;
    for (ValueId output : graph_->outputs()) {
      const Datum* datum = find(output);
      if (datum == nullptr)
        return fail(ErrorCode::kInternal, "an output of the body '" + graph_->name + "' is missing");
      outputs.push_back(*datum);
    }
    return outputs;
  }

 private:
  explicit Body(const Graph& graph)
      : graph_(&graph), frame_(graph.value_count()), set_(graph.value_count(), false) {}

  void put(ValueId id, Datum datum) {
    frame_[index(id)] = std::move(datum);
    set_[index(id)] = true;
  }
  const Datum* find(ValueId id) const { return set_[index(id)] ? &frame_[index(id)] : nullptr; }

  const Graph* graph_;
  std::vector<Datum> frame_;  // by value
  std::vector<bool> set_;
};

}  // namespace

Result<std::vector<Datum>> evaluate_on_host(const Node& node, std::span<const Datum* const> inputs,
                                            const Env& env, const OuterValue& outer) {
  if (node.subgraphs().empty()) return evaluate(node, inputs, env);
  std::map<const Graph*, Body> bodies;
  Env plain = env;  // of the nodes of the bodies
  plain.prepared = nullptr;
  Env with_bodies = plain;
  with_bodies.run_subgraph = [&](const Graph& graph,
                                 std::span<const Datum> operands) -> Result<std::vector<Datum>> {
    auto found = bodies.find(&graph);
    if (found == bodies.end()) {
      MTS_ASSIGN(Body body, Body::create(graph, outer));
      found = bodies.emplace(&graph, std::move(body)).first;
    }
    return found->second.run(operands, plain);
  };
  return evaluate(node, inputs, with_bodies);
}

Tensor tensor_of(const WeightPtr& weight) {
  const std::span<const std::byte> bytes = weight->bytes();
  const size_t alignment = std::max<size_t>(1, static_cast<size_t>(bit_width(weight->dtype())) / 8);
  if (bytes.empty() || reinterpret_cast<uintptr_t>(bytes.data()) % alignment != 0)
    return Tensor::from_weight(*weight);
  // Borrowed read-only: whoever shares a tensor that it did not make never writes to it.
  return Tensor::borrow(weight->dtype(), weight->dims(), const_cast<std::byte*>(bytes.data()), weight);
}

}  // namespace mts::exec
