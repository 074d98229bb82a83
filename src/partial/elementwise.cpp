// Operators that work on every element by itself, with ONNX's (NumPy's) broadcasting.
#include "partial/track.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace mts::partial {
namespace {

constexpr std::array<std::string_view, 55> kElementwise = {"Abs",
                                                           "Add",
                                                           "And",
                                                           "Cast",
                                                           "CastLike",
                                                           "Ceil",
                                                           "Celu",
                                                           "Clip",
                                                           "Cos",
                                                           "Div",
                                                           "Elu",
                                                           "Equal",
                                                           "Erf",
                                                           "Exp",
                                                           "Floor",
                                                           "Gelu",
                                                           "Greater",
                                                           "GreaterOrEqual",
                                                           "HardSigmoid",
                                                           "HardSwish",
                                                           "Identity",
                                                           "IsInf",
                                                           "IsNaN",
                                                           "LeakyRelu",
                                                           "Less",
                                                           "LessOrEqual",
                                                           "Log",
                                                           "Max",
                                                           "Mean",
                                                           "Min",
                                                           "Mish",
                                                           "Mod",
                                                           "Mul",
                                                           "Neg",
                                                           "Not",
                                                           "Or",
                                                           "PRelu",
                                                           "Pow",
                                                           "Reciprocal",
                                                           "Relu",
                                                           "Round",
                                                           "Selu",
                                                           "Sigmoid",
                                                           "Sign",
                                                           "Sin",
                                                           "Softplus",
                                                           "Softsign",
                                                           "Sqrt",
                                                           "Sub",
                                                           "Sum",
                                                           "Swish",
                                                           "Tanh",
                                                           "ThresholdedRelu",
                                                           "Where",
                                                           "Xor"};

}  // namespace

std::optional<Effect> elementwise_effect(Tracker& tracker, NodeId id) {
  const Node& node = tracker.graph().node(id);
  const Type& out = tracker.type(node.outputs[0]);
  if (std::ranges::find(kElementwise, node.op_type) == kElementwise.end() || !out.has_rank())
    return std::nullopt;

  // The axis of the output along which some operand is tracked.
  std::optional<size_t> axis;
  std::optional<Tracked> channels;
  for (const ValueId input : node.inputs) {
    if (!tracker.tracked(input) || !tracker.type(input).has_rank()) continue;
    const Tracked& tracked = *tracker.tracked(input);
    const size_t at = tracked.axis + out.rank() - tracker.type(input).rank();
    if (tracked.channels.size() <= 1 && channels) continue;
    if (axis && *axis != at && channels->channels.size() > 1) return std::nullopt;
    axis = at;
    channels = tracked;
  }
  if (!axis) return std::nullopt;
  const int64_t size = static_cast<int64_t>(channels->channels.size()) * channels->unit;
  if (tracker.dim(node.outputs[0], *axis) != size) return std::nullopt;

  Effect effect;
  effect.role.kind = NodeRole::Kind::kEach;
  for (const ValueId input : node.inputs) {
    OperandRole& role = effect.role.operands.emplace_back();
    if (input == kNoValue) continue;
    const Type& type = tracker.type(input);
    if (!type.has_rank()) return std::nullopt;
    const size_t missing = out.rank() - type.rank();
    if (*axis < missing || tracker.dim(input, *axis - missing) == 1) {
      if (size != 1) continue;  // broadcast over the channels
    } else if (tracker.dim(input, *axis - missing) != size) {
      return std::nullopt;
    }
    if (*axis < missing) continue;
    if (tracker.weight(input) != nullptr) {
      if (bit_width(type.dtype) % 8 != 0 || type.dtype == DType::kString) return std::nullopt;
      role = {OperandRole::Kind::kParameter, *axis - missing, channels->unit};
      continue;
    }
    const Tracked* tracked = tracker.pin(input, *axis - missing);
    if (tracked == nullptr || tracked->axis != *axis - missing || !tracker.tie(*channels, *tracked))
      return std::nullopt;
    role.kind = OperandRole::Kind::kChannels;
  }
  effect.out = Tracked{*axis, channels->unit, channels->channels, false};
  return effect;
}

}  // namespace mts::partial
