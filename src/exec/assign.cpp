// Roots, views, liveness and placement (see compile.h and plan.h).
#include "exec/compile.h"
#include "exec/geometry.h"
#include "exec/layout.h"
#include "exec/memory.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>

namespace mts::exec {
namespace {

class MemoryAssigner {
 public:
  explicit MemoryAssigner(ExecPlan& plan) : plan_(plan) {}

  void run() {
    plan_.roots.clear();
    plan_.datum_slots = 0;
    for (PlanValue& value : plan_.values) value.root = -1, value.offset = 0;
    for (size_t i = 0; i < plan_.inputs.size(); ++i) {
      PlanValue& input = plan_.value(plan_.inputs[i]);
      if (input.root < 0) input.root = add_root(Storage::kInput, static_cast<int32_t>(i), input.bytes);
    }
    for (PlanValue& value : plan_.values) {
      if (value.is_constant()) value.root = add_root(Storage::kConstant, value.constant, value.bytes);
    }
    find_last_reads();
    for (size_t i = 0; i < plan_.steps.size(); ++i) assign_outputs(plan_.steps[i], static_cast<int32_t>(i));
    for (ValueIndex output : plan_.outputs) {
      Root& root = plan_.roots[static_cast<size_t>(plan_.value(output).root)];
      if (root.storage == Storage::kArena) root.storage = Storage::kOutput;
    }
    find_intervals();
    place_arena();
  }

 private:
  int32_t add_root(Storage storage, int32_t slot, uint64_t bytes) {
    plan_.roots.push_back(Root{.storage = storage, .slot = slot, .bytes = bytes});
    return static_cast<int32_t>(plan_.roots.size() - 1);
  }

  void find_last_reads() {
    last_read_.assign(plan_.values.size(), -1);
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      for (const std::vector<ValueIndex>* list : {&plan_.steps[i].inputs, &plan_.steps[i].captures}) {
        for (ValueIndex v : *list) {
          if (v != kAbsent) last_read_[static_cast<size_t>(v)] = static_cast<int32_t>(i);
        }
      }
    }
    for (ValueIndex v : plan_.outputs)
      last_read_[static_cast<size_t>(v)] = std::numeric_limits<int32_t>::max();
  }

  // Whether the output may overwrite what the step adds to: that fills a root of the arena alone, and neither
  // it nor a view of it is read later, or by this step a second time.
  bool takes_the_place(const Step& step, int32_t index) const {
    if (step.adds_to < 0) return false;
    const PlanValue& before = plan_.value(step.inputs[static_cast<size_t>(step.adds_to)]);
    if (before.root < 0 || before.offset != 0) return false;
    const Root& root = plan_.roots[static_cast<size_t>(before.root)];
    if (root.storage != Storage::kArena || root.bytes != before.bytes ||
        before.bytes != plan_.value(step.outputs[0]).bytes)
      return false;
    const auto reads = std::count_if(step.inputs.begin(), step.inputs.end(), [&](ValueIndex v) {
      return v != kAbsent && plan_.value(v).root == before.root;
    });
    if (reads != 1) return false;
    for (size_t v = 0; v < plan_.values.size(); ++v) {
      if (plan_.values[v].root == before.root && last_read_[v] > index) return false;
    }
    return true;
  }

  void assign_outputs(Step& step, int32_t index) {
    if (takes_the_place(step, index)) {
      const PlanValue& before = plan_.value(step.inputs[static_cast<size_t>(step.adds_to)]);
      plan_.value(step.outputs[0]).root = before.root;
      return;
    }
    if (step.kind == StepKind::kHost) {
      for (ValueIndex output : step.outputs) {
        if (output != kAbsent)
          plan_.value(output).root = add_root(Storage::kHost, plan_.datum_slots++, plan_.value(output).bytes);
      }
      return;
    }
    if (step.kind == StepKind::kView && !is_parts(step)) {
      const PlanValue& from = plan_.value(step.inputs[0]);
      PlanValue& to = plan_.value(step.outputs[0]);
      to.root = from.root;
      to.offset = from.offset;
      return;
    }
    const bool all_wanted =
        std::find(step.outputs.begin(), step.outputs.end(), kAbsent) == step.outputs.end();
    if (step.op == "Split" && all_wanted && is_outer_axis(step, step.inputs[0]) && parts_are_aligned(step)) {
      const PlanValue& from = plan_.value(step.inputs[0]);
      uint64_t offset = from.offset;
      for (ValueIndex output : step.outputs) {
        plan_.value(output).root = from.root;
        plan_.value(output).offset = offset;
        offset += plan_.value(output).bytes;
      }
      step.kind = StepKind::kView;
      return;
    }
    for (ValueIndex output : step.outputs) {
      if (output != kAbsent)
        plan_.value(output).root = add_root(Storage::kArena, -1, plan_.value(output).bytes);
    }
    if (step.op == "Concat" && is_outer_axis(step, step.outputs[0])) gather_parts(step);
  }

  static bool is_parts(const Step& step) { return step.op == "Split" || step.op == "Concat"; }

  // Whether the parts along the node's axis lie one after another in the whole's memory.
  bool is_outer_axis(const Step& step, ValueIndex whole_index) const {
    if (step.node == kNoNode) return false;
    const PlanValue& whole = plan_.value(whole_index);
    const Node& node = plan_.graph->node(step.node);
    const auto axis = normal_axis(node.int_or("axis", step.op == "Split" ? 0 : 1), whole.dims.size());
    if (!axis) return false;
    if (bit_width(whole.dtype) < 8) return false;
    // A backend's layout keeps the batch axis outermost; what lies inside is its own affair.
    for (const std::vector<ValueIndex>* side : {&step.inputs, &step.outputs}) {
      for (ValueIndex i : *side) {
        if (i != kAbsent && plan_.value(i).is_static && !plan_.value(i).is_constant() &&
            plan_.value(i).layout != whole.layout && plan_.value(i).dims.size() == whole.dims.size()) {
          return false;
        }
      }
    }
    if (whole.layout != 0) return *axis == 0 && !is_models_first(whole.layout);
    return element_count(std::span(whole.dims).first(*axis)) == 1;
  }

  bool parts_are_aligned(const Step& split) const {
    uint64_t offset = plan_.value(split.inputs[0]).offset;
    for (ValueIndex part : split.outputs) {
      if (offset % plan_.part_alignment != 0) return false;
      offset += plan_.value(part).bytes;
    }
    return true;
  }

  // Lets the producers of the parts write into the whole; what cannot be moved is copied by the Concat step.
  void gather_parts(Step& step) {
    const ValueIndex whole = step.outputs[0];
    uint64_t offset = 0;
    bool all = true;
    for (ValueIndex part : step.inputs) {
      PlanValue& value = plan_.value(part);
      if (value.root < 0) {
        all = false;
        offset += value.bytes;
        continue;
      }
      const Root& root = plan_.roots[static_cast<size_t>(value.root)];
      const bool movable = root.storage == Storage::kArena && value.offset == 0 &&
                           offset % plan_.part_alignment == 0 && value.bytes == root.bytes &&
                           value.root != plan_.value(whole).root;
      if (movable) {
        const int32_t old = value.root;
        for (PlanValue& other : plan_.values) {
          if (other.root != old) continue;
          other.root = plan_.value(whole).root;
          other.offset += offset;
        }
      } else {
        all = false;
      }
      offset += value.bytes;
    }
    if (all) step.kind = StepKind::kView;
  }

  void find_intervals() {
    std::vector<bool> seen(plan_.roots.size(), false);
    const auto touch = [&](ValueIndex i, size_t at) {
      if (i == kAbsent || plan_.value(i).root < 0)
        return;  // values without a place are made as the step runs
      const auto root_index = static_cast<size_t>(plan_.value(i).root);
      Root& root = plan_.roots[root_index];
      const auto step = static_cast<int32_t>(at);
      if (!seen[root_index]) root.first = root.last = step;
      seen[root_index] = true;
      root.first = std::min(root.first, step);
      root.last = std::max(root.last, step);
    };
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      const Step& step = plan_.steps[i];
      for (const std::vector<ValueIndex>* list : {&step.inputs, &step.outputs, &step.captures}) {
        for (ValueIndex value : *list) touch(value, i);
      }
    }
    for (ValueIndex output : plan_.outputs) {
      if (!plan_.steps.empty()) touch(output, plan_.steps.size() - 1);
    }
  }

  void place_arena() {
    std::vector<bool> used(plan_.roots.size(), false);
    for (const PlanValue& value : plan_.values) {
      if (value.root >= 0) used[static_cast<size_t>(value.root)] = true;
    }
    std::vector<Block> blocks;
    std::vector<size_t> owners;
    int32_t output_slots = 0;
    for (size_t i = 0; i < plan_.roots.size(); ++i) {
      Root& root = plan_.roots[i];
      if (!used[i]) root.bytes = 0;
      if (root.storage == Storage::kOutput) root.slot = output_slots++;
      if (root.storage != Storage::kArena) continue;
      blocks.push_back({root.bytes, root.first, root.last});
      owners.push_back(i);
    }
    const Placement placement = place(blocks);
    for (size_t i = 0; i < owners.size(); ++i) plan_.roots[owners[i]].offset = placement.offsets[i];
    plan_.arena_bytes = placement.arena_bytes;
    plan_.arena_lower_bound = lower_bound(blocks);
    plan_.output_slots = output_slots;
  }

  ExecPlan& plan_;
  std::vector<int32_t> last_read_;  // the last step that reads a value; -1: none
};

}  // namespace

void assign_memory(ExecPlan& plan) { MemoryAssigner(plan).run(); }

}  // namespace mts::exec
