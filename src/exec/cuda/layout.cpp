#include "exec/cuda/layout.h"

#include "exec/cuda/lowering.h"
#include "exec/geometry.h"

#include <algorithm>
#include <map>
#include <utility>

namespace mts::exec::cuda {
namespace {

class LayoutChooser {
 public:
  LayoutChooser(const Lowering& lowering, ExecPlan& plan) : lowering_(lowering), plan_(plan), copies_(plan) {}

  void run() {
    std::vector<Step> steps = std::move(plan_.steps);
    plan_.steps.clear();
    for (Step& step : steps) visit(std::move(step));
    for (ValueIndex& output : plan_.outputs) output = copies_.as(output, kRowMajor);
    plan_.layouts = {"row-major", "channels-last"};
    plan_.part_alignment = kPartAlignment;
  }

 private:
  int32_t layout(ValueIndex v) const { return plan_.value(v).layout; }
  const Dims& dims(ValueIndex v) const { return plan_.value(v).dims; }

  void visit(Step step) {
    if (step.kind == StepKind::kView && dims(step.inputs[0]) == dims(step.outputs[0])) {
      set(step.outputs[0], layout(step.inputs[0]));
      return keep(std::move(step));
    }
    if (step.kind == StepKind::kView && moves_models(step)) return relayout(std::move(step));
    if (step.kind == StepKind::kHost || step.kind == StepKind::kView) return all_row_major(std::move(step));
    if (step.op == "Conv" || step.op == "MatMul" || step.op == "Gemm") return product(std::move(step));
    if (Lowering::is_library_step(plan_, step)) return pool(std::move(step));
    if (step.op == "Elementwise") return elementwise(std::move(step));
    if (step.op == "Concat" || step.op == "Split") return parts(std::move(step));
    all_row_major(std::move(step));
  }

  void keep(Step step) { plan_.steps.push_back(std::move(step)); }

  void all_row_major(Step step) {
    for (std::vector<ValueIndex>* list : {&step.inputs, &step.captures}) {
      for (ValueIndex& input : *list) convert(input, kRowMajor);
    }
    keep(std::move(step));
  }

  void set(ValueIndex v, int32_t wanted) {
    plan_.value(v).layout = is_ambiguous(dims(v)) ? kRowMajor : wanted;
  }

  // Convolutions and products: by a library with the whole epilogue, by own kernels with it, or by either
  // without.
  void product(Step step) {
    if (library(step)) return keep(std::move(step));
    if (lowering_.own_accepts(plan_, step)) return all_row_major(std::move(step));
    Step rest = split_epilogue(step);
    if (!library(step)) {
      for (ValueIndex& input : step.inputs) convert(input, kRowMajor);
    }
    keep(std::move(step));
    elementwise(std::move(rest));
  }

  // Lays the step's values out as its library call wants them; false: no library takes it.
  bool library(Step& step) {
    if (lowering_.lower(plan_, step).empty()) return false;
    const int32_t wanted = Lowering::wants_channels_last(step) ? kChannelsLast : kRowMajor;
    const Dims whole = dims(step.outputs[0]);
    for (size_t i = 0; i < step.inputs.size(); ++i) {
      if (step.inputs[i] == kAbsent) continue;
      const bool is_epilogue = i >= static_cast<size_t>(step.node_inputs);
      const bool made_weight = i == 1 && step.op == "Conv" && !plan_.value(step.inputs[1]).is_constant();
      const bool is_image = i == 0 || made_weight || (is_epilogue && dims(step.inputs[i]) == whole);
      convert(step.inputs[i], is_image ? wanted : kRowMajor);
    }
    set(step.outputs[0], wanted);
    return true;
  }

  // The step keeps its node's work; what comes back is the elementwise step that does its epilogue.
  Step split_epilogue(Step& step) {
    const auto middle = static_cast<ValueIndex>(plan_.values.size());
    PlanValue value = plan_.value(step.outputs[0]);
    value.name += "/before";
    value.id = kNoValue;
    value.constant = -1;
    plan_.values.push_back(std::move(value));
    Step rest;
    rest.op = "Elementwise";
    rest.nodes = step.nodes;
    rest.program = std::exchange(step.program, Program{});
    rest.inputs = {middle};
    rest.inputs.insert(rest.inputs.end(), step.inputs.begin() + step.node_inputs, step.inputs.end());
    rest.node_inputs = static_cast<int32_t>(rest.inputs.size());
    rest.outputs = step.outputs;
    step.inputs.resize(static_cast<size_t>(step.node_inputs));
    step.outputs = {middle};
    return rest;
  }

  void pool(Step step) {
    const bool last = layout(step.inputs[0]) == kChannelsLast && !lowering_.lower(plan_, step).empty();
    if (!last) return all_row_major(std::move(step));
    set(step.outputs[0], kChannelsLast);
    keep(std::move(step));
  }

  void elementwise(Step step) {
    const Dims whole = dims(step.outputs[0]);
    const bool last = std::any_of(step.inputs.begin(), step.inputs.end(), [&](ValueIndex v) {
      return layout(v) == kChannelsLast && dims(v) == whole;
    });
    const int32_t wanted = last ? kChannelsLast : kRowMajor;
    for (ValueIndex& input : step.inputs) {
      // A broadcast operand is read through row-major strides.
      convert(input, dims(input) == whole ? wanted : kRowMajor);
    }
    set(step.outputs[0], wanted);
    keep(std::move(step));
  }

  // Concat and Split keep channels-last images when all images are so; they are then copies (lower_parts).
  void parts(Step step) {
    const auto is_last = [&](ValueIndex v) { return v != kAbsent && layout(v) == kChannelsLast; };
    const bool last = step.op == "Split" ? is_last(step.inputs[0])
                                         : std::all_of(step.inputs.begin(), step.inputs.end(), is_last);
    const bool whole =
        std::all_of(step.outputs.begin(), step.outputs.end(), [](ValueIndex v) { return v != kAbsent; });
    const auto ambiguous = [&](ValueIndex v) { return is_ambiguous(dims(v)); };
    if (!last || !whole || std::any_of(step.outputs.begin(), step.outputs.end(), ambiguous))
      return all_row_major(std::move(step));
    for (ValueIndex output : step.outputs) set(output, kChannelsLast);
    keep(std::move(step));
  }

  // A Reshape that moves models between the batch and the channels of a channels-last image: [B,M*C,H,W] <->
  // [B*M,C,H,W]. One copy within the layout instead of two out of it and back.
  bool moves_models(const Step& step) const {
    const Dims &from = dims(step.inputs[0]), &to = dims(step.outputs[0]);
    if (layout(step.inputs[0]) != kChannelsLast || from.size() != to.size() || to[0] == 0 || from[0] == 0)
      return false;
    if (is_ambiguous(to) || !std::equal(from.begin() + 2, from.end(), to.begin() + 2)) return false;
    return to[0] % from[0] == 0 || from[0] % to[0] == 0;
  }
  void relayout(Step step) {
    step.kind = StepKind::kReorder;
    step.op = "Reorder";
    step.inputs.resize(1);
    step.node_inputs = 1;
    set(step.outputs[0], kChannelsLast);
    keep(std::move(step));
  }

  void convert(ValueIndex& v, int32_t wanted) {
    if (v != kAbsent) v = copies_.as(v, wanted);
  }

  const Lowering& lowering_;
  ExecPlan& plan_;
  LayoutCopies copies_;
};

}  // namespace

void choose_layouts(const Lowering& lowering, ExecPlan& plan) { LayoutChooser(lowering, plan).run(); }

}  // namespace mts::exec::cuda
