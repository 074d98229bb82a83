#include "exec/attention_parts.h"

#include "exec/geometry.h"
#include "ref/formats.h"

#include <optional>
#include <utility>

namespace mts::exec {
namespace {

std::optional<float> scalar(const ExecPlan& plan, ValueIndex index) {
  const PlanValue& value = plan.value(index);
  if (!value.is_constant() || element_count(value.dims) != 1) return std::nullopt;
  const Tensor& tensor = *plan.constants[static_cast<size_t>(value.constant)].tensor();
  return tensor.dtype() == DType::kFloat32 ? *tensor.as<float>() : *ref::widen(tensor).as<float>();
}

// With a constant scalar behind it, arithmetic is alpha x + beta.
std::optional<Instruction> linear(ElementOp op, float c) {
  switch (op) {
    case ElementOp::kAdd:
      return Instruction{.op = ElementOp::kLinear, .alpha = 1.f, .beta = c};
    case ElementOp::kSub:
      return Instruction{.op = ElementOp::kLinear, .alpha = 1.f, .beta = -c};
    case ElementOp::kMul:
      return Instruction{.op = ElementOp::kLinear, .alpha = c, .beta = 0.f};
    case ElementOp::kDiv:
      return Instruction{.op = ElementOp::kLinear, .alpha = 1.f / c, .beta = 0.f};
    default:
      return std::nullopt;
  }
}

}  // namespace

AttentionExtents extents_of(const Step& step) {
  const std::vector<int64_t>& all = step.strides[4];
  const size_t batch = all.size() - 4;
  return {Dims(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(batch)), all[batch], all[batch + 1],
          all[batch + 2], all[batch + 3]};
}
Dims scores_dims(const Step& step) { return Dims(step.strides[4].begin(), step.strides[4].end() - 2); }

std::vector<ScoresWork> scores_work(const ExecPlan& plan, const Step& step) {
  const Dims scores = scores_dims(step);
  std::vector<ScoresWork> result;
  int16_t before = 0;
  for (size_t i = 0; i < step.program.code.size(); ++i) {
    ScoresWork work{step.program.code[i], kAbsent, step.program.code[i].a == before, {}};
    if (is_binary(work.instruction.op)) {
      const int16_t other = work.scores_first ? work.instruction.b : work.instruction.a;
      work.other = step.inputs[static_cast<size_t>(step.node_inputs + other - 1)];
      const auto constant = scalar(plan, work.other);
      const auto simple =
          constant && work.scores_first ? linear(work.instruction.op, *constant) : std::nullopt;
      if (simple) {
        work.instruction = *simple;
        work.other = kAbsent;
      } else {
        work.strides = broadcast_strides(plan.value(work.other).dims, scores);
      }
    }
    result.push_back(std::move(work));
    before = static_cast<int16_t>(step.program.inputs + static_cast<int>(i));
  }
  return result;
}

// Factors that the work begins with go into k.
float leading_factor(std::vector<ScoresWork>& work) {
  float factor = 1.f;
  while (!work.empty() && work[0].instruction.op == ElementOp::kLinear && work[0].instruction.beta == 0.f) {
    factor *= work[0].instruction.alpha;
    work.erase(work.begin());
  }
  return factor;
}

}  // namespace mts::exec
