#include "exec/attention.h"

#include "exec/geometry.h"
#include "exec/uses.h"
#include "ref/formats.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace mts::exec {
namespace {

// Where an operand really lies: a value, how its elements follow each other along the operand's axes, and a
// factor.
struct Walk {
  ValueIndex value = kAbsent;
  std::vector<int64_t> strides;
  float scale = 1.f;
  std::vector<size_t> steps;  // that are not needed any more
};

// The strides of the same elements as other dims, where they have any.
std::optional<std::vector<int64_t>> reshaped(const Dims& from, const std::vector<int64_t>& strides,
                                             const Dims& to) {
  std::vector<int64_t> result(to.size(), 0);
  size_t i = 0, j = 0;
  while (i < from.size() || j < to.size()) {
    // The shortest runs of axes with equal products.
    size_t i_end = i, j_end = j;
    int64_t old_count = 1, new_count = 1;
    do {
      if (old_count <= new_count && i_end < from.size()) {
        old_count *= from[i_end++];
      } else if (j_end < to.size()) {
        new_count *= to[j_end++];
      } else {
        return std::nullopt;
      }
    } while (old_count != new_count);
    while (i_end < from.size() && from[i_end] == 1) ++i_end;
    while (j_end < to.size() && to[j_end] == 1) ++j_end;
    int64_t stride = 0, next = -1;
    for (size_t axis = i_end; axis-- > i;) {
      if (from[axis] == 1) continue;
      if (next < 0) stride = strides[axis];
      if (next >= 0 && strides[axis] != next) return std::nullopt;
      next = strides[axis] * from[axis];
    }
    for (size_t axis = j_end; axis-- > j;) {
      result[axis] = stride;
      stride *= to[axis];
    }
    i = i_end, j = j_end;
  }
  return result;
}

class AttentionFuser {
 public:
  AttentionFuser(ExecPlan& plan, const Backend& backend) : plan_(plan), backend_(backend) {
    Uses uses = uses_of(plan);
    producer_ = std::move(uses.producer);
    readers_ = std::move(uses.readers);
    dead_.assign(plan.steps.size(), false);
  }

  void run() {
    bool changed = false;
    for (size_t i = 0; i < plan_.steps.size(); ++i) changed = fuse(i) || changed;
    if (!changed) return;
    std::vector<Step> kept;
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      if (!dead_[i]) kept.push_back(std::move(plan_.steps[i]));
    }
    plan_.steps = std::move(kept);
  }

 private:
  static size_t at(ValueIndex v) { return static_cast<size_t>(v); }
  const Dims& dims(ValueIndex v) const { return plan_.value(v).dims; }
  DType dtype(ValueIndex v) const { return plan_.value(v).dtype; }
  bool is_float(ValueIndex v) const {
    const bool small = dtype(v) == DType::kFloat16 || dtype(v) == DType::kBfloat16;
    return plan_.value(v).is_static &&
           (dtype(v) == DType::kFloat32 || (small && backend_.mixes_small_floats()));
  }
  std::optional<size_t> only_reader(ValueIndex v) const {
    if (readers_[at(v)].size() != 1 || readers_[at(v)][0] < 0) return std::nullopt;
    return static_cast<size_t>(readers_[at(v)][0]);
  }
  // The step that makes the value, when it is a kernel or view and nobody else reads it.
  const Step* own_producer(ValueIndex v) const {
    const int32_t producer = producer_[at(v)];
    if (producer < 0 || !only_reader(v) || !is_float(v)) return nullptr;
    const Step& step = plan_.steps[static_cast<size_t>(producer)];
    return step.kind == StepKind::kHost || step.outputs.size() != 1 ? nullptr : &step;
  }
  std::optional<float> scalar(ValueIndex v) const {
    const PlanValue& value = plan_.value(v);
    if (!value.is_constant() || !is_float(v) || element_count(value.dims) != 1) return std::nullopt;
    const Tensor& tensor = *plan_.constants[static_cast<size_t>(value.constant)].tensor();
    return tensor.dtype() == DType::kFloat32 ? *tensor.as<float>() : *ref::widen(tensor).as<float>();
  }

  // The factor, when all that the step does is to multiply its first input by one.
  std::optional<float> factor(const Step& step) const {
    if (step.op != "Elementwise" || step.program.code.size() != 1) return std::nullopt;
    const Instruction& i = step.program.code[0];
    if (i.op == ElementOp::kLinear) return i.beta == 0.f ? std::optional(i.alpha) : std::nullopt;
    const bool divides = i.op == ElementOp::kDiv;
    if ((i.op != ElementOp::kMul && !divides) || i.a != 0 || dims(step.inputs[0]) != dims(step.outputs[0]))
      return std::nullopt;
    const auto value = scalar(step.inputs[at(i.b)]);
    if (!value) return std::nullopt;
    return divides ? 1.f / *value : *value;
  }

  Walk walk(ValueIndex v) const {
    Walk own{v, row_major_strides(dims(v)), 1.f, {}};
    const Step* const step = own_producer(v);
    if (step == nullptr || step->inputs.empty() || dtype(step->inputs[0]) != dtype(v)) return own;
    const auto from = [&] {
      Walk source = walk(step->inputs[0]);
      source.steps.push_back(static_cast<size_t>(producer_[at(v)]));
      return source;
    };
    if (step->op == "Transpose" && step->kind == StepKind::kKernel && step->program.code.empty()) {
      const auto order = permutation_of(plan_.graph->node(step->node), dims(v).size());
      if (!order) return own;
      Walk source = from();
      std::vector<int64_t> strides;
      for (size_t axis : *order) strides.push_back(source.strides[axis]);
      source.strides = std::move(strides);
      return source;
    }
    if (step->kind == StepKind::kView && element_count(dims(v)) > 0) {
      Walk source = from();
      const auto strides = reshaped(dims(step->inputs[0]), source.strides, dims(v));
      if (!strides) return own;
      source.strides = *strides;
      return source;
    }
    if (const auto scale = factor(*step)) {
      Walk source = from();
      source.scale *= *scale;
      return source;
    }
    return own;
  }

  // Strides along `batch` and the last two axes.
  static std::vector<int64_t> broadcast(const Dims& own, std::vector<int64_t> strides, size_t rank) {
    for (size_t i = 0; i < own.size(); ++i) {
      if (own[i] == 1) strides[i] = 0;
    }
    strides.insert(strides.begin(), rank - own.size(), 0);
    return strides;
  }

  // Adds the step's work on `scores` to the program; false: something else is done there.
  bool add_work(const Step& step, ValueIndex scores) {
    const bool is_own = step.op != "Elementwise";  // the product's own epilogue
    int16_t before = is_own ? int16_t{0} : int16_t{-1};
    for (size_t i = 0; !is_own && i < step.inputs.size(); ++i) {
      if (step.inputs[i] != scores) continue;
      if (before >= 0) return false;
      before = static_cast<int16_t>(i);
    }
    if (before < 0) return false;
    const auto operand_of = [&](int16_t r) {
      if (r == before || r >= step.program.inputs) return kAbsent;
      return step.inputs[at(is_own ? step.node_inputs + r - 1 : r)];
    };
    int16_t next = static_cast<int16_t>(step.program.inputs);
    for (const Instruction& old : step.program.code) {
      Instruction i = old;
      ValueIndex other = kAbsent;
      if (is_binary(i.op)) {
        if ((i.a == before) == (i.b == before)) return false;
        other = operand_of(i.a == before ? i.b : i.a);
        if (other == kAbsent || !is_float(other)) return false;
        const bool first = i.a == before;
        i.a = first ? kScores : kOther;
        i.b = first ? kOther : kScores;
      } else if (i.a != before) {
        return false;
      } else {
        i.a = kScores;
      }
      work_.emplace_back(i, other);
      before = next++;
    }
    return true;
  }

  // Puts the collected work into the step as a program.
  void write_program(Step& fused) const {
    Program program{1, {}};
    for (const auto& [instruction, other] : work_) {
      if (other == kAbsent) continue;
      fused.inputs.push_back(other);
      ++program.inputs;
    }
    int16_t operand = 1, scores = 0;
    for (auto [instruction, other] : work_) {
      const int16_t second = other == kAbsent ? int16_t{-1} : operand++;
      const auto place = [&](int16_t r) { return r == kScores ? scores : second; };
      instruction.a = place(instruction.a);
      if (is_binary(instruction.op)) instruction.b = place(instruction.b);
      program.code.push_back(instruction);
      scores = program.result();
    }
    if (!program.code.empty()) fused.program = std::move(program);
  }

  // `last`: the product with v.
  bool fuse(size_t last) {
    const Step& values = plan_.steps[last];
    if (dead_[last] || values.op != "MatMul" || values.kind != StepKind::kKernel ||
        !values.program.code.empty() || values.inputs[0] == values.inputs[1])
      return false;
    ValueIndex weights = values.inputs[0];
    const ValueIndex v = values.inputs[1];
    std::vector<size_t> gone;
    const Step* softmax = own_producer(weights);
    if (softmax != nullptr && factor(*softmax) == 1.f) {  // from one type to another
      gone.push_back(static_cast<size_t>(producer_[at(weights)]));
      weights = softmax->inputs[0];
      softmax = own_producer(weights);
    }
    const size_t rank = dims(weights).size();
    if (softmax == nullptr || softmax->op != "Softmax" || softmax->kind != StepKind::kKernel || rank < 2 ||
        !is_last_axis(*softmax))
      return false;
    // From the Softmax back to the product with k.
    gone.push_back(static_cast<size_t>(producer_[at(weights)]));
    std::vector<std::pair<const Step*, ValueIndex>> between;  // the last first
    ValueIndex scores = softmax->inputs[0];
    const Step* product = own_producer(scores);
    while (product != nullptr && product->op == "Elementwise") {
      ValueIndex source = kAbsent;
      for (ValueIndex input : product->inputs) {
        const Step* const maker = input == kAbsent ? nullptr : own_producer(input);
        const bool is_scores = maker != nullptr && dims(input) == dims(scores) &&
                               (maker->op == "MatMul" || maker->op == "Elementwise");
        if (is_scores) source = input;
      }
      if (source == kAbsent) return false;
      gone.push_back(static_cast<size_t>(producer_[at(scores)]));
      between.emplace_back(product, source);
      scores = source;
      product = own_producer(scores);
    }
    if (product == nullptr || product->op != "MatMul" || product->kind != StepKind::kKernel) return false;
    gone.push_back(static_cast<size_t>(producer_[at(scores)]));

    Step fused;
    fused.op = kAttention;
    fused.node = softmax->node;
    work_.clear();
    if (!add_work(*product, kAbsent)) return false;
    for (auto step = between.rbegin(); step != between.rend(); ++step) {
      if (!add_work(*step->first, step->second)) return false;
    }
    const ValueIndex q = product->inputs[0], k = product->inputs[1];
    ValueIndex output = values.outputs[0];
    if (dims(q).size() < 2 || dims(k).size() < 2 || dims(v).size() < 2 || dims(output).size() != rank ||
        dims(scores).size() != rank || q == k)
      return false;
    Walk walks[] = {walk(q), walk(k), walk(v)};
    std::vector<int64_t> result = row_major_strides(dims(output));
    if (const auto reader = only_reader(output)) absorb_transpose(*reader, output, result, gone);
    for (size_t i = 0; i < 3; ++i) {
      const Walk& operand = walks[i];
      const Dims& own = dims(i == 0 ? q : i == 1 ? k : v);
      fused.inputs.push_back(operand.value);
      fused.strides.push_back(broadcast(own, operand.strides, rank));
      gone.insert(gone.end(), operand.steps.begin(), operand.steps.end());
    }
    // A factor of v is one of the result: only those before the Softmax are taken.
    if (walks[2].scale != 1.f) return false;
    const float scale = walks[0].scale * walks[1].scale;
    if (scale != 1.f)
      work_.insert(work_.begin(),
                   {Instruction{.op = ElementOp::kLinear, .a = kScores, .alpha = scale}, kAbsent});
    fused.node_inputs = 3;
    write_program(fused);
    fused.outputs = {output};
    fused.strides.push_back(result);
    fused.strides.push_back(dims(weights));
    fused.strides.back().push_back(dims(q).back());
    fused.strides.back().push_back(dims(v).back());
    if (!backend_.accepts_attention(plan_, fused)) return false;
    commit(std::move(fused), std::move(gone), last);
    return true;
  }

  bool is_last_axis(const Step& softmax) const {
    const Dims& own = dims(softmax.inputs[0]);
    const bool flat = plan_.opset < 13;
    const auto axis = normal_axis(plan_.graph->node(softmax.node).int_or("axis", flat ? 1 : -1), own.size());
    return axis && *axis + 1 == own.size();
  }

  // The only reader of the result is a Transpose: its output is written instead.
  void absorb_transpose(size_t reader, ValueIndex& output, std::vector<int64_t>& strides,
                        std::vector<size_t>& gone) const {
    const Step& step = plan_.steps[reader];
    if (step.op != "Transpose" || step.kind != StepKind::kKernel || !step.program.code.empty()) return;
    const auto order = permutation_of(plan_.graph->node(step.node), dims(output).size());
    // What of the result is innermost must stay so.
    if (!order || order->back() + 1 != order->size()) return;
    const std::vector<int64_t> written = row_major_strides(dims(step.outputs[0]));
    for (size_t i = 0; i < order->size(); ++i) strides[(*order)[i]] = written[i];
    output = step.outputs[0];
    gone.push_back(reader);
  }

  void commit(Step fused, std::vector<size_t> gone, size_t last) {
    gone.push_back(last);
    std::sort(gone.begin(), gone.end());
    for (size_t i : gone) {
      const Step& step = plan_.steps[i];
      fused.nodes.insert(fused.nodes.end(), step.nodes.begin(), step.nodes.end());
      dead_[i] = true;
    }
    // The operands are made by then; readers of an absorbed Transpose's output come later.
    dead_[last] = false;
    for (ValueIndex v : fused.inputs) readers_[at(v)].push_back(static_cast<int32_t>(last));
    producer_[at(fused.outputs[0])] = static_cast<int32_t>(last);
    plan_.steps[last] = std::move(fused);
  }

  static constexpr int16_t kScores = 0, kOther = 1;

  ExecPlan& plan_;
  const Backend& backend_;
  std::vector<bool> dead_;
  std::vector<int32_t> producer_;
  std::vector<std::vector<int32_t>> readers_;  // -1: the caller
  // On the scores, in order, with the other operand: registers kScores and kOther.
  std::vector<std::pair<Instruction, ValueIndex>> work_;
};

}  // namespace

void fuse_attention(ExecPlan& plan, const Backend& backend) { AttentionFuser(plan, backend).run(); }

}  // namespace mts::exec
