#include "exec/host.h"

#include <utility>

namespace mts::exec {
namespace {

Result<std::vector<Datum>> run_body(const Graph& body, std::span<const Datum> inputs, const Env& env,
                                    const OuterValue& outer) {
  if (inputs.size() != body.inputs().size()) {
    return fail(ErrorCode::kModel, "the body '" + body.name + "' takes " +
                                       std::to_string(body.inputs().size()) + " inputs, " +
                                       std::to_string(inputs.size()) + " were given");
  }
  std::vector<Datum> frame(body.value_count());
  std::vector<bool> set(body.value_count(), false);
  const auto put = [&](ValueId id, Datum datum) {
    frame[index(id)] = std::move(datum);
    set[index(id)] = true;
  };
  for (size_t i = 0; i < body.value_count(); ++i) {
    const ValueId id{static_cast<uint32_t>(i)};
    if (body.value(id).is_constant()) put(id, tensor_of(body.value(id).weight));
  }
  for (const Capture& capture : body.captures()) {
    const Datum* datum = outer(capture.outer);
    if (datum == nullptr)
      return fail(ErrorCode::kInternal, "a captured value of the body '" + body.name + "' is missing");
    put(capture.inner, *datum);
  }
  for (size_t i = 0; i < inputs.size(); ++i) put(body.inputs()[i], inputs[i]);
  const OuterValue own = [&](ValueId id) -> const Datum* {
    return set[index(id)] ? &frame[index(id)] : nullptr;
  };
  for (NodeId id : body.order()) {
    const Node& node = body.node(id);
    std::vector<const Datum*> operands;
    for (ValueId input : node.inputs) operands.push_back(input == kNoValue ? nullptr : own(input));
    MTS_ASSIGN(std::vector<Datum> results, evaluate_on_host(node, operands, env, own));
    for (size_t i = 0; i < node.outputs.size() && i < results.size(); ++i) {
      if (node.outputs[i] != kNoValue) put(node.outputs[i], std::move(results[i]));
    }
  }
  std::vector<Datum> outputs;
  for (ValueId output : body.outputs()) {
    const Datum* datum = own(output);
    if (datum == nullptr)
      return fail(ErrorCode::kInternal, "an output of the body '" + body.name + "' is missing");
    outputs.push_back(*datum);
  }
  return outputs;
}

}  // namespace

Result<std::vector<Datum>> evaluate_on_host(const Node& node, std::span<const Datum* const> inputs,
                                            const Env& env, const OuterValue& outer) {
  if (node.subgraphs().empty()) return evaluate(node, inputs, env);
  Env with_bodies = env;
  with_bodies.run_subgraph = [&](const Graph& body, std::span<const Datum> operands) {
    return run_body(body, operands, env, outer);
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
