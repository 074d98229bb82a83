// Fusion of elementwise work (see compile.h):
//   1. activations: a cluster of steps that computes a known function of one value (x * 0.5 * (1 + erf(x
//   / 1.41))) becomes
//      one instruction. The function is recognised by its values, so every way of writing it is found.
//   2. views: Reshape, then an activation -> activation, then Reshape, so that the activation meets its
//   producer.
//   3. epilogues: elementwise steps that follow a kernel step join it, as far as the backend accepts.
//   4. runs: what is left joins the elementwise step that feeds it, so that a chain makes one pass over
//   memory.
#include "exec/compile.h"
#include "exec/interpret.h"
#include "exec/uses.h"
#include "ref/formats.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <utility>

namespace mts::exec {
namespace {

constexpr size_t kMaxInstructions = 24, kMaxOperands = 8;
constexpr int kMaxClusterDepth = 10;

bool is_elementwise(const Step& step) { return step.kind == StepKind::kKernel && step.op == "Elementwise"; }

class Fuser {
 public:
  Fuser(ExecPlan& plan, const Backend& backend)
      : plan_(plan), backend_(backend), dead_(plan.steps.size(), false) {
    Uses uses = uses_of(plan);
    producer_ = std::move(uses.producer);
    readers_ = std::move(uses.readers);
  }

  void activations() {
    for (size_t i = 0; i < plan_.steps.size(); ++i) recognise(i);
    for (size_t i = 0; i < plan_.steps.size(); ++i) sink_view(i);
  }
  void joins() {
    for (size_t i = 0; i < plan_.steps.size(); ++i) join_epilogue(i);
    for (size_t i = 0; i < plan_.steps.size(); ++i) join_run(i);
  }
  void drop_dead() {
    std::vector<Step> kept;
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      if (!dead_[i]) kept.push_back(std::move(plan_.steps[i]));
    }
    plan_.steps = std::move(kept);
  }

 private:
  static size_t at(ValueIndex v) { return static_cast<size_t>(v); }
  void add_reader(ValueIndex v, size_t step) {
    if (v != kAbsent) readers_[at(v)].push_back(static_cast<int32_t>(step));
  }
  void drop_reader(ValueIndex v, size_t step) {
    if (v == kAbsent) return;
    auto& readers = readers_[at(v)];
    const auto found = std::find(readers.begin(), readers.end(), static_cast<int32_t>(step));
    if (found != readers.end()) readers.erase(found);
  }
  bool read_once(ValueIndex v) const { return readers_[at(v)].size() == 1 && readers_[at(v)][0] >= 0; }
  const Dims& dims(ValueIndex v) const { return plan_.value(v).dims; }

  std::optional<float> scalar(ValueIndex v) const {
    const PlanValue& value = plan_.value(v);
    if (!value.is_constant()) return std::nullopt;
    const Tensor* tensor = plan_.constants[static_cast<size_t>(value.constant)].tensor();
    if (tensor == nullptr || tensor->element_count() != 1) return std::nullopt;
    if (tensor->dtype() == DType::kFloat32) return *tensor->as<float>();
    const bool is_small = tensor->dtype() == DType::kFloat16 || tensor->dtype() == DType::kBfloat16;
    return is_small ? std::optional(*ref::widen(*tensor).as<float>()) : std::nullopt;
  }

  // ---- 1. activations

  // The function of `root` that `value` is, as a closure over the cluster's steps; nothing when it is
  // something else.
  std::optional<float> evaluate(ValueIndex value, ValueIndex root, float x, int depth) const {
    if (value == root) return x;
    if (const auto constant = scalar(value)) return constant;
    const int32_t producer = producer_[at(value)];
    if (depth == 0 || producer < 0 || !is_elementwise(plan_.steps[static_cast<size_t>(producer)]))
      return std::nullopt;
    const Step& step = plan_.steps[static_cast<size_t>(producer)];
    if (step.program.code.size() != 1) return std::nullopt;
    const Instruction& instruction = step.program.code[0];
    const auto a = evaluate(step.inputs[static_cast<size_t>(instruction.a)], root, x, depth - 1);
    if (!a) return std::nullopt;
    float b = 0.f;
    if (is_binary(instruction.op)) {
      const auto second = evaluate(step.inputs[static_cast<size_t>(instruction.b)], root, x, depth - 1);
      if (!second) return std::nullopt;
      b = *second;
    }
    return apply(instruction, *a, b);
  }

  // Steps of the cluster, from the last one back to `root`.
  bool collect(ValueIndex value, ValueIndex root, std::vector<size_t>& steps) const {
    if (value == root || scalar(value)) return true;
    const auto producer = static_cast<size_t>(producer_[at(value)]);
    if (std::find(steps.begin(), steps.end(), producer) != steps.end()) return true;
    steps.push_back(producer);
    for (ValueIndex input : plan_.steps[producer].inputs) {
      if (!collect(input, root, steps)) return false;
    }
    return true;
  }

  void candidate_roots(ValueIndex value, int depth, std::vector<ValueIndex>& roots) const {
    if (scalar(value)) return;
    if (std::find(roots.begin(), roots.end(), value) == roots.end()) roots.push_back(value);
    const int32_t producer = producer_[at(value)];
    if (depth == 0 || producer < 0 || !is_elementwise(plan_.steps[static_cast<size_t>(producer)])) return;
    for (ValueIndex input : plan_.steps[static_cast<size_t>(producer)].inputs)
      candidate_roots(input, depth - 1, roots);
  }

  void recognise(size_t i) {
    if (dead_[i] || !is_elementwise(plan_.steps[i])) return;
    const ElementOp last = plan_.steps[i].program.code.back().op;
    if (last != ElementOp::kMul && last != ElementOp::kDiv && last != ElementOp::kClip)
      return;  // how all of these end
    const ValueIndex output = plan_.steps[i].outputs[0];
    std::vector<ValueIndex> roots;
    candidate_roots(output, kMaxClusterDepth, roots);
    for (auto root = roots.rbegin(); root != roots.rend(); ++root) {
      if (*root == output || dims(*root) != dims(output)) continue;
      const std::optional<ElementOp> op = function_of(output, *root);
      if (!op) continue;
      std::vector<size_t> cluster;
      collect(output, *root, cluster);
      const bool closed = std::all_of(cluster.begin(), cluster.end(), [&](size_t step) {
        const ValueIndex made = plan_.steps[step].outputs[0];
        return made == output ||
               std::all_of(readers_[at(made)].begin(), readers_[at(made)].end(), [&](int32_t reader) {
                 return reader >= 0 && std::find(cluster.begin(), cluster.end(),
                                                 static_cast<size_t>(reader)) != cluster.end();
               });
      });
      if (cluster.size() < 2 || !closed) continue;
      replace(cluster, i, *root, *op);
      return;
    }
  }

  std::optional<ElementOp> function_of(ValueIndex output, ValueIndex root) const {
    constexpr std::array kPoints = {-7.3f, -4.1f, -3.f, -2.2f, -1.1f, -0.5f, -0.03f, 0.f,
                                    0.07f, 0.4f,  1.f,  1.9f,  2.8f,  3.5f,  6.6f};
    std::array<float, kPoints.size()> values{};
    for (size_t p = 0; p < kPoints.size(); ++p) {
      const auto y = evaluate(output, root, kPoints[p], kMaxClusterDepth);
      if (!y) return std::nullopt;
      values[p] = *y;
    }
    for (ElementOp op :
         {ElementOp::kGeluErf, ElementOp::kGeluTanh, ElementOp::kSilu, ElementOp::kHardSwish}) {
      bool equal = true;
      for (size_t p = 0; p < kPoints.size() && equal; ++p) {
        const float wanted = apply(Instruction{.op = op}, kPoints[p], 0.f);
        equal = std::abs(wanted - values[p]) <= 2e-6f * std::max(1.f, std::abs(kPoints[p]));
      }
      if (equal) return op;
    }
    return std::nullopt;
  }

  void replace(const std::vector<size_t>& cluster, size_t last, ValueIndex root, ElementOp op) {
    std::vector<NodeId> nodes;
    for (size_t step : cluster) {
      for (ValueIndex input : plan_.steps[step].inputs) drop_reader(input, step);
      nodes.insert(nodes.end(), plan_.steps[step].nodes.begin(), plan_.steps[step].nodes.end());
      if (step != last) dead_[step] = true;
    }
    std::sort(nodes.begin(), nodes.end());
    Step& step = plan_.steps[last];
    step.nodes = std::move(nodes);
    step.inputs = {root};
    step.node_inputs = 1;
    step.program = Program{1, {Instruction{.op = op}}};
    add_reader(root, last);
  }

  // ---- 2. views

  // Whether the step does the same before the view: its other operands are scalars, or one value an element
  // of a last axis that the view leaves alone.
  bool commutes_with_view(const Step& step, ValueIndex viewed, ValueIndex source) const {
    const Dims &before = dims(source), &after = dims(viewed);
    const bool same_last = !before.empty() && !after.empty() && before.back() == after.back();
    return std::all_of(step.inputs.begin(), step.inputs.end(), [&](ValueIndex v) {
      if (v == viewed || scalar(v)) return true;
      return same_last && plan_.value(v).is_constant() && element_count(dims(v)) == after.back() &&
             dims(v).back() == after.back() && dims(v).size() <= before.size();
    });
  }

  void sink_view(size_t i) {
    if (dead_[i] || !is_elementwise(plan_.steps[i])) return;
    Step& step = plan_.steps[i];
    for (const ValueIndex viewed : step.inputs) {
      const int32_t producer = producer_[at(viewed)];
      if (producer < 0 || dims(viewed) != dims(step.outputs[0])) continue;
      Step& view = plan_.steps[static_cast<size_t>(producer)];
      const bool only_here = std::all_of(readers_[at(viewed)].begin(), readers_[at(viewed)].end(),
                                         [&](int32_t reader) { return reader == static_cast<int32_t>(i); });
      if (view.kind != StepKind::kView || !only_here) continue;
      const ValueIndex source = view.inputs[0];
      const int32_t maker = producer_[at(source)];
      if (maker < 0 || plan_.steps[static_cast<size_t>(maker)].kind == StepKind::kHost || !read_once(source))
        continue;
      const bool same_type = plan_.value(source).dtype == plan_.value(step.outputs[0]).dtype;
      if (!same_type || !commutes_with_view(step, viewed, source)) continue;
      swap_with_view(static_cast<size_t>(producer), i, viewed, source);
      return;
    }
  }

  // view: source -> viewed, step: viewed -> result  becomes  step: source -> done, view: done -> result.
  void swap_with_view(size_t view, size_t step, ValueIndex viewed, ValueIndex source) {
    const auto done = static_cast<ValueIndex>(plan_.values.size());
    PlanValue value = plan_.value(source);
    value.name = plan_.value(plan_.steps[step].outputs[0]).name + "/before";
    value.id = kNoValue;
    plan_.values.push_back(std::move(value));
    producer_.push_back(static_cast<int32_t>(view));
    readers_.push_back({static_cast<int32_t>(step)});

    Step work = plan_.steps[step], shape = plan_.steps[view];
    for (ValueIndex input : work.inputs) drop_reader(input, step);
    drop_reader(source, view);
    shape.outputs = work.outputs;
    shape.inputs[0] = done;
    for (ValueIndex& input : work.inputs) {
      if (input == viewed) input = source;
      add_reader(input, view);
    }
    work.outputs = {done};
    for (size_t k = 1; k < shape.inputs.size(); ++k) {
      drop_reader(shape.inputs[k], view);
      add_reader(shape.inputs[k], step);
    }
    producer_[at(viewed)] = -1;
    plan_.steps[view] = std::move(work);
    plan_.steps[step] = std::move(shape);
  }

  // ---- 3. epilogues

  void join_epilogue(size_t i) {
    if (dead_[i] || !is_elementwise(plan_.steps[i]) || plan_.steps[i].program.code.size() != 1) return;
    // Of two producers the later one: the other operand is then made already.
    std::vector<int16_t> operands = {plan_.steps[i].program.code[0].a};
    if (is_binary(plan_.steps[i].program.code[0].op)) operands.push_back(plan_.steps[i].program.code[0].b);
    std::sort(operands.begin(), operands.end(),
              [&](int16_t x, int16_t y) { return made_by(i, x) > made_by(i, y); });
    for (int16_t operand : operands) {
      if (join_epilogue(i, operand)) return;
    }
  }

  int32_t made_by(size_t i, int16_t operand) const {
    return producer_[at(plan_.steps[i].inputs[static_cast<size_t>(operand)])];
  }

  bool join_epilogue(size_t i, int16_t accumulator) {
    Step& tail = plan_.steps[i];
    const ValueIndex value = tail.inputs[static_cast<size_t>(accumulator)];
    const int32_t producer = producer_[at(value)];
    if (producer < 0 || !read_once(value) || dims(value) != dims(tail.outputs[0])) return false;
    // Kernels write the type that they read.
    if (plan_.value(value).dtype != plan_.value(tail.outputs[0]).dtype) return false;
    const Step& head = plan_.steps[static_cast<size_t>(producer)];
    if (head.kind != StepKind::kKernel || is_elementwise(head) || head.outputs.size() != 1) return false;
    if (head.program.code.size() >= kMaxInstructions) return false;
    Instruction next = tail.program.code[0];
    ValueIndex other = kAbsent;
    if (is_binary(next.op)) {
      const bool first = next.a == accumulator;
      const bool commutes = next.op == ElementOp::kAdd || next.op == ElementOp::kMul ||
                            next.op == ElementOp::kMax || next.op == ElementOp::kMin;
      if (!first && !commutes) return false;
      other = tail.inputs[static_cast<size_t>(first ? next.b : next.a)];
      if (other == value) return false;
    }
    next.a = static_cast<int16_t>(
        std::max(0, head.program.inputs - 1 + static_cast<int>(head.program.code.size())));
    if (!backend_.accepts_epilogue(plan_, head, next, other)) return false;

    Step joined = head;
    if (joined.program.code.empty()) joined.program.inputs = 1;
    int16_t shift = 0;
    if (other != kAbsent) {
      // A new operand register comes before the results: these move up by one.
      shift = 1;
      next.b = static_cast<int16_t>(joined.program.inputs);
      for (Instruction& old : joined.program.code) {
        if (old.a >= joined.program.inputs) ++old.a;
        if (old.b >= joined.program.inputs) ++old.b;
      }
      joined.program.inputs += 1;
      joined.inputs.push_back(other);
    }
    next.a = joined.program.code.empty() ? int16_t{0} : joined.program.result();
    (void)shift;
    joined.program.code.push_back(next);
    joined.nodes.insert(joined.nodes.end(), tail.nodes.begin(), tail.nodes.end());
    joined.outputs = tail.outputs;
    move_step(static_cast<size_t>(producer), i, std::move(joined));
    return true;
  }

  // `joined` takes the place of step `to`; step `from` is gone.
  void move_step(size_t from, size_t to, Step joined) {
    for (size_t old : {from, to}) {
      for (ValueIndex input : plan_.steps[old].inputs) drop_reader(input, old);
    }
    dead_[from] = true;
    for (ValueIndex input : joined.inputs) add_reader(input, to);
    producer_[at(joined.outputs[0])] = static_cast<int32_t>(to);
    plan_.steps[to] = std::move(joined);
  }

  // ---- 4. runs

  void join_run(size_t i) {
    for (bool changed = true; changed;) {
      changed = false;
      if (dead_[i] || !is_elementwise(plan_.steps[i])) return;
      for (size_t k = 0; k < plan_.steps[i].inputs.size() && !changed; ++k) changed = join_run(i, k);
    }
  }

  bool join_run(size_t i, size_t operand) {
    const Step& tail = plan_.steps[i];
    const ValueIndex value = tail.inputs[operand];
    const int32_t producer = producer_[at(value)];
    if (producer < 0 || !is_elementwise(plan_.steps[static_cast<size_t>(producer)])) return false;
    const auto only_here = [&](int32_t reader) { return reader == static_cast<int32_t>(i); };
    if (!std::all_of(readers_[at(value)].begin(), readers_[at(value)].end(), only_here)) return false;
    if (dims(value) != dims(tail.outputs[0])) return false;
    const Step& head = plan_.steps[static_cast<size_t>(producer)];
    if (head.program.code.size() + tail.program.code.size() > kMaxInstructions) return false;

    Step joined = tail;
    joined.inputs = head.inputs;
    const auto slot_of = [&](ValueIndex v) {
      const auto found = std::find(joined.inputs.begin(), joined.inputs.end(), v);
      if (found != joined.inputs.end()) return static_cast<int16_t>(found - joined.inputs.begin());
      joined.inputs.push_back(v);
      return static_cast<int16_t>(joined.inputs.size() - 1);
    };
    std::vector<int16_t> tail_register(tail.inputs.size());
    for (size_t k = 0; k < tail.inputs.size(); ++k) {
      if (tail.inputs[k] != value) tail_register[k] = slot_of(tail.inputs[k]);
    }
    if (joined.inputs.size() > kMaxOperands) return false;
    const auto inputs = static_cast<int16_t>(joined.inputs.size());
    const auto head_inputs = static_cast<int16_t>(head.program.inputs);
    const auto tail_inputs = static_cast<int16_t>(tail.program.inputs);
    const auto head_code = static_cast<int16_t>(head.program.code.size());
    const auto from_head = [&](int16_t r) {
      return static_cast<int16_t>(r < head_inputs ? r : r - head_inputs + inputs);
    };
    const auto from_tail = [&](int16_t r) {
      if (r >= tail_inputs) return static_cast<int16_t>(r - tail_inputs + inputs + head_code);
      if (tail.inputs[static_cast<size_t>(r)] == value) return static_cast<int16_t>(inputs + head_code - 1);
      return tail_register[static_cast<size_t>(r)];
    };
    Program program{inputs, {}};
    for (Instruction instruction : head.program.code) {
      instruction.a = from_head(instruction.a);
      if (is_binary(instruction.op)) instruction.b = from_head(instruction.b);
      program.code.push_back(instruction);
    }
    for (Instruction instruction : tail.program.code) {
      instruction.a = from_tail(instruction.a);
      if (is_binary(instruction.op)) instruction.b = from_tail(instruction.b);
      program.code.push_back(instruction);
    }
    joined.program = std::move(program);
    joined.node_inputs = inputs;
    joined.nodes = head.nodes;
    joined.nodes.insert(joined.nodes.end(), tail.nodes.begin(), tail.nodes.end());
    move_step(static_cast<size_t>(producer), i, std::move(joined));
    return true;
  }

  ExecPlan& plan_;
  const Backend& backend_;
  std::vector<bool> dead_;
  std::vector<int32_t> producer_;
  std::vector<std::vector<int32_t>> readers_;
};

}  // namespace

void fuse_activations(ExecPlan& plan, const Backend& backend) {
  Fuser fuser(plan, backend);
  fuser.activations();
  fuser.drop_dead();
}

void fuse(ExecPlan& plan, const Backend& backend) {
  Fuser fuser(plan, backend);
  fuser.activations();
  fuser.joins();
  fuser.drop_dead();
}

}  // namespace mts::exec
