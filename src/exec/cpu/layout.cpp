#include "exec/cpu/layout.h"

#include "exec/cpu/concat_parts.h"
#include "exec/cpu/models.h"
#include "exec/geometry.h"

#include <algorithm>
#include <map>
#include <utility>

namespace mts::exec {
namespace {

class LayoutChooser {
 public:
  LayoutChooser(Device& device, ExecPlan& plan) : device_(device), plan_(plan), copies_(plan) {}

  void run() {
    models_ = find_model_moves(plan_);
    read_concat_parts(device_, plan_, models_);
    std::vector<Step> steps = std::move(plan_.steps);
    plan_.steps.clear();
    for (Step& step : steps) {
      visit(step);
      plan_.steps.push_back(std::move(step));
    }
    for (ValueIndex& output : plan_.outputs) output = copies_.as(output, kRowMajor);
    for (Step& step : plan_.steps) find_sum(step);
    int32_t most = kChannelsLast;
    for (int32_t models : models_) most = std::max(most, models);
    plan_.layouts.clear();
    for (int32_t i = 0; i <= most; ++i) plan_.layouts.push_back(layout_name(i));
  }

 private:
  int32_t layout(ValueIndex v) const { return plan_.value(v).layout; }
  const Dims& dims(ValueIndex v) const { return plan_.value(v).dims; }

  void visit(Step& step) {
    if (step.op == "MoveModels") return move(step);
    if (step.kind == StepKind::kView && dims(step.inputs[0]) == dims(step.outputs[0])) {
      return set(step.outputs[0], layout(step.inputs[0]));
    }
    if (step.kind == StepKind::kView && moves_models(step)) return relayout(step);
    if (step.kind == StepKind::kHost || step.kind == StepKind::kView) return all_row_major(step);
    if (step.op == "Conv" || step.op == "ConvTranspose") return conv(step);
    const bool follows = step.op == "MaxPool" || step.op == "AveragePool" || step.op == "GlobalMaxPool" ||
                         step.op == "GlobalAveragePool";
    if (follows) return set(step.outputs[0], layout(step.inputs[0]));
    if (step.op == "Resize" || step.op == "Upsample") {
      for (size_t i = 1; i < step.inputs.size(); ++i) convert(step.inputs[i], kRowMajor);
      if (is_models_first(layout(step.inputs[0]))) convert(step.inputs[0], kChannelsLast);
      return set(step.outputs[0], layout(step.inputs[0]));
    }
    if (step.op == "Elementwise") return elementwise(step);
    if (step.op.starts_with("Reduce")) {
      for (size_t i = 1; i < step.inputs.size(); ++i) convert(step.inputs[i], kRowMajor);
      if (is_models_first(layout(step.inputs[0]))) convert(step.inputs[0], kRowMajor);
      return;  // reads the other layouts
    }
    if (step.op == "Concat") return concat(step);
    if (step.op == "Split") return split(step);
    all_row_major(step);
  }

  // A view: the pieces of the models are dense channels-last images on both sides.
  void move(Step& step) {
    const ValueIndex to = step.outputs[0];
    const bool unfolds = dims(step.inputs[0])[0] < dims(to)[0];
    const int32_t folded = models_[static_cast<size_t>(unfolds ? step.inputs[0] : to)];
    convert(step.inputs[0], unfolds ? folded : kChannelsLast);
    set(to, unfolds ? kChannelsLast : folded);
  }

  void all_row_major(Step& step) {
    for (std::vector<ValueIndex>* list : {&step.inputs, &step.captures}) {
      for (ValueIndex& input : *list) convert(input, kRowMajor);
    }
  }

  void set(ValueIndex v, int32_t wanted) {
    plan_.value(v).layout = is_ambiguous(dims(v), wanted) ? kRowMajor : wanted;
  }

  void conv(Step& step) {
    int32_t wanted = preferred_conv_layout(device_, plan_, step), source = wanted;
    const int32_t models = models_[static_cast<size_t>(step.outputs[0])];
    if (wanted == kChannelsLast && models > 1 && takes_models_first(plan_, step, models)) {
      wanted = models;
      if (plan_.graph->node(step.node).int_or("group", 1) > 1) source = models;
    }
    convert(step.inputs[0], source);
    const size_t whole = step.inputs.size() + 1 - static_cast<size_t>(step.parts);
    for (size_t i = whole; i < step.inputs.size(); ++i) convert(step.inputs[i], source);
    for (int32_t i = 1; i < step.node_inputs; ++i) convert(step.inputs[static_cast<size_t>(i)], kRowMajor);
    set(step.outputs[0], wanted);
    for (size_t i = static_cast<size_t>(step.node_inputs); i < whole; ++i) {
      if (dims(step.inputs[i]) == dims(step.outputs[0])) convert(step.inputs[i], layout(step.outputs[0]));
    }
  }

  void elementwise(Step& step) {
    const Dims& whole = dims(step.outputs[0]);
    int32_t wanted = kRowMajor;
    for (ValueIndex input : step.inputs) {
      if (dims(input) == whole) wanted = std::max(wanted, layout(input));
    }
    for (ValueIndex& input : step.inputs) {
      // A broadcast operand is read through its row-major strides; a constant of full size is too.
      const bool whole_size = dims(input) == whole && !plan_.value(input).is_constant();
      convert(input, whole_size ? wanted : kRowMajor);
    }
    set(step.outputs[0], wanted);
  }

  // A Reshape that moves models between the batch and the channels of a channels-last image: [B,M*C,H,W] <->
  // [B*M,C,H,W].
  bool moves_models(const Step& step) const {
    const Dims &from = dims(step.inputs[0]), &to = dims(step.outputs[0]);
    if (layout(step.inputs[0]) != kChannelsLast || from.size() != to.size() || to[0] == 0) return false;
    if (!std::equal(from.begin() + 2, from.end(), to.begin() + 2)) return false;
    return to[0] % from[0] == 0 || from[0] % to[0] == 0;
  }
  // One copy within the layout instead of two out of it and back.
  void relayout(Step& step) {
    step.kind = StepKind::kReorder;
    step.op = "Reorder";
    step.inputs.resize(1);
    step.node_inputs = 1;
    set(step.outputs[0], kChannelsLast);
  }

  // Concat and Split keep channels-last images: views along the batch, else copies of runs of channels.
  void concat(Step& step) {
    const bool last = std::any_of(step.inputs.begin(), step.inputs.end(),
                                  [&](ValueIndex v) { return layout(v) != kRowMajor; });
    if (!last) return all_row_major(step);
    for (ValueIndex& part : step.inputs) convert(part, kChannelsLast);
    set(step.outputs[0], kChannelsLast);
  }
  void split(Step& step) {
    const bool last = layout(step.inputs[0]) != kRowMajor &&
                      std::find(step.outputs.begin(), step.outputs.end(), kAbsent) == step.outputs.end();
    if (!last) return all_row_major(step);
    convert(step.inputs[0], kChannelsLast);
    for (size_t i = 1; i < step.inputs.size(); ++i) convert(step.inputs[i], kRowMajor);
    for (ValueIndex part : step.outputs) set(part, kChannelsLast);
  }

  // A convolution or product that is added to another value: it may add where that one lies.
  void find_sum(Step& step) const {
    if (step.op != "Conv" && step.op != "MatMul" && step.op != "Gemm") return;
    if (step.kind != StepKind::kKernel || step.program.code.empty()) return;
    const Instruction& first = step.program.code[0];
    if (first.op != ElementOp::kAdd || first.a != 0) return;
    const int32_t operand = step.node_inputs + first.b - 1;
    const PlanValue& added = plan_.value(step.inputs[static_cast<size_t>(operand)]);
    const PlanValue& output = plan_.value(step.outputs[0]);
    if (added.dims == output.dims && added.layout == output.layout && added.dtype == output.dtype &&
        !added.is_constant())
      step.adds_to = operand;
  }

  void convert(ValueIndex& v, int32_t wanted) {
    if (v != kAbsent) v = copies_.as(v, wanted);
  }

  Device& device_;
  ExecPlan& plan_;
  LayoutCopies copies_;
  std::vector<int32_t> models_;  // by value, of those before copies: the models-first layout it should have
};

}  // namespace

void choose_layouts(Device& device, ExecPlan& plan) { LayoutChooser(device, plan).run(); }

}  // namespace mts::exec
