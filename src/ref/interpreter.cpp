#include "ref/interpreter.h"

#include <algorithm>
#include <unordered_map>

#include <fmt/format.h>

namespace mts {
namespace {

// Which values are dead after which node.
using Deaths = std::vector<std::vector<ValueId>>;  // by position in Graph::order()

Deaths deaths_of(const Graph& graph) {
  constexpr size_t kNever = static_cast<size_t>(-1);
  std::vector<size_t> last(graph.value_count(), kNever);
  const std::vector<NodeId>& order = graph.order();
  for (size_t position = 0; position < order.size(); ++position) {
    const Node& node = graph.node(order[position]);
    for (ValueId input : node.inputs) {
      if (input != kNoValue) last[index(input)] = position;
    }
    for (const Graph* body : node.subgraphs()) {
      for (const Capture& capture : body->captures()) last[index(capture.outer)] = position;
    }
    for (ValueId output : node.outputs) {  // an output that nobody reads dies at once
      if (output != kNoValue && last[index(output)] == kNever) last[index(output)] = position;
    }
  }
  for (ValueId output : graph.outputs()) last[index(output)] = kNever;
  Deaths deaths(order.size());
  for (size_t value = 0; value < last.size(); ++value) {
    if (last[value] != kNever) deaths[last[value]].push_back(static_cast<ValueId>(value));
  }
  return deaths;
}

uint64_t bytes_of(const Datum& datum) {
  if (const Tensor* tensor = datum.tensor()) return tensor->byte_size();
  uint64_t total = 0;
  if (const auto* sequence = std::get_if<Sequence>(&datum.value)) {
    for (const Datum& element : *sequence) total += bytes_of(element);
  }
  return total;
}

class Interpreter {
 public:
  explicit Interpreter(Env env) : env_(std::move(env)) {}

  // The values of one run of one graph.
  struct Frame {
    const Graph& graph;
    std::vector<Datum> values;
    std::vector<bool> present;
  };

  Result<std::vector<Datum>> run(const Graph& graph, std::span<const Datum> inputs, const Frame* outer) {
    if (inputs.size() != graph.inputs().size()) {
      return fail(ErrorCode::kModel,
                  fmt::format("{} inputs were given, {} are expected", inputs.size(), graph.inputs().size()));
    }
    Frame frame{graph, std::vector<Datum>(graph.value_count()),
                std::vector<bool>(graph.value_count(), false)};
    const uint64_t before = live_;
    for (size_t i = 0; i < inputs.size(); ++i) define(frame, graph.inputs()[i], inputs[i]);
    for (const Capture& capture : graph.captures()) {
      if (!outer)
        return fail(ErrorCode::kUnsupported, "a subgraph reads values of a graph that is not there");
      MTS_ASSIGN(const Datum* value, find(*outer, capture.outer));
      frame.values[index(capture.inner)] = *value;
      frame.present[index(capture.inner)] = true;
    }
    auto found = deaths_.find(&graph);
    if (found == deaths_.end()) found = deaths_.emplace(&graph, deaths_of(graph)).first;
    const Deaths& deaths = found->second;
    for (size_t position = 0; position < graph.order().size(); ++position) {
      MTS_TRY(step(frame, graph.node(graph.order()[position])));
      for (ValueId dead : deaths[position]) {
        if (graph.is_input(dead)) continue;  // the caller holds it anyway
        live_ -= std::min(live_, bytes_of(frame.values[index(dead)]));
        frame.values[index(dead)] = Datum();
      }
    }
    std::vector<Datum> outputs;
    for (ValueId output : graph.outputs()) {
      MTS_ASSIGN(const Datum* value, find(frame, output));
      outputs.push_back(*value);
    }
    live_ = before;
    return outputs;
  }

  uint64_t peak() const { return peak_; }
  uint64_t constant_bytes() const {
    uint64_t total = 0;
    for (const auto& [weight, datum] : constants_) total += bytes_of(datum);
    return total;
  }

 private:
  void define(Frame& frame, ValueId id, Datum value) {
    live_ += bytes_of(value);
    peak_ = std::max(peak_, live_);
    frame.values[index(id)] = std::move(value);
    frame.present[index(id)] = true;
  }

  Result<const Datum*> find(const Frame& frame, ValueId id) {
    const Value& value = frame.graph.value(id);
    if (value.weight) {
      auto found = constants_.find(value.weight.get());
      if (found == constants_.end()) {
        found = constants_.emplace(value.weight.get(), Datum(Tensor::from_weight(*value.weight))).first;
      }
      return &found->second;
    }
    if (!frame.present[index(id)]) {
      return fail(ErrorCode::kModel, "it is read before it is computed",
                  {.file = {}, .node = {}, .value = value.name});
    }
    return &frame.values[index(id)];
  }

  Result<void> step(Frame& frame, const Node& node) {
    std::vector<const Datum*> inputs;
    for (ValueId input : node.inputs) {
      if (input == kNoValue) {
        inputs.push_back(nullptr);
        continue;
      }
      MTS_ASSIGN(const Datum* value, find(frame, input));
      inputs.push_back(value);
    }
    Env env = env_;
    env.run_subgraph = [this, &frame](const Graph& body, std::span<const Datum> arguments) {
      return run(body, arguments, &frame);
    };
    MTS_ASSIGN(std::vector<Datum> outputs, evaluate(node, inputs, env));
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (node.outputs[i] != kNoValue) define(frame, node.outputs[i], std::move(outputs[i]));
    }
    return {};
  }

  Env env_;
  std::unordered_map<const Weight*, Datum> constants_;
  std::unordered_map<const Graph*, Deaths> deaths_;
  uint64_t live_ = 0, peak_ = 0;
};

Result<void> check_input(const Value& expected, const Datum& given) {
  const Tensor* tensor = given.tensor();
  if (!expected.type.is_tensor()) return {};
  const Where where{.file = {}, .node = {}, .value = expected.name};
  if (!tensor || tensor->dtype() != expected.type.dtype) {
    return fail(ErrorCode::kUsage,
                fmt::format("the input is {}, {} is expected",
                            tensor ? name_of(tensor->dtype()) : "no tensor", to_string(expected.type)),
                where);
  }
  if (!expected.type.shape) return {};
  const Shape& shape = *expected.type.shape;
  bool fits = shape.size() == tensor->dims().size();
  for (size_t i = 0; fits && i < shape.size(); ++i)
    fits = !shape[i].is_known() || shape[i].value == tensor->dims()[i];
  if (!fits) {
    Type actual = Type::tensor(tensor->dtype(), {});
    for (int64_t dim : tensor->dims()) actual.shape->push_back(Dim::known(dim));
    return fail(ErrorCode::kUsage,
                fmt::format("the input is {}, {} is expected", to_string(actual), to_string(expected.type)),
                where);
  }
  return {};
}

Result<void> check_supported(const Graph& graph, const std::map<std::string, int64_t>& opsets) {
  for (NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    if (!supported(node, opsets)) {
      return fail(ErrorCode::kUnsupported,
                  fmt::format("the reference evaluator does not implement {}{}{}", node.domain,
                              node.domain.empty() ? "" : ".", node.op_type),
                  {.file = {}, .node = node.label(), .value = {}});
    }
    for (const Graph* body : node.subgraphs()) MTS_TRY(check_supported(*body, opsets));
  }
  return {};
}

class ReferenceSession : public Session {
 public:
  explicit ReferenceSession(const Model& model) : model_(model), interpreter_(env_of(model)) {}

  Result<std::vector<Datum>> run(std::span<const Datum> inputs) override {
    const Graph& graph = model_.graph;
    for (size_t i = 0; i < std::min(inputs.size(), graph.inputs().size()); ++i) {
      MTS_TRY(check_input(graph.value(graph.inputs()[i]), inputs[i]));
    }
    return interpreter_.run(graph, inputs, nullptr);
  }
  MemoryUse memory() const override {
    return {.weights = interpreter_.constant_bytes(), .arena = interpreter_.peak()};
  }

 private:
  const Model& model_;
  Interpreter interpreter_;
};

}  // namespace

Result<std::vector<Datum>> interpret(const Model& model, std::span<const Datum> inputs) {
  return ReferenceSession(model).run(inputs);
}

Result<std::vector<Datum>> interpret(const Graph& graph, std::span<const Datum> inputs, const Env& env) {
  return Interpreter(env).run(graph, inputs, nullptr);
}

Result<std::unique_ptr<Session>> make_reference_session(const Model& model) {
  MTS_TRY(check_supported(model.graph, model.opsets));
  return std::make_unique<ReferenceSession>(model);
}

}  // namespace mts
