#include "rules/lane.h"

#include <array>

namespace mts {

std::string_view name_of(Strategy strategy) {
  static constexpr std::array<std::string_view, 8> kNames{
      "once", "batch", "fan_out", "group", "partition", "partial_rows", "partial_blocks", "apart"};
  return kNames[static_cast<size_t>(strategy)];
}

const Operand& Lane::operand(size_t position) const {
  static const Operand kAbsent;
  return position < operands.size() ? operands[position] : kAbsent;
}

std::string to_string(const Form& form) {
  switch (form.kind) {
    case Form::Kind::kAbsent:
      return "absent";
    case Form::Kind::kOnce:
      return "once";
    case Form::Kind::kFused:
      return to_string(form.placement);
  }
  return {};
}

Strategy strategy_of(const Lane& lane) {
  bool activation = false, weight = false;
  for (const Operand& operand : lane.operands) {
    if (!operand.mapped()) continue;
    (operand.constant ? weight : activation) = true;
  }
  if (!activation) return weight ? Strategy::kFanOut : Strategy::kOnce;
  return weight ? Strategy::kGroup : Strategy::kBatch;
}

}  // namespace mts
