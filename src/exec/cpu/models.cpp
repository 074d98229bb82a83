#include "exec/cpu/models.h"

#include "exec/geometry.h"
#include "exec/layout.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>

namespace mts::exec {
namespace {

size_t at(ValueIndex v) { return static_cast<size_t>(v); }

bool is_pool(const Step& step) { return step.op.ends_with("MaxPool") || step.op.ends_with("AveragePool"); }

class Finder {
 public:
  explicit Finder(ExecPlan& plan)
      : plan_(plan), producer_(plan.values.size(), -1), leader_(plan.values.size()) {
    for (size_t i = 0; i < plan.steps.size(); ++i) {
      for (ValueIndex v : plan.steps[i].outputs) {
        if (v != kAbsent) producer_[at(v)] = static_cast<int32_t>(i);
      }
    }
    std::iota(leader_.begin(), leader_.end(), ValueIndex{0});
  }

  std::vector<int32_t> run() {
    std::vector<Move> moves;
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      if (const std::optional<Move> move = move_of(i)) moves.push_back(*move);
    }
    if (moves.empty() && std::ranges::none_of(plan_.steps, [&](const Step& s) { return is_narrow_group(s); }))
      return std::vector<int32_t>(plan_.values.size(), 0);
    for (const Step& step : plan_.steps) join_values(step);
    std::vector<Region> regions(plan_.values.size());
    for (ValueIndex v : convolved_) regions[at(leader(v))].has_convolution = true;
    for (const Move& move : moves) {
      int32_t& models = regions[at(leader(folded(move)))].models;
      models = models == 0 || models == move.models ? move.models : -1;
    }
    for (const Step& step : plan_.steps) {
      if (!is_narrow_group(step)) continue;
      Region& region = regions[at(leader(step.outputs[0]))];
      if (region.models == 0) region.models = static_cast<int32_t>(groups_of(step));
    }
    std::vector<int32_t> layout(plan_.values.size(), 0);
    for (size_t v = 0; v < layout.size(); ++v) {
      const Region& region = regions[at(leader(static_cast<ValueIndex>(v)))];
      if (region.has_convolution && region.models > 1) layout[v] = region.models;
    }
    for (const Move& move : moves) {
      if (layout[at(folded(move))] == move.models) rewrite(move);
    }
    drop_unread();
    return layout;
  }

 private:
  struct Move {
    size_t step;
    ValueIndex from, to;
    int32_t models;
  };
  // Values that are to lie in one layout.
  struct Region {
    int32_t models = 0;  // -1: several
    bool has_convolution = false;
  };

  const Dims& dims(ValueIndex v) const { return plan_.value(v).dims; }
  // The side that has the models in its channels.
  ValueIndex folded(const Move& move) const {
    return dims(move.from)[0] < dims(move.to)[0] ? move.from : move.to;
  }

  int64_t groups_of(const Step& step) const { return plan_.graph->node(step.node).int_or("group", 1); }

  // A group of 12 channels: oneDNN's grouped kernels (3.2, AVX-512) then work on 4 at a time, and one group
  // after another with its channels padded to 16 is 1.7 times as fast. (All other widths: 0.8 to 1.1; 4 and
  // 8 are slower apart.)
  bool is_narrow_group(const Step& step) const {
    constexpr int64_t kNarrow = 12;
    if (step.kind != StepKind::kKernel || step.op != "Conv" || groups_of(step) <= 1) return false;
    const Dims& weight = dims(step.inputs[1]);
    return weight[1] == kNarrow || weight[0] / groups_of(step) == kNarrow;
  }

  // What a Transpose exchanges: its two outermost axes, and nothing else.
  std::optional<std::pair<int64_t, int64_t>> exchanged(const Step& step) const {
    if (step.op != "Transpose" || step.node == kNoNode || step.node_inputs != 1 || !step.program.code.empty())
      return std::nullopt;
    const Dims& from = dims(step.inputs[0]);
    const auto order = permutation_of(plan_.graph->node(step.node), from.size());
    if (!order || from.size() < 2 || (*order)[0] != 1 || (*order)[1] != 0) return std::nullopt;
    for (size_t i = 2; i < order->size(); ++i) {
      if ((*order)[i] != i) return std::nullopt;
    }
    return std::pair(from[0], from[1]);
  }

  std::optional<Move> move_of(size_t last) const {
    const Step& step = plan_.steps[last];
    if (step.kind != StepKind::kView || step.outputs.size() != 1) return std::nullopt;
    const ValueIndex to = step.outputs[0];
    ValueIndex from = step.inputs[0];
    std::optional<std::pair<int64_t, int64_t>> exchange;
    for (;;) {
      if (const int32_t models = models_between(from, to, exchange)) return Move{last, from, to, models};
      const int32_t producer = producer_[at(from)];
      if (producer < 0) return std::nullopt;
      const Step& before = plan_.steps[static_cast<size_t>(producer)];
      if (before.outputs.size() != 1) return std::nullopt;
      if (before.kind == StepKind::kKernel) {
        if (exchange) return std::nullopt;
        exchange = exchanged(before);
        if (!exchange) return std::nullopt;
      } else if (before.kind != StepKind::kView) {
        return std::nullopt;
      }
      from = before.inputs[0];
    }
  }

  // How many models move; 0: that is not what happens.
  int32_t models_between(ValueIndex from, ValueIndex to,
                         const std::optional<std::pair<int64_t, int64_t>>& exchange) const {
    const Dims &a = dims(from), &b = dims(to);
    const bool fits = plan_.value(from).is_static && plan_.value(from).dtype == DType::kFloat32 &&
                      a.size() == b.size() && a.size() >= 3 && element_count(a) > 0 &&
                      std::equal(a.begin() + 2, a.end(), b.begin() + 2);
    if (!fits || a[0] == b[0]) return 0;
    const bool unfolds = a[0] < b[0];
    const Dims &in_channels = unfolds ? a : b, &in_batch = unfolds ? b : a;
    const int64_t batch = in_channels[0], models = in_batch[0] / batch;
    if (models * batch != in_batch[0] || models * in_batch[1] != in_channels[1]) return 0;
    const std::pair<int64_t, int64_t> wanted = unfolds ? std::pair(batch, models) : std::pair(models, batch);
    const bool same_order = exchange ? *exchange == wanted : batch == 1;
    return same_order ? static_cast<int32_t>(models) : 0;
  }

  ValueIndex leader(ValueIndex v) {
    while (leader_[at(v)] != v) v = leader_[at(v)] = leader_[at(leader_[at(v)])];
    return v;
  }
  void join(ValueIndex a, ValueIndex b) { leader_[at(leader(a))] = leader(b); }

  void join_values(const Step& step) {
    if (step.kind == StepKind::kView && step.outputs.size() == 1 &&
        dims(step.inputs[0]) == dims(step.outputs[0]))
      return join(step.inputs[0], step.outputs[0]);
    if (step.kind != StepKind::kKernel) return;
    const bool is_conv = step.op == "Conv";
    if (!is_conv && !is_pool(step) && step.op != "Elementwise") return;
    const ValueIndex output = step.outputs[0];
    for (size_t i = 0; i < step.inputs.size(); ++i) {
      const bool is_own = i < static_cast<size_t>(step.node_inputs) && step.op != "Elementwise";
      if (step.inputs[i] != kAbsent && !is_own && dims(step.inputs[i]) == dims(output))
        join(step.inputs[i], output);
    }
    if (is_conv) convolved_.push_back(output);
    if (is_pool(step) || (is_conv && groups_of(step) > 1)) join(step.inputs[0], output);
  }

  void rewrite(const Move& move) {
    Step& step = plan_.steps[move.step];
    step.op = "MoveModels";
    step.inputs = {move.from};
    step.node_inputs = 1;
  }

  // Views and Transposes that only led to what has become one view.
  void drop_unread() {
    std::vector<bool> is_read(plan_.values.size(), false);
    for (ValueIndex v : plan_.outputs) is_read[at(v)] = true;
    std::vector<Step> kept;
    for (size_t i = plan_.steps.size(); i-- > 0;) {
      Step& step = plan_.steps[i];
      const bool moves = step.kind == StepKind::kView || step.op == "Transpose";
      const bool is_needed =
          !moves || std::any_of(step.outputs.begin(), step.outputs.end(),
                                [&](ValueIndex v) { return v != kAbsent && is_read[at(v)]; });
      if (!is_needed) continue;
      for (const std::vector<ValueIndex>* list : {&step.inputs, &step.captures}) {
        for (ValueIndex v : *list) {
          if (v != kAbsent) is_read[at(v)] = true;
        }
      }
      kept.push_back(std::move(step));
    }
    std::reverse(kept.begin(), kept.end());
    plan_.steps = std::move(kept);
  }

  ExecPlan& plan_;
  std::vector<int32_t> producer_;
  std::vector<ValueIndex> leader_, convolved_;
};

}  // namespace

std::vector<int32_t> find_model_moves(ExecPlan& plan) { return Finder(plan).run(); }

}  // namespace mts::exec
