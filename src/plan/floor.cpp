#include "plan/floor.h"

#include "plan/lanes.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace mts {

Nanoseconds roofline_floor(const Program& program, const CostModel& cost) {
  double arithmetic = 0;  // seconds
  for (const Column& column : program.columns)
    for (const Member& member : column.members) arithmetic += cost.at_peak(member.work);
  double bytes = 0;
  for (const WeightPtr& weight : program.weights)
    if (weight != nullptr) bytes += static_cast<double>(weight->byte_size());
  std::set<Number> read;  // graph inputs are read and not produced
  for (const Column& column : program.columns)
    for (const Member& member : column.members)
      for (const Number operand : member.operands)
        if (operand != kNoNumber && !program.sources[operand].produced() &&
            program.weights[operand] == nullptr)
          read.insert(operand);
  for (const Number input : read) bytes += CostModel::bytes(program.types[input]);
  for (const auto& outputs : program.outputs)
    for (const Number output : outputs) bytes += CostModel::bytes(program.types[output]);
  return static_cast<Nanoseconds>(std::llround(1e9 * std::max(arithmetic, cost.through_memory(bytes))));
}

}  // namespace mts
