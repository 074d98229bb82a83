#include "plan/grouping.h"

#include <algorithm>
#include <numeric>

namespace mts {
namespace {

Program without_columns(const Program& program) {
  Program result;
  result.models = program.models;
  result.types = program.types;
  result.weights = program.weights;
  result.bytes = program.bytes;
  result.sources.resize(program.sources.size());
  result.use_counts = program.use_counts;
  result.stored_weights = program.stored_weights;
  return result;
}

// Appends a column with the members of column `c` for which `wanted` holds, if there are any.
template <class Wanted>
void add_members(const Program& program, uint32_t c, Wanted wanted, Program& result) {
  Column column{.id = program.columns[c].id, .members = {}};
  for (uint32_t m = 0; m < program.columns[c].members.size(); ++m) {
    if (!wanted(m)) continue;
    const Member& member = program.columns[c].members[m];
    for (uint32_t o = 0; o < member.outputs.size(); ++o) {
      const Number output = member.outputs[o];
      if (output == kNoNumber) continue;
      if (const ValueSource& source = program.sources[output]; source.column == c && source.member == m)
        result.sources[output] = {static_cast<uint32_t>(result.columns.size()),
                                  static_cast<uint32_t>(column.members.size()), o};
    }
    column.members.push_back(member);
  }
  if (!column.members.empty()) result.columns.push_back(std::move(column));
}

}  // namespace

Groups one_group(size_t models) {
  Groups groups(1);
  groups.front().resize(models);
  std::iota(groups.front().begin(), groups.front().end(), 0U);
  return groups;
}

Program in_groups(const Program& program, const Groups& groups) {
  std::vector<uint32_t> group_of(program.models->size(), 0);
  for (uint32_t g = 0; g < groups.size(); ++g)
    for (const uint32_t model : groups[g]) group_of[model] = g;

  // A member runs in the first group that needs what it makes.
  const auto last = static_cast<uint32_t>(groups.size());
  std::vector<uint32_t> needed(program.types.size(), last);  // [number]
  std::vector<std::vector<uint32_t>> runs_in(program.columns.size());
  for (size_t c = program.columns.size(); c-- > 0;) {
    const auto& members = program.columns[c].members;
    for (const Member& member : members) {
      uint32_t group = last;
      for (const auto& [model, node] : member.origins) group = std::min(group, group_of[model]);
      for (const Number output : member.outputs)
        if (output != kNoNumber) group = std::min(group, needed[output]);
      runs_in[c].push_back(group);
      for (const auto* numbers : {&member.operands, &member.captures})
        for (const Number number : *numbers)
          if (number != kNoNumber) needed[number] = std::min(needed[number], group);
    }
  }

  Program divided = without_columns(program);
  divided.outputs = program.outputs;
  for (uint32_t g = 0; g < groups.size(); ++g)
    for (uint32_t c = 0; c < program.columns.size(); ++c)
      add_members(
          program, c, [&](uint32_t m) { return runs_in[c][m] == g; }, divided);
  return divided;
}

Program of_models(const Program& program, std::span<const uint32_t> chosen) {
  std::vector<bool> is_chosen(program.models->size(), false);
  for (const uint32_t model : chosen) is_chosen[model] = true;
  Program part = without_columns(program);
  part.outputs.resize(program.outputs.size());
  for (const uint32_t model : chosen) part.outputs[model] = program.outputs[model];
  for (uint32_t c = 0; c < program.columns.size(); ++c)
    add_members(
        program, c,
        [&](uint32_t m) {
          return std::ranges::any_of(program.columns[c].members[m].origins,
                                     [&](const auto& origin) { return is_chosen[origin.first]; });
        },
        part);
  return part;
}

}  // namespace mts
