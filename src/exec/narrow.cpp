#include "exec/narrow.h"

#include "ref/formats.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

namespace mts::exec {
namespace {

// Constants from this size on are weights: what is multiplied by them is data, not arithmetic on positions.
constexpr int64_t kWeightElements = 1024;

enum class Rule : uint8_t {
  kProduct,  // always in 16 bits, when it works on data
  kFollow,   // in 16 bits where all that it reads is
  kTable,    // as kFollow, or when it reads from a weight
};
struct Row {
  std::string_view op;
  Rule rule;
  size_t operands = 99;      // of these, from the first on; the others keep their type
  bool all_outputs = false;  // else the first
};
// As automatic mixed precision has them: products always, what only moves or averages values as its operands
// are. Not here, and so float32: Pow, Exp, Log, Reciprocal, Softplus, squares (kWideElements), ReduceSum,
// ReduceL1, ReduceL2, ReduceProd, ReduceLogSum, ReduceSumSquare, CumSum, Range, Sin, Cos, comparisons,
// recurrent layers, quantisation.
constexpr Row kRows[] = {{"Conv", Rule::kProduct},
                         {"ConvTranspose", Rule::kProduct},
                         {"Gemm", Rule::kProduct},
                         {"MatMul", Rule::kProduct},
                         {"AveragePool", Rule::kFollow},
                         {"Concat", Rule::kFollow},
                         {"DepthToSpace", Rule::kFollow},
                         {"Expand", Rule::kFollow},
                         {"Gather", Rule::kTable},
                         {"GatherElements", Rule::kFollow},
                         {"GatherND", Rule::kTable},
                         {"GlobalAveragePool", Rule::kFollow},
                         {"GlobalMaxPool", Rule::kFollow},
                         {"GroupNormalization", Rule::kFollow},
                         {"InstanceNormalization", Rule::kFollow},
                         {"LRN", Rule::kFollow},
                         {"LayerNormalization", Rule::kFollow},
                         {"MaxPool", Rule::kFollow},
                         {"Pad", Rule::kFollow},
                         {"RMSNormalization", Rule::kFollow},
                         {"ReduceMax", Rule::kFollow},
                         {"ReduceMean", Rule::kFollow},
                         {"ReduceMin", Rule::kFollow},
                         {"Resize", Rule::kFollow, 1},
                         {"ScatterElements", Rule::kFollow},
                         {"ScatterND", Rule::kFollow},
                         {"Slice", Rule::kFollow},
                         {"Softmax", Rule::kFollow},
                         {"SpaceToDepth", Rule::kFollow},
                         {"Split", Rule::kFollow, 1, true},
                         {"Tile", Rule::kFollow},
                         {"Transpose", Rule::kFollow},
                         {"Upsample", Rule::kFollow, 1},
                         {"Where", Rule::kFollow}};

constexpr ElementOp kWideElements[] = {ElementOp::kPow,      ElementOp::kExp,    ElementOp::kLog,
                                       ElementOp::kSoftplus, ElementOp::kSquare, ElementOp::kReciprocal,
                                       ElementOp::kSin,      ElementOp::kCos,    ElementOp::kAtan};

const Row* row_of(const Step& step) {
  for (const Row& row : kRows) {
    if (row.op == step.op) return &row;
  }
  return nullptr;
}

bool quantises(const ExecPlan& plan, const Step& step) {
  return std::any_of(step.nodes.begin(), step.nodes.end(), [&](NodeId id) {
    return plan.graph->node(id).op_type.ends_with("QuantizeLinear") ||
           plan.graph->node(id).is("DequantizeLinear");
  });
}

class Narrower {
 public:
  Narrower(ExecPlan& plan, DType dtype, const Backend& backend)
      : plan_(plan),
        dtype_(dtype),
        backend_(backend),
        states_(plan.values.size()),
        data_(plan.values.size(), false) {}

  void run() {
    for (ValueIndex input : plan_.inputs) states_[at(input)].light = is_wide_float(input);
    if (dtype_ == DType::kBfloat16) find_borders();
    std::vector<Step> steps = std::move(plan_.steps);
    plan_.steps.clear();
    for (Step& step : steps) visit(std::move(step));
    for (ValueIndex output : plan_.outputs) wide(output);
  }

 private:
  // Of a float32 value of the plan as it was.
  struct State {
    bool light = false;        // 16 bits hold it well: data
    bool wide_is_made = true;  // by its own step, or by a cast
    bool narrow_is_made = false;
    ValueIndex twin = kAbsent;      // the same in 16 bits, once somebody asked
    std::optional<bool> fits = {};  // constants
  };
  static size_t at(ValueIndex v) { return static_cast<size_t>(v); }
  bool is_wide_float(ValueIndex v) const {
    return v != kAbsent && plan_.value(v).is_static && plan_.value(v).dtype == DType::kFloat32;
  }
  bool is_variable(ValueIndex v) const { return is_wide_float(v) && !plan_.value(v).is_constant(); }
  bool is_weight(ValueIndex v) const {
    return is_wide_float(v) && plan_.value(v).is_constant() &&
           element_count(plan_.value(v).dims) >= kWeightElements;
  }
  const Tensor& content(ValueIndex v) const {
    return *plan_.constants[static_cast<size_t>(plan_.value(v).constant)].tensor();
  }

  // No finite number of the constant becomes infinite.
  bool fits(ValueIndex v) {
    std::optional<bool>& known = states_[at(v)].fits;
    if (!known) {
      const float largest = ref::decode_float(dtype_, dtype_ == DType::kFloat16 ? 0x7bff : 0x7f7f);
      const float* const values = content(v).as<float>();
      known = std::none_of(values, values + content(v).element_count(),
                           [&](float x) { return std::isfinite(x) && std::abs(x) > largest; });
    }
    return *known;
  }

  ValueIndex twin_of(ValueIndex v) {
    if (states_[at(v)].twin != kAbsent) return states_[at(v)].twin;
    PlanValue value = plan_.value(v);
    value.dtype = dtype_;
    value.bytes = byte_size(dtype_, element_count(value.dims));
    if (value.is_constant()) {
      plan_.constants.emplace_back(ref::narrow(content(v), dtype_));
      value.constant = static_cast<int32_t>(plan_.constants.size() - 1);
    } else {
      value.name += "/" + std::string(name_of(dtype_));
      value.id = kNoValue;
    }
    plan_.values.push_back(std::move(value));
    return states_[at(v)].twin = static_cast<ValueIndex>(plan_.values.size() - 1);
  }

  void add_cast(ValueIndex from, ValueIndex to) {
    Step step;
    step.op = "Elementwise";
    step.inputs = {from};
    step.node_inputs = 1;
    step.outputs = {to};
    step.program = Program{1, {Instruction{.op = ElementOp::kLinear, .alpha = 1.f}}};
    plan_.steps.push_back(std::move(step));
  }

  ValueIndex wide(ValueIndex v) {
    if (!is_variable(v) || at(v) >= states_.size() || states_[at(v)].wide_is_made) return v;
    add_cast(states_[at(v)].twin, v);
    states_[at(v)].wide_is_made = true;
    return v;
  }
  ValueIndex narrow(ValueIndex v) {
    const ValueIndex twin = twin_of(v);
    if (plan_.value(v).is_constant() || states_[at(v)].narrow_is_made) return twin;
    add_cast(v, twin);
    states_[at(v)].narrow_is_made = true;
    return twin;
  }
  void make_narrow(ValueIndex& output) {
    if (!is_variable(output)) return;
    State& state = states_[at(output)];
    state.light = state.narrow_is_made = true;
    state.wide_is_made = false;
    output = twin_of(output);
  }

  static bool is_product(const Step& step) {
    const Row* const row = step.kind == StepKind::kKernel ? row_of(step) : nullptr;
    return row != nullptr && row->rule == Rule::kProduct;
  }
  // bfloat16 has 8 bits: rounding the data itself, or what is left of it at the end, weighs more than
  // anything between (tests/exec/cuda/models_test.cpp). Data: the model's inputs, wherever they are moved.
  // Last: products behind which only work on single operands follow, unless their weights are large
  // (vocabularies).
  void find_borders() {
    constexpr int64_t kMostLastWeights = 1 << 20;
    for (ValueIndex input : plan_.inputs) data_[at(input)] = is_wide_float(input);
    for (const Step& step : plan_.steps) {
      if (!moves_data(step)) continue;
      for (ValueIndex output : step.outputs) {
        if (output != kAbsent) data_[at(output)] = true;
      }
    }
    std::vector<bool> is_end(plan_.values.size(), false);
    for (ValueIndex output : plan_.outputs) is_end[at(output)] = is_variable(output);
    for (auto step = plan_.steps.rbegin(); step != plan_.steps.rend(); ++step) {
      const auto ends = [&](ValueIndex v) { return v != kAbsent && is_end[at(v)]; };
      if (std::none_of(step->outputs.begin(), step->outputs.end(), ends)) continue;
      int64_t weights = 0;
      std::vector<ValueIndex> variables;
      for (ValueIndex v : step->inputs) {
        if (is_variable(v)) variables.push_back(v);
        if (is_weight(v)) weights += element_count(plan_.value(v).dims);
      }
      if (variables.size() != 1) continue;
      if (!is_product(*step)) {
        is_end[at(variables[0])] = true;
      } else if (weights <= kMostLastWeights) {
        last_.insert(step->node);
      }
    }
  }
  bool reads_data(const Step& step) const {
    return !step.inputs.empty() && step.inputs[0] != kAbsent && at(step.inputs[0]) < data_.size() &&
           data_[at(step.inputs[0])];
  }
  // Only puts the data elsewhere (what stitching puts before the first layer).
  bool moves_data(const Step& step) const {
    constexpr std::string_view kMovement[] = {"Concat", "Slice", "Split", "Transpose"};
    const bool moves = step.kind == StepKind::kView || (step.kind == StepKind::kKernel &&
                                                        std::find(std::begin(kMovement), std::end(kMovement),
                                                                  step.op) != std::end(kMovement));
    return moves && reads_data(step);
  }
  // In float32; what follows may be in 16 bits.
  void keep_data(Step step) {
    for (ValueIndex output : step.outputs) {
      if (is_variable(output)) states_[at(output)].light = true;
    }
    keep_wide(std::move(step));
  }

  void keep(Step step) { plan_.steps.push_back(std::move(step)); }
  void keep_wide(Step step) {
    for (ValueIndex& input : step.inputs) input = wide(input);
    for (ValueIndex& capture : step.captures) capture = wide(capture);
    keep(std::move(step));
  }

  void visit(Step step) {
    if (moves_data(step)) return keep_data(std::move(step));
    if (step.kind == StepKind::kView) {
      if (!is_variable(step.inputs[0]) || !states_[at(step.inputs[0])].light)
        return keep_wide(std::move(step));
      step.inputs[0] = narrow(step.inputs[0]);
      make_narrow(step.outputs[0]);
      return keep(std::move(step));
    }
    if (step.kind != StepKind::kKernel) return keep_wide(std::move(step));
    if (step.op == "Elementwise") return elementwise(std::move(step));
    const Row* const row = row_of(step);
    const bool is_last = last_.contains(step.node);
    if (row == nullptr || is_last || !applies(*row, step) || !accepted(*row, step))
      return keep_wide(std::move(step));
    // Data by data, as in attention, is no first layer.
    const bool is_layer = is_product(step) && step.inputs.size() > 1 && step.inputs[1] != kAbsent &&
                          plan_.value(step.inputs[1]).is_constant();
    if (is_layer && reads_data(step)) return keep_data(std::move(step));
    for (size_t i = 0; i < step.inputs.size(); ++i) {
      if (i < row->operands && is_wide_float(step.inputs[i])) step.inputs[i] = narrow(step.inputs[i]);
    }
    for (size_t i = 0; i < (row->all_outputs ? step.outputs.size() : 1); ++i) make_narrow(step.outputs[i]);
    keep(std::move(step));
  }

  bool applies(const Row& row, const Step& step) {
    bool any_light = false, all_light = true, weight = false;
    for (size_t i = 0; i < std::min(row.operands, step.inputs.size()); ++i) {
      const ValueIndex v = step.inputs[i];
      if (!is_wide_float(v)) continue;
      if (plan_.value(v).is_constant() && !fits(v)) return false;
      weight = weight || is_weight(v);
      if (!is_variable(v)) continue;
      any_light = any_light || states_[at(v)].light;
      all_light = all_light && states_[at(v)].light;
    }
    if (!is_variable(step.outputs[0])) return false;
    if (row.rule == Rule::kProduct) return any_light || weight || step.op.starts_with("Conv");
    return all_light && (any_light || (weight && row.rule == Rule::kTable));
  }

  // Asked with twins that nobody makes yet.
  bool accepted(const Row& row, const Step& step) {
    Step copy = step;
    for (size_t i = 0; i < std::min(row.operands, copy.inputs.size()); ++i) {
      if (is_wide_float(copy.inputs[i])) copy.inputs[i] = twin_of(copy.inputs[i]);
    }
    for (size_t i = 0; i < (row.all_outputs ? copy.outputs.size() : 1); ++i) {
      if (is_variable(copy.outputs[i])) copy.outputs[i] = twin_of(copy.outputs[i]);
    }
    return backend_.accepts(plan_, copy);
  }

  // Elementwise kernels read each operand in its own type.
  void elementwise(Step step) {
    bool any = false, light = is_variable(step.outputs[0]);
    for (ValueIndex v : step.inputs) {
      if (!is_wide_float(v)) light = false;
      if (!light) break;
      any = any || is_variable(v);
      light = is_variable(v) ? states_[at(v)].light : fits(v);
    }
    for (const Instruction& instruction : step.program.code) {
      const bool square = instruction.op == ElementOp::kMul && instruction.a == instruction.b;
      const bool same = instruction.op == ElementOp::kMul && !square && instruction.b < step.program.inputs &&
                        instruction.a < step.program.inputs &&
                        step.inputs[at(instruction.a)] == step.inputs[at(instruction.b)];
      light = light && !square && !same &&
              std::find(std::begin(kWideElements), std::end(kWideElements), instruction.op) ==
                  std::end(kWideElements);
    }
    for (ValueIndex& input : step.inputs) {
      if (is_variable(input)) {
        const State& state = states_[at(input)];
        input = state.light && state.narrow_is_made ? state.twin : wide(input);
      } else if (light && any && is_wide_float(input) && element_count(plan_.value(input).dims) > 1) {
        // Libraries want the operands of an epilogue in the product's type; single numbers are never theirs.
        input = narrow(input);
      }
    }
    if (light && any) make_narrow(step.outputs[0]);
    keep(std::move(step));
  }

  ExecPlan& plan_;
  DType dtype_;
  const Backend& backend_;
  std::vector<State> states_;
  std::vector<bool> data_;  // of bfloat16's borders, by value of the plan as it was
  std::set<NodeId> last_;   // products
};

}  // namespace

void narrow_floats(ExecPlan& plan, DType dtype, const Backend& backend) {
  const auto is_quantised = [&](const Step& step) { return quantises(plan, step); };
  const auto is_small = [](const PlanValue& value) {
    return value.dtype == DType::kFloat16 || value.dtype == DType::kBfloat16;
  };
  if (std::any_of(plan.steps.begin(), plan.steps.end(), is_quantised) ||
      std::any_of(plan.values.begin(), plan.values.end(), is_small))
    return;
  Narrower(plan, dtype, backend).run();
}

}  // namespace mts::exec
