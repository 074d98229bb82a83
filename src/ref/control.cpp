// If, Loop, Scan and SequenceMap. Bodies are run by Env::run_subgraph, which knows what they capture.
#include "ref/interpreter.h"
#include "ref/layout.h"
#include "ref/operators.h"

#include <algorithm>

#include <fmt/format.h>

namespace mts::ref {
namespace {

Outputs run_body(const Call& c, const Graph& body, std::span<const Datum> inputs) {
  if (c.env.run_subgraph) return c.env.run_subgraph(body, inputs);
  if (!body.captures().empty()) return c.unsupported("its body reads outer values, which are not known here");
  return interpret(body, inputs, c.env);
}

const Graph* body_of(const Call& c, std::string_view attribute) {
  const Attribute* found = c.node.find(attribute);
  const auto* graph = found ? std::get_if<std::shared_ptr<Graph>>(&found->value) : nullptr;
  return graph ? graph->get() : nullptr;
}

Result<bool> truth(const Call& c, const Datum& datum) {
  const Tensor* tensor = datum.tensor();
  if (!tensor || tensor->dtype() != DType::kBool || tensor->element_count() != 1)
    return c.bad("a condition is not one bool");
  return *tensor->as<uint8_t>() != 0;
}

Tensor bool_tensor(bool value) {
  Tensor result(DType::kBool, {});
  *result.mutable_as<uint8_t>() = value;
  return result;
}

// Stacks the outputs of all iterations along a new axis.
Result<Tensor> stack(const Call& c, const std::vector<Tensor>& parts, const Tensor* empty_like, size_t axis,
                     bool reverse) {
  if (parts.empty()) {
    if (!empty_like) return c.unsupported("an output collected over no iterations, whose shape is not known");
    return *empty_like;
  }
  const Tensor& first = parts[0];
  if (axis > first.dims().size()) return c.bad("an axis of a collected output is out of range");
  Dims dims = first.dims();
  dims.insert(dims.begin() + static_cast<std::ptrdiff_t>(axis), static_cast<int64_t>(parts.size()));
  MTS_ASSIGN(Tensor out, c.make(first.dtype(), dims));
  const Split3 s = split_at(dims, axis);
  for (size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].dims() != first.dims() || parts[i].dtype() != first.dtype())
      return c.bad("an output changes its shape between iterations");
    const auto position = static_cast<int64_t>(reverse ? parts.size() - 1 - i : i);
    for (int64_t o = 0; o < s.outer; ++o) {
      copy_elements(parts[i], o * s.inner, out, (o * s.length + position) * s.inner, s.inner);
    }
  }
  return out;
}

// An empty tensor for a collected output of a loop that did not run, when the body's output type says enough.
Tensor empty_from(const Type& type) {
  Dims dims{0};
  if (type.shape) {
    for (const Dim& dim : *type.shape) dims.push_back(dim.is_known() ? dim.value : 0);
  }
  return Tensor(type.dtype, dims);
}

Outputs if_op(const Call& c) {
  MTS_ASSIGN(const bool condition, truth(c, c.datum(0)));
  const Graph* branch = body_of(c, condition ? "then_branch" : "else_branch");
  if (!branch) return c.bad("a branch is missing");
  return run_body(c, *branch, {});
}

Outputs loop(const Call& c) {
  const Graph* body = body_of(c, "body");
  if (!body) return c.bad("its body is missing");
  int64_t limit = INT64_MAX;
  if (c.has(0)) {
    if (!c.opt(0)) return c.bad("its trip count is not a tensor");
    MTS_ASSIGN(limit, c.scalar_int(c.in(0)));
  }
  bool go_on = true;
  if (c.has(1)) {
    MTS_ASSIGN(go_on, truth(c, c.datum(1)));
  }
  const size_t carried_count = c.inputs.size() > 2 ? c.inputs.size() - 2 : 0;
  if (body->inputs().size() != carried_count + 2 || body->outputs().size() < carried_count + 1) {
    return c.bad("its body takes or gives another number of values");
  }
  std::vector<Datum> carried;
  for (size_t i = 0; i < carried_count; ++i) carried.push_back(c.has(i + 2) ? c.datum(i + 2) : Datum());
  const size_t collected_count = body->outputs().size() - 1 - carried_count;
  std::vector<std::vector<Tensor>> collected(collected_count);
  for (int64_t iteration = 0; iteration < limit && go_on; ++iteration) {
    if (iteration == c.env.most_iterations)
      return c.unsupported(fmt::format("it does not end within {} iterations", iteration));
    std::vector<Datum> arguments;
    arguments.emplace_back(Tensor::of<int64_t>(DType::kInt64, {}, std::span(&iteration, 1)));
    arguments.emplace_back(bool_tensor(true));
    arguments.insert(arguments.end(), carried.begin(), carried.end());
    MTS_ASSIGN(std::vector<Datum> results, run_body(c, *body, arguments));
    MTS_ASSIGN(go_on, truth(c, results[0]));
    for (size_t i = 0; i < carried_count; ++i) carried[i] = std::move(results[1 + i]);
    for (size_t i = 0; i < collected_count; ++i) {
      const Tensor* tensor = results[1 + carried_count + i].tensor();
      if (!tensor) return c.bad("it collects something that is not a tensor");
      collected[i].push_back(*tensor);
    }
  }
  std::vector<Datum> outputs = std::move(carried);
  for (size_t i = 0; i < collected_count; ++i) {
    const Type& type = body->value(body->outputs()[1 + carried_count + i]).type;
    const Tensor empty = type.is_tensor() ? empty_from(type) : Tensor();
    MTS_ASSIGN(Tensor all, stack(c, collected[i], empty.defined() ? &empty : nullptr, 0, false));
    outputs.emplace_back(std::move(all));
  }
  return outputs;
}

// The part of `x` at position `at` of an axis, without that axis.
Tensor element_of(const Tensor& x, size_t axis, int64_t at) {
  Dims dims = x.dims(), strides = strides_of(x.dims());
  const int64_t offset = at * strides[axis];
  dims.erase(dims.begin() + static_cast<std::ptrdiff_t>(axis));
  strides.erase(strides.begin() + static_cast<std::ptrdiff_t>(axis));
  return copy_strided(x, offset, strides, dims);
}

struct ScanPlan {
  size_t states, inputs, outputs;
  std::vector<int64_t> input_axes, input_directions, output_axes, output_directions;
};

// One scan over tensors without a batch axis.
Outputs scan_once(const Call& c, const Graph& body, const ScanPlan& plan, std::vector<Datum> states,
                  const std::vector<Tensor>& inputs, int64_t length) {
  std::vector<std::vector<Tensor>> collected(plan.outputs);
  std::vector<size_t> axes;
  for (size_t i = 0; i < plan.inputs; ++i) {
    MTS_ASSIGN(const size_t axis, c.axis(plan.input_axes[i], inputs[i].dims().size()));
    if (inputs[i].dims()[axis] < length) return c.bad("its inputs have different lengths");
    axes.push_back(axis);
  }
  for (int64_t iteration = 0; iteration < length; ++iteration) {
    std::vector<Datum> arguments = states;
    for (size_t i = 0; i < plan.inputs; ++i) {
      const int64_t at = plan.input_directions[i] ? length - 1 - iteration : iteration;
      arguments.emplace_back(element_of(inputs[i], axes[i], at));
    }
    MTS_ASSIGN(std::vector<Datum> results, run_body(c, body, arguments));
    for (size_t i = 0; i < plan.states; ++i) states[i] = std::move(results[i]);
    for (size_t i = 0; i < plan.outputs; ++i) {
      const Tensor* tensor = results[plan.states + i].tensor();
      if (!tensor) return c.bad("it collects something that is not a tensor");
      collected[i].push_back(*tensor);
    }
  }
  std::vector<Datum> outputs = std::move(states);
  for (size_t i = 0; i < plan.outputs; ++i) {
    const Type& type = body.value(body.outputs()[plan.states + i]).type;
    const Tensor empty = type.is_tensor() ? empty_from(type) : Tensor();
    const size_t rank = (collected[i].empty() ? empty.dims().size() : collected[i][0].dims().size() + 1);
    MTS_ASSIGN(const size_t axis, c.axis(plan.output_axes[i], rank));
    MTS_ASSIGN(Tensor all, stack(c, collected[i], empty.defined() ? &empty : nullptr, axis,
                                 plan.output_directions[i] != 0));
    outputs.emplace_back(std::move(all));
  }
  return outputs;
}

Result<ScanPlan> scan_plan(const Call& c, const Graph& body, size_t given) {
  ScanPlan plan;
  const int64_t inputs = c.node.int_or("num_scan_inputs", 0);
  if (inputs < 1 || static_cast<size_t>(inputs) > given) return c.bad("num_scan_inputs is wrong");
  plan.inputs = static_cast<size_t>(inputs);
  plan.states = given - plan.inputs;
  if (body.inputs().size() != given || body.outputs().size() < plan.states)
    return c.bad("its body takes or gives another number of values");
  plan.outputs = body.outputs().size() - plan.states;
  const auto read = [&](std::string_view name, size_t count) {
    return c.node.ints_or(name, std::vector<int64_t>(count, 0));
  };
  plan.input_axes = read("scan_input_axes", plan.inputs);
  plan.input_directions = read(c.version < 9 ? "directions" : "scan_input_directions", plan.inputs);
  plan.output_axes = read("scan_output_axes", plan.outputs);
  plan.output_directions = read("scan_output_directions", plan.outputs);
  if (plan.input_axes.size() != plan.inputs || plan.input_directions.size() != plan.inputs ||
      plan.output_axes.size() != plan.outputs || plan.output_directions.size() != plan.outputs) {
    return c.bad("its axes or directions do not fit the number of inputs or outputs");
  }
  return plan;
}

Outputs scan(const Call& c) {
  const Graph* body = body_of(c, "body");
  if (!body) return c.bad("its body is missing");
  MTS_ASSIGN(const ScanPlan plan, scan_plan(c, *body, c.inputs.size()));
  std::vector<Datum> states;
  std::vector<Tensor> inputs;
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    if (!c.has(i) || !c.datum(i).tensor()) return c.bad("an input is missing or not a tensor");
    if (i < plan.states) {
      states.push_back(c.datum(i));
    } else {
      inputs.push_back(c.in(i));
    }
  }
  MTS_ASSIGN(const size_t axis, c.axis(plan.input_axes[0], inputs[0].dims().size()));
  return scan_once(c, *body, plan, std::move(states), inputs, inputs[0].dims()[axis]);
}

// Opset 8: everything has a leading batch axis, input 0 may hold the length of each sequence.
Outputs scan_8(const Call& c) {
  const Graph* body = body_of(c, "body");
  if (!body || c.inputs.size() < 2) return c.bad("its body or inputs are missing");
  MTS_ASSIGN(const ScanPlan plan, scan_plan(c, *body, c.inputs.size() - 1));
  for (size_t i = 1; i < c.inputs.size(); ++i) {
    if (!c.has(i) || !c.datum(i).tensor() || c.in(i).dims().size() < (i <= plan.states ? 1u : 2u))
      return c.bad("an input is missing or has no batch axis");
  }
  const int64_t batch = c.in(1).dims()[0];
  const int64_t longest = c.in(1 + plan.states).dims()[1];
  std::vector<int64_t> lengths(static_cast<size_t>(batch), longest);
  if (const Tensor* given = c.opt(0)) {
    MTS_ASSIGN(lengths, c.ints(*given));
  }
  if (static_cast<int64_t>(lengths.size()) != batch || batch == 0)
    return c.bad("sequence_lens does not fit the batch");
  std::vector<std::vector<Tensor>> results(plan.states + plan.outputs);
  for (int64_t b = 0; b < batch; ++b) {
    const int64_t length = lengths[static_cast<size_t>(b)];
    if (length != longest) return c.unsupported("Scan of opset 8 over sequences of different lengths");
    std::vector<Datum> states;
    std::vector<Tensor> inputs;
    for (size_t i = 0; i < plan.states + plan.inputs; ++i) {
      if (c.in(i + 1).dims()[0] != batch) return c.bad("its inputs have different batch sizes");
      Tensor part = element_of(c.in(i + 1), 0, b);
      if (i < plan.states) {
        states.emplace_back(std::move(part));
      } else {
        inputs.push_back(std::move(part));
      }
    }
    MTS_ASSIGN(std::vector<Datum> outputs, scan_once(c, *body, plan, std::move(states), inputs, length));
    for (size_t i = 0; i < results.size(); ++i) {
      if (!outputs[i].tensor()) return c.bad("its state is not a tensor");
      results[i].push_back(*outputs[i].tensor());
    }
  }
  std::vector<Datum> outputs;
  for (const std::vector<Tensor>& parts : results) {
    MTS_ASSIGN(Tensor all, stack(c, parts, nullptr, 0, false));
    outputs.emplace_back(std::move(all));
  }
  return outputs;
}

// Runs the body for each element of the first sequence; other inputs are sequences of the same length, or
// tensors that every run sees.
Outputs sequence_map(const Call& c) {
  const Graph* body = body_of(c, "body");
  const auto* first = std::get_if<Sequence>(&c.datum(0).value);
  if (!body || !first) return c.bad("its body is missing, or its first input is not a sequence");
  if (body->inputs().size() != c.inputs.size()) return c.bad("its body takes another number of values");
  std::vector<Sequence> results(body->outputs().size());
  for (size_t element = 0; element < first->size(); ++element) {
    std::vector<Datum> arguments;
    for (size_t i = 0; i < c.inputs.size(); ++i) {
      if (!c.has(i)) return c.bad("an input is missing");
      const auto* sequence = std::get_if<Sequence>(&c.datum(i).value);
      if (sequence && element >= sequence->size()) return c.bad("its sequences have different lengths");
      arguments.push_back(sequence ? (*sequence)[element] : c.datum(i));
    }
    MTS_ASSIGN(std::vector<Datum> outputs, run_body(c, *body, arguments));
    for (size_t i = 0; i < results.size(); ++i) results[i].push_back(std::move(outputs[i]));
  }
  std::vector<Datum> outputs;
  for (Sequence& sequence : results) outputs.emplace_back(std::move(sequence));
  return outputs;
}

constexpr Operator kTable[] = {
    {"If", "", 1, kLatest, 1, kAny, if_op},
    {"Loop", "", 1, kLatest, 0, kAny, loop},
    {"Scan", "", 8, 8, 0, kAny, scan_8},
    {"Scan", "", 9, kLatest, 1, kAny, scan},
    {"SequenceMap", "", 17, kLatest, 1, kAny, sequence_map},
};

}  // namespace

std::span<const Operator> control_operators() { return kTable; }

}  // namespace mts::ref
