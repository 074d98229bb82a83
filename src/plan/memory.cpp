#include "plan/memory.h"

#include "plan/cost.h"

#include <algorithm>
#include <vector>

namespace mts {

double predicted_peak_bytes(const Program& program) {
  const size_t columns = program.columns.size();
  std::vector<size_t> last(program.types.size(), 0);  // by number: the last column that reads it
  for (size_t c = 0; c < columns; ++c)
    for (const Member& member : program.columns[c].members)
      for (const auto* numbers : {&member.operands, &member.captures})
        for (const Number number : *numbers)
          if (number != kNoNumber) last[number] = c;
  for (const Number number : program.outputs) last[number] = columns;
  std::vector<double> released(columns + 2, 0);  // before this column
  double constants = 0, live = 0, peak = 0;
  for (Number number = 0; number < program.types.size(); ++number)
    if (program.weights[number] != nullptr)
      constants += static_cast<double>(program.weights[number]->byte_size());
  for (size_t c = 0; c < columns; ++c) {
    live -= released[c];
    for (const Member& member : program.columns[c].members)
      for (const Number number : member.outputs) {
        if (number == kNoNumber || !program.types[number].has_rank()) continue;
        const double bytes = CostModel::bytes(program.types[number]);
        live += bytes;
        released[std::max(last[number], c) + 1] += bytes;
      }
    peak = std::max(peak, live);
  }
  return constants + peak;
}

}  // namespace mts
