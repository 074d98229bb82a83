#include "plan/lane_cost.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string_view>

namespace mts {
namespace {

// What a node reads beside the output of the step that it runs in.
double other_bytes(const Work& work, double own) {
  return std::max(work.activation_bytes - 2 * own, 0.0) + work.weight_bytes;
}

double output_bytes(const Program& program, const Member& member) {
  double bytes = 0;
  for (const Number output : member.outputs)
    if (output != kNoNumber) bytes += program.bytes[output];
  return bytes;
}

// Elements of a LayerNormalization that has a sum of two values of its own shape for its input, where these
// have three axes with `more` of them.
double skip_normalized(const Program& program, const Member& member, size_t more) {
  if (!program.node(member).is("LayerNormalization") || member.operands.empty()) return 0;
  const Number input = member.operands.front();
  if (input == kNoNumber || !program.sources[input].produced()) return 0;
  const Type& type = program.types[input];
  if (!type.has_rank() || type.rank() + more != 3) return 0;
  const ValueSource& source = program.sources[input];
  const Member& sum = program.columns[source.column].members[source.member];
  if (!program.node(sum).is("Add")) return 0;
  for (const Number operand : sum.operands)
    if (operand == kNoNumber || program.types[operand].shape != type.shape) return 0;
  return CostModel::element_count(type);
}

double skip_normalized(const Program& program, const Column& column, const LanePlan& lane) {
  const auto& outputs = lane.option.outputs;
  const bool stacked =
      !outputs.empty() && outputs.front().is_fused() && outputs.front().placement.fold == Fold::kStacked;
  double elements = 0;
  for (const uint32_t m : lane.members)
    elements += skip_normalized(program, column.members[m], stacked ? 1 : 0);
  return elements;
}

Nanoseconds predicted_cost(const Program& program, const Column& column, const CostModel& cost,
                           const LanePlan& lane) {
  const Member& first = column.members[lane.members.front()];
  if (!lane.fused()) return member_cost(program, first, cost);
  const Work total = work_of(column, lane);
  const Nanoseconds extra = lane.option.extra_launches * cost.launch();
  if (!runs_inside_producer(program, first, cost))
    return (lane.option.strategy == Strategy::kGroup ? cost.group(total) : cost.node(total)) + extra +
           cost.skip_normalization(skip_normalized(program, column, lane));
  double own = 0;
  for (const uint32_t m : lane.members) own += output_bytes(program, column.members[m]);
  return cost.inside(other_bytes(total, own), total.flops) + extra;
}

// Layer, strategy and number of nodes by which a lane's figures are found. What is apart runs beside all
// others of its column.
struct Measurable {
  uint32_t layer;
  Strategy strategy;
  size_t members;
};

Measurable measurable(const Column& column, const LanePlan& lane) {
  const uint32_t layer = column.members[lane.members.front()].layer;
  return lane.fused() ? Measurable{layer, lane.option.strategy, lane.members.size()}
                      : Measurable{layer, Strategy::kApart, column.members.size()};
}

Nanoseconds times(Nanoseconds cost, double factor) {
  return std::llround(static_cast<double>(cost) * factor);
}

bool is_image(const Type& type) { return type.has_rank() && type.rank() >= 4; }

// Behind a convolution, or behind what runs inside one.
bool runs_inside_convolution(const Program& program, const Member& member, const Member& producer,
                             const CostModel& cost) {
  static const std::set<std::string_view> last = {"Relu",    "LeakyRelu", "Clip",
                                                  "Sigmoid", "Tanh",      "HardSigmoid"};
  static const std::set<std::string_view> any = {"Add", "BatchNormalization"};
  const Node& node = program.node(member);
  const bool scales = node.is("Mul") && std::ranges::any_of(member.operands, [&](Number operand) {
                        return operand != kNoNumber && program.weights[operand] != nullptr;
                      });
  if (!scales && !any.contains(node.op_type) && !last.contains(node.op_type)) return false;
  const Node& before = program.node(producer);
  return before.is("Conv") ||
         (!last.contains(before.op_type) && runs_inside_producer(program, producer, cost));
}

}  // namespace

Work work_of(const Column& column, const LanePlan& lane) {
  Work total;
  for (const uint32_t m : lane.members) {
    const Work& work = column.members[m].work;
    const Work sums = total;
    total = work;
    total.flops += sums.flops;
    total.activation_bytes += sums.activation_bytes;
    total.weight_bytes += sums.weight_bytes;
    total.output_elements += sums.output_elements;
  }
  if (lane.fused() && lane.option.strategy == Strategy::kBatch)
    total.weight_bytes /= static_cast<double>(lane.members.size());
  return total;
}

bool runs_inside_producer(const Program& program, const Member& member, const CostModel& cost) {
  if (cost.fusion() == Fusion::kNone || !is_elementwise(program.node(member))) return false;
  for (const Number operand : member.operands) {
    if (operand == kNoNumber || !program.sources[operand].produced()) continue;
    const bool same_size = member.outputs.empty() || member.outputs.front() == kNoNumber ||
                           CostModel::element_count(program.types[operand]) ==
                               CostModel::element_count(program.types[member.outputs.front()]);
    if (program.use_counts[operand] != 1 || !same_size) continue;
    const ValueSource& source = program.sources[operand];
    if (cost.fusion() == Fusion::kAny || !is_image(program.types[operand]) ||
        runs_inside_convolution(program, member, program.columns[source.column].members[source.member], cost))
      return true;
  }
  return false;
}

Nanoseconds member_cost(const Program& program, const Member& member, const CostModel& cost) {
  const Work& work = member.work;
  return runs_inside_producer(program, member, cost)
             ? cost.inside(other_bytes(work, output_bytes(program, member)), work.flops)
             : cost.node(work) + cost.skip_normalization(skip_normalized(program, member, 0));
}

Nanoseconds lane_cost(const Program& program, const Column& column, const CostModel& cost,
                      const LanePlan& lane) {
  const Nanoseconds predicted = predicted_cost(program, column, cost, lane);
  if (cost.figures() == nullptr) return predicted;
  const auto [layer, strategy, members] = measurable(column, lane);
  const std::optional<double> correction = cost.figures()->correction(layer, strategy, members);
  return correction ? times(predicted, *correction) : predicted;
}

std::optional<Nanoseconds> measured_cost(const Program& program, const Column& column, const CostModel& cost,
                                         const LanePlan& lane) {
  if (cost.figures() == nullptr) return std::nullopt;
  const auto [layer, strategy, members] = measurable(column, lane);
  const std::optional<double> measured = cost.figures()->measured(layer, strategy, members);
  if (!measured) return std::nullopt;
  return times(predicted_cost(program, column, cost, lane), *measured);
}

}  // namespace mts
