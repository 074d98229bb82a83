#include "exec/cpu/concat_parts.h"

#include "exec/geometry.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace mts::exec {
namespace {

size_t at(ValueIndex v) { return static_cast<size_t>(v); }

class PartReader {
 public:
  PartReader(Device& device, ExecPlan& plan, std::vector<int32_t>& layouts)
      : device_(device), plan_(plan), layouts_(layouts), readers_(plan.values.size()) {
    for (size_t i = 0; i < plan.steps.size(); ++i) {
      for (const std::vector<ValueIndex>* list : {&plan.steps[i].inputs, &plan.steps[i].captures}) {
        for (ValueIndex v : *list) {
          if (v != kAbsent) readers_[at(v)].push_back(i);
        }
      }
    }
    // Known to no step: the whole must stay.
    for (ValueIndex v : plan.outputs) readers_[at(v)].push_back(plan.steps.size());
  }

  void run() {
    std::vector<std::vector<Step>> instead(plan_.steps.size());
    std::vector<bool> gone(plan_.steps.size(), false);
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      if (!is_channel_concat(plan_.steps[i])) continue;
      std::vector<size_t> moves, convolutions;
      if (!find_readers(i, moves, convolutions) || !pays(plan_.steps[i], convolutions)) continue;
      gone[i] = true;
      const std::vector<ValueIndex> parts = plan_.steps[i].inputs;
      for (size_t conv : convolutions) {
        if (plan_.steps[conv].inputs[0] == plan_.steps[i].outputs[0]) read(plan_.steps[conv], parts);
      }
      for (size_t move : moves) {
        gone[move] = true;
        const ValueIndex whole = plan_.steps[move].outputs[0];
        const std::vector<ValueIndex> moved = move_apart(plan_.steps[move], parts, instead[move]);
        for (size_t conv : convolutions) {
          if (plan_.steps[conv].inputs[0] == whole) read(plan_.steps[conv], moved);
        }
      }
    }
    std::vector<Step> kept;
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      for (Step& step : instead[i]) kept.push_back(std::move(step));
      if (!gone[i]) kept.push_back(std::move(plan_.steps[i]));
    }
    plan_.steps = std::move(kept);
  }

 private:
  const Dims& dims(ValueIndex v) const { return plan_.value(v).dims; }

  bool is_channel_concat(const Step& step) const {
    if (step.op != "Concat" || step.kind != StepKind::kKernel || step.inputs.size() < 2) return false;
    const Dims& whole = dims(step.outputs[0]);
    const auto axis = normal_axis(plan_.graph->node(step.node).int_or("axis", 1), whole.size());
    return axis && *axis == 1 && whole.size() >= 3 && element_count(whole) > 0 &&
           plan_.value(step.outputs[0]).dtype == DType::kFloat32 &&
           std::all_of(step.inputs.begin(), step.inputs.end(), [&](ValueIndex v) { return dims(v)[1] > 0; });
  }

  // The convolutions that read the whole, also through moves of its models; false: something else does, too.
  bool find_readers(size_t concat, std::vector<size_t>& moves, std::vector<size_t>& convolutions) const {
    const ValueIndex whole = plan_.steps[concat].outputs[0];
    for (size_t reader : readers_[at(whole)]) {
      if (reader == plan_.steps.size()) return false;
      const Step& step = plan_.steps[reader];
      if (step.op == "MoveModels") {
        const ValueIndex moved = step.outputs[0];
        if (dims(moved)[0] > dims(whole)[0]) return false;
        moves.push_back(reader);
        for (size_t next : readers_[at(moved)]) {
          if (next == plan_.steps.size() || !takes_parts(plan_.steps[next], moved, plan_.steps[concat]))
            return false;
          convolutions.push_back(next);
        }
      } else if (takes_parts(step, whole, plan_.steps[concat])) {
        convolutions.push_back(reader);
      } else {
        return false;
      }
    }
    return !convolutions.empty();
  }

  bool takes_parts(const Step& step, ValueIndex image, const Step& concat) const {
    if (step.kind != StepKind::kKernel || step.op != "Conv" || step.parts != 1 || step.inputs[0] != image ||
        std::count(step.inputs.begin(), step.inputs.end(), image) != 1)
      return false;
    if (!plan_.value(step.inputs[1]).is_constant()) return false;
    const int64_t models = dims(concat.outputs[0])[0] / dims(image)[0];
    if (plan_.graph->node(step.node).int_or("group", 1) != models) return false;
    if (models > 1 && !(layouts_[at(image)] == models && layouts_[at(step.outputs[0])] == models &&
                        takes_models_first(plan_, step, static_cast<int32_t>(models))))
      return false;
    std::vector<int64_t> channels;
    for (ValueIndex part : concat.inputs) channels.push_back(dims(part)[1]);
    return convolves_parts(device_, plan_, step, channels);
  }

  bool pays(const Step& concat, const std::vector<size_t>& convolutions) const {
    // Floats that are read or written in the time of a launch: 0.35 us at some 50 GB/s (measured on Zen 4).
    constexpr int64_t kLaunch = 4400, kBlock = 16;
    const auto blocks = [](int64_t channels) { return (channels + kBlock - 1) / kBlock; };
    const Dims& whole = dims(concat.outputs[0]);
    int64_t filled = 0;
    for (ValueIndex part : concat.inputs) filled += blocks(dims(part)[1]);
    if (filled > blocks(whole[1])) return false;
    int64_t spent = 0;
    for (size_t i : convolutions) {
      const Dims& output = dims(plan_.steps[i].outputs[0]);
      const int64_t models = whole[0] / output[0];
      spent += (element_count(output) + models * kLaunch) * static_cast<int64_t>(concat.inputs.size() - 1);
    }
    return 2 * element_count(whole) > spent;
  }

  static void read(Step& step, const std::vector<ValueIndex>& parts) {
    step.inputs[0] = parts[0];
    step.inputs.insert(step.inputs.end(), parts.begin() + 1, parts.end());
    step.parts = static_cast<int32_t>(parts.size());
  }

  // Each part with its models moved as `move` moves those of the whole.
  std::vector<ValueIndex> move_apart(const Step& move, const std::vector<ValueIndex>& parts,
                                     std::vector<Step>& steps) {
    const Dims whole = dims(move.outputs[0]);
    const int64_t models = dims(move.inputs[0])[0] / whole[0];
    std::vector<ValueIndex> moved;
    for (ValueIndex part : parts) {
      PlanValue value = plan_.value(part);
      value.name += "/moved";
      value.dims[0] = whole[0];
      value.dims[1] *= models;
      value.id = kNoValue;
      value.constant = -1;
      moved.push_back(static_cast<ValueIndex>(plan_.values.size()));
      plan_.values.push_back(std::move(value));
      layouts_.push_back(static_cast<int32_t>(models));
      Step step = move;
      step.inputs = {part};
      step.outputs = {moved.back()};
      steps.push_back(std::move(step));
    }
    return moved;
  }

  Device& device_;
  ExecPlan& plan_;
  std::vector<int32_t>& layouts_;
  std::vector<std::vector<size_t>> readers_;  // steps by value; one past the last for the graph's outputs
};

}  // namespace

void read_concat_parts(Device& device, ExecPlan& plan, std::vector<int32_t>& layouts) {
  PartReader(device, plan, layouts).run();
}

}  // namespace mts::exec
