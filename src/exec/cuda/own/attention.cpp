// Attention as one kernel (exec/attention.h).
#include "exec/cuda/kernels/attention.h"

#include "exec/attention_parts.h"
#include "exec/cuda/own/families.h"
#include "exec/cuda/own/launch_kernel.h"
#include "exec/cuda/own/operands.h"

#include <utility>

namespace mts::exec::cuda {
namespace {

// Batch axes of all operands, merged to at most kMaxOuter.
class BatchAxes {
 public:
  explicit BatchAxes(const Dims& batch) : batch_(batch) {}
  // `strides`: by batch axis, then two that do not count.
  void add(std::span<const int64_t> strides) {
    strides_.emplace_back(strides.begin(), strides.begin() + static_cast<std::ptrdiff_t>(batch_.size()));
  }
  // False: more than kMaxOuter are left.
  bool merge() {
    axes_ = merge_axes(batch_, strides_);
    return axes_.size() <= static_cast<size_t>(kMaxOuter);
  }
  // The innermost axis is the last of `outer`; those in front have extent 1.
  void extents(Divisor (&outer)[kMaxOuter]) const {
    for (size_t i = 0; i < axes_.size(); ++i) outer[first() + i] = Divisor(axes_[i].extent);
  }
  void strides(size_t operand, int64_t (&outer)[kMaxOuter]) const {
    for (size_t i = 0; i < axes_.size(); ++i) outer[first() + i] = axes_[i].strides[operand];
  }

 private:
  size_t first() const { return static_cast<size_t>(kMaxOuter) - axes_.size(); }

  Dims batch_;
  std::vector<std::vector<int64_t>> strides_;
  std::vector<Axis> axes_;
};

struct Work {
  AttentionArgs args;
  ValueIndex addend = kAbsent;
  std::vector<ValueIndex> operands;  // of the work
};

std::optional<Work> work_of(const ExecPlan& plan, const Step& step) {
  if (step.op != kAttention || step.strides.size() != 5 || element_count(step.strides[4]) == 0)
    return std::nullopt;
  const AttentionExtents extents = extents_of(step);
  const Dims scores = scores_dims(step);
  const auto type = float_type_of(plan.value(step.outputs[0]).dtype);
  if (!type || extents.depth > kMostAttentionDepth || extents.width > kMostAttentionWidth)
    return std::nullopt;
  Work work;
  AttentionArgs& args = work.args;
  args.type = *type;
  args.rows = static_cast<int32_t>(extents.rows);
  args.columns = static_cast<int32_t>(extents.columns);
  args.depth = static_cast<int32_t>(extents.depth);
  args.width = static_cast<int32_t>(extents.width);
  BatchAxes batch(extents.batch);
  for (size_t i = 0; i < 4; ++i) {
    if (i < 3 && float_type_of(plan.value(step.inputs[i]).dtype) != type) return std::nullopt;
    batch.add(step.strides[i]);
  }
  for (size_t i = 3; i < step.inputs.size(); ++i) {
    const PlanValue& value = plan.value(step.inputs[i]);
    const auto whole = broadcast(value.dims, scores);
    if (!float_type_of(value.dtype) || !whole || *whole != scores) return std::nullopt;
  }
  std::vector<ScoresWork> instructions = scores_work(plan, step);
  args.scale = leading_factor(instructions);
  for (const ScoresWork& i : instructions) {
    if (i.other != kAbsent) batch.add(i.strides);
  }
  if (!batch.merge()) return std::nullopt;
  batch.extents(args.outer);

  AttentionOperand* const parts[] = {&args.q_at, &args.k_at, &args.v_at, &args.output_at};
  const size_t axes = extents.batch.size();
  for (size_t i = 0; i < 4; ++i) {
    batch.strides(i, parts[i]->outer);
    parts[i]->row = step.strides[i][axes];
    parts[i]->column = step.strides[i][axes + 1];
  }
  size_t next = 4;
  const auto operand_of = [&](const ScoresWork& i) {
    EpilogueOperand operand;
    batch.strides(next++, operand.outer);
    operand.row = i.strides[axes];
    operand.column = i.strides[axes + 1];
    operand.type = *float_type_of(plan.value(i.other).dtype);
    return operand;
  };
  size_t first = 0;
  if (!instructions.empty() && instructions[0].instruction.op == ElementOp::kAdd) {  // a mask
    args.has_addend = true;
    args.addend = operand_of(instructions[0]);
    work.addend = instructions[0].other;
    first = 1;
  }
  DeviceProgram& program = args.work.program;
  for (size_t n = first; n < instructions.size(); ++n) {
    const ScoresWork& from = instructions[n];
    if (program.length == kMaxProgram || work.operands.size() == static_cast<size_t>(kMaxOperands))
      return std::nullopt;
    DeviceInstruction to{from.instruction.op,    kAccumulator,         -1, -1,
                         from.instruction.alpha, from.instruction.beta};
    if (from.other != kAbsent) {
      const auto operand = static_cast<int8_t>(work.operands.size());
      to.a = from.scores_first ? kAccumulator : operand;
      to.b = from.scores_first ? operand : kAccumulator;
      args.work.operands[operand] = operand_of(from);
      work.operands.push_back(from.other);
    }
    program.code[program.length++] = to;
  }
  return work;
}

}  // namespace

bool accepts_attention(const ExecPlan& plan, const Step& step) {
  return step.op == kAttention && all_fit(plan, step) && all_row_major(plan, step) &&
         work_of(plan, step).has_value();
}

KernelResult make_attention(OwnDevice& device, const ExecPlan& plan, const Step& step) {
  std::optional<Work> work = work_of(plan, step);
  if (!work) return fail(ErrorCode::kInternal, "no attention kernel for " + step.op);
  work->args.tensor_cores = work->args.type != FloatType::kFloat32 || device.allows_tf32();
  return make_launch(
      device, launch_attention, work->args,
      [q = step.inputs[0], k = step.inputs[1], v = step.inputs[2], output = step.outputs[0],
       addend = work->addend, operands = work->operands](AttentionArgs& args, const Pointers& p) {
        args.q = p[q];
        args.k = p[k];
        args.v = p[v];
        args.output = p[output];
        if (args.has_addend) args.addend.data = p[addend];
        for (size_t i = 0; i < operands.size(); ++i) args.work.operands[i].data = p[operands[i]];
      });
}

}  // namespace mts::exec::cuda
