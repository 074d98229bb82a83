#include "exec/compile.h"

#include "exec/attention.h"
#include "exec/geometry.h"
#include "exec/host.h"
#include "exec/narrow.h"
#include "exec/round_trip.h"
#include "ref/formats.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace mts::exec {
namespace {

// Nodes whose output is their input with other dims: no work.
bool is_reshape(const Node& node) {
  const bool training = node.is("Dropout") && node.inputs.size() > 2 && node.inputs[2] != kNoValue;
  // Dropout's mask is work.
  const bool more_outputs =
      std::any_of(node.outputs.begin() + 1, node.outputs.end(), [](ValueId v) { return v != kNoValue; });
  if (training || more_outputs) return false;
  return node.is("Reshape") || node.is("Flatten") || node.is("Squeeze") || node.is("Unsqueeze") ||
         node.is("Identity") || node.is("Dropout");
}

class StepMaker {
 public:
  StepMaker(const Model& model, const Binding& binding, const Backend& backend)
      : graph_(model.graph), facts_(binding.facts), backend_(backend) {
    plan_.graph = &graph_;
    plan_.opset = model.opset();
    index_.assign(graph_.value_count(), kAbsent);
  }

  ExecPlan run() {
    find_needed();
    for (ValueId id : graph_.inputs()) plan_.inputs.push_back(value_of(id));
    for (NodeId id : graph_.order()) {
      if (needed_[index(id)]) add(id);
    }
    for (ValueId id : graph_.outputs()) plan_.outputs.push_back(value_of(id));
    return std::move(plan_);
  }

 private:
  const Fact& fact(ValueId id) const { return facts_[index(id)]; }

  // A node is needed when a needed value comes from it whose content is not known.
  void find_needed() {
    needed_.assign(graph_.node_count(), false);
    std::vector<bool> wanted(graph_.value_count(), false);
    const auto want = [&](ValueId id) {
      if (id != kNoValue && !fact(id).is_content()) wanted[index(id)] = true;
    };
    for (ValueId id : graph_.outputs()) want(id);
    for (auto it = graph_.order().rbegin(); it != graph_.order().rend(); ++it) {
      const Node& node = graph_.node(*it);
      const bool needed = std::any_of(node.outputs.begin(), node.outputs.end(),
                                      [&](ValueId id) { return id != kNoValue && wanted[index(id)]; });
      if (!needed) continue;
      needed_[index(*it)] = true;
      if (const auto trip = round_trip_of(graph_, facts_, node)) {
        want(trip->source);
        continue;
      }
      for (ValueId id : node.inputs) want(id);
      for (const Graph* body : node.subgraphs()) {
        for (const Capture& capture : body->captures()) want(capture.outer);
      }
    }
  }

  ValueIndex value_of(ValueId id) {
    if (id == kNoValue) return kAbsent;
    ValueIndex& at = index_[index(id)];
    if (at != kAbsent) return at;
    at = static_cast<ValueIndex>(plan_.values.size());
    const Fact& known = fact(id);
    PlanValue value;
    value.name = graph_.value(id).name;
    value.dtype = known.dtype;
    value.dims = known.dims;
    value.is_static = known.is_shaped() && known.dtype != DType::kString;
    value.bytes = value.is_static ? byte_size(value.dtype, element_count(value.dims)) : 0;
    value.id = id;
    if (known.is_content()) {
      value.constant = static_cast<int32_t>(plan_.constants.size());
      plan_.constants.push_back(*known.content);
    }
    plan_.values.push_back(std::move(value));
    return at;
  }

  std::optional<float> scalar(ValueId id) const {
    const Tensor* tensor = id == kNoValue ? nullptr : fact(id).tensor();
    if (tensor == nullptr || !is_element_type(tensor->dtype()) || tensor->element_count() != 1)
      return std::nullopt;
    return *floats_of(*tensor).as<float>();
  }

  // What elementwise steps of this backend read and write.
  bool is_element_type(DType dtype) const {
    const bool is_small = dtype == DType::kFloat16 || dtype == DType::kBfloat16;
    return dtype == DType::kFloat32 || (is_small && backend_.mixes_small_floats());
  }
  static Tensor floats_of(const Tensor& tensor) {
    return tensor.dtype() == DType::kFloat32 ? tensor : ref::widen(tensor);
  }

  void add(NodeId id) {
    const Node& node = graph_.node(id);
    if (node.is("BatchNormalization") && add_scale_and_shift(id)) return;
    if (const auto trip = round_trip_of(graph_, facts_, node)) return add_round_trip(id, *trip);
    Step step;
    step.op = node.op_type;
    step.node = id;
    step.nodes = {id};
    bool is_static = node.subgraphs().empty(), is_float = true;
    for (ValueId input : node.inputs) {
      step.inputs.push_back(value_of(input));
      if (input == kNoValue) continue;
      is_static = is_static && plan_.value(step.inputs.back()).is_static;
      is_float = is_float && is_element_type(fact(input).dtype);
    }
    for (ValueId output : node.outputs) {
      step.outputs.push_back(value_of(output));
      if (output == kNoValue) continue;
      is_static = is_static && plan_.value(step.outputs.back()).is_static;
      is_float = is_float && is_element_type(fact(output).dtype);
    }
    if (node.is("Split") && is_static) name_unwanted_parts(node, step);
    for (const Graph* body : node.subgraphs()) {
      for (const Capture& capture : body->captures()) step.captures.push_back(value_of(capture.outer));
    }
    step.node_inputs = static_cast<int32_t>(step.inputs.size());
    if (is_static && !node.outputs.empty() && is_reshape(node)) {
      step.kind = StepKind::kView;
    } else if (is_static && is_float && make_elementwise(node, step)) {
      step.op = "Elementwise";
    }
    if (!is_static || (step.kind == StepKind::kKernel && !backend_.accepts(plan_, step)))
      step.kind = StepKind::kHost;
    plan_.steps.push_back(std::move(step));
  }

  // Parts of a Split that nobody reads get values too: the offsets of the others depend on their sizes.
  void name_unwanted_parts(const Node& node, Step& step) {
    if (std::find(step.outputs.begin(), step.outputs.end(), kAbsent) == step.outputs.end()) return;
    std::vector<const Fact*> inputs;
    for (ValueId input : node.inputs) inputs.push_back(input == kNoValue ? nullptr : &fact(input));
    std::vector<Fact> parts(node.outputs.size());
    const Result<bool> known = infer_dims(node, inputs, parts);
    if (!known || !*known) return;
    for (size_t i = 0; i < parts.size(); ++i) {
      if (step.outputs[i] != kAbsent) continue;
      step.outputs[i] = add_value(node.name + "/unread", parts[i].dims);
      PlanValue& part = plan_.value(step.outputs[i]);
      part.dtype = parts[i].dtype;
      part.bytes = byte_size(part.dtype, element_count(part.dims));
    }
  }

  ValueIndex add_value(std::string name, Dims dims, DType dtype = DType::kFloat32) {
    PlanValue value;
    value.name = std::move(name);
    value.dtype = dtype;
    value.bytes = byte_size(value.dtype, element_count(dims));
    value.dims = std::move(dims);
    value.is_static = true;
    plan_.values.push_back(std::move(value));
    return static_cast<ValueIndex>(plan_.values.size() - 1);
  }

  // BatchNormalization with known statistics -> y = x * scale + shift, two elementwise steps (which fuse).
  bool add_scale_and_shift(NodeId id) {
    const Node& node = graph_.node(id);
    if (node.inputs.size() != 5 || node.outputs.size() != 1 || node.int_or("training_mode", 0) != 0)
      return false;
    const Fact& input = fact(node.inputs[0]);
    if (!input.is_shaped() || !is_element_type(input.dtype) || input.dims.size() < 2) return false;
    const int64_t channels = input.dims[1];
    Tensor known[4];
    const float* parameters[4];
    for (size_t i = 0; i < 4; ++i) {
      const Tensor* tensor = fact(node.inputs[i + 1]).tensor();
      if (tensor == nullptr || !is_element_type(tensor->dtype()) || tensor->element_count() != channels)
        return false;
      known[i] = floats_of(*tensor);
      parameters[i] = known[i].as<float>();
    }
    Dims dims(input.dims.size() - 1, 1);
    dims[0] = channels;
    Tensor scale(DType::kFloat32, dims), shift(DType::kFloat32, dims);
    const double epsilon = node.float_or("epsilon", 1e-5f);
    for (int64_t c = 0; c < channels; ++c) {
      const double slope = parameters[0][c] / std::sqrt(parameters[3][c] + epsilon);
      scale.mutable_as<float>()[c] = static_cast<float>(slope);
      shift.mutable_as<float>()[c] = static_cast<float>(parameters[1][c] - parameters[2][c] * slope);
    }
    const std::string& name = graph_.value(node.outputs[0]).name;
    const ValueIndex scaled = add_value(name + "/scaled", input.dims, input.dtype);
    ValueIndex source = value_of(node.inputs[0]);
    for (auto& [op, constant] : {std::pair{ElementOp::kMul, scale}, std::pair{ElementOp::kAdd, shift}}) {
      const ValueIndex operand = add_value(name + (op == ElementOp::kMul ? "/scale" : "/shift"), dims);
      plan_.value(operand).constant = static_cast<int32_t>(plan_.constants.size());
      plan_.constants.emplace_back(constant);
      Step step;
      step.op = "Elementwise";
      step.node = id;
      step.nodes = {id};
      step.inputs = {source, operand};
      step.node_inputs = 2;
      step.outputs = {op == ElementOp::kMul ? scaled : value_of(node.outputs[0])};
      step.program = Program{2, {Instruction{.op = op, .a = 0, .b = 1}}};
      plan_.steps.push_back(std::move(step));
      source = scaled;
    }
    return true;
  }

  void add_round_trip(NodeId id, const RoundTrip& trip) {
    const ValueId output = graph_.node(id).outputs[0];
    ValueIndex source = value_of(trip.source);
    for (const Instruction& instruction : trip.code) {
      const bool is_last = &instruction == &trip.code.back();
      Step step;
      step.op = "Elementwise";
      step.node = id;
      step.nodes = {id};
      step.inputs = {source};
      step.node_inputs = 1;
      source = is_last ? value_of(output) : add_value(graph_.value(output).name + "/part", fact(output).dims);
      step.outputs = {source};
      step.program = Program{1, {instruction}};
      plan_.steps.push_back(std::move(step));
    }
  }

  bool make_elementwise(const Node& node, Step& step) {
    std::vector<std::optional<float>> bounds;
    if (node.is("Clip")) {
      for (size_t i = 1; i < node.inputs.size(); ++i) bounds.push_back(scalar(node.inputs[i]));
    }
    std::optional<Instruction> instruction = instruction_of(node, bounds);
    if (!instruction) return false;
    if (node.is("PRelu") && plan_.value(step.inputs[0]).dims != plan_.value(step.outputs[0]).dims)
      return false;
    step.inputs.resize(is_binary(instruction->op) ? 2 : 1);
    step.node_inputs = static_cast<int32_t>(step.inputs.size());
    if (is_binary(instruction->op)) instruction->b = 1;
    step.program = Program{step.node_inputs, {*instruction}};
    return true;
  }

  const Graph& graph_;
  const std::vector<Fact>& facts_;
  const Backend& backend_;
  ExecPlan plan_;
  std::vector<ValueIndex> index_;
  std::vector<bool> needed_;
};

}  // namespace

ExecPlan make_steps(const Model& model, const Binding& binding, const Backend& backend) {
  return StepMaker(model, binding, backend).run();
}

// Every value that a step reads must have been made by an earlier one (or lie somewhere from the start).
static Result<void> check_places(const ExecPlan& plan) {
  for (const Step& step : plan.steps) {
    for (const std::vector<ValueIndex>* list : {&step.inputs, &step.captures}) {
      for (ValueIndex v : *list) {
        if (v == kAbsent || plan.value(v).root >= 0) continue;
        return fail(ErrorCode::kInternal, "a step reads a value that no step makes",
                    {.file = {}, .node = step.op, .value = plan.value(v).name});
      }
    }
  }
  return {};
}

Result<ExecPlan> compile(const Model& model, const Binding& binding, Backend& backend) {
  ExecPlan plan = make_steps(model, binding, backend);
  std::map<std::string, int64_t> opsets = model.opsets;
  for (const Step& step : plan.steps) {
    if (step.kind != StepKind::kHost) continue;
    const Node& node = model.graph.node(step.node);
    if (!supported(node, opsets)) {
      return fail(
          ErrorCode::kUnsupported,
          "the executor has no " + node.op_type + (node.domain.empty() ? "" : " of domain " + node.domain),
          {.file = model.path.empty() ? model.name : model.path, .node = node.label(), .value = {}});
    }
  }
  if (backend.held_as() != DType::kFloat32) {
    fuse_activations(plan, backend);  // known by their constants, which 16 bits would round
    narrow_floats(plan, backend.held_as(), backend);
  }
  fuse(plan, backend);
  fuse_attention(plan, backend);
  MTS_TRY(backend.lay_out(plan));
  assign_memory(plan);
  MTS_TRY(check_places(plan));
  return plan;
}

}  // namespace mts::exec
