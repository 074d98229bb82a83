#include "stitch/regions.h"

#include <algorithm>
#include <string>

namespace mts {
namespace {

std::string name_of_first(const Program& program, const Column& column) {
  const Member& member = column.members.front();
  const Node& node = program.node(member);
  return (*program.models)[member.model].name + ":" + (node.name.empty() ? node.op_type : node.name);
}

// The group in which a member's first node runs.
size_t group_of(const Plan& plan, const Member& member) {
  size_t first = plan.groups.size();
  for (size_t g = 0; g < plan.groups.size(); ++g)
    for (const auto& [model, node] : member.origins)
      if (std::ranges::find(plan.groups[g], model) != plan.groups[g].end()) first = std::min(first, g);
  return first;
}

StitchReport::Region region_of(const Program& program, const Plan& plan, size_t c) {
  const Column& column = program.columns[c];
  StitchReport::Region region;
  region.group = group_of(plan, column.members.front());
  region.sets = 1;
  region.models = static_cast<int64_t>(column.members.size());
  region.first = region.last = name_of_first(program, column);
  region.strategy = name_of(plan.columns[c].strategy);
  region.why = plan.columns[c].refusal;
  for (const Alternative& alternative : plan.columns[c].alternatives)
    region.predicted_us[std::string(name_of(alternative.strategy))] =
        static_cast<double>(alternative.cost) / 1000;
  return region;
}

// Prices are summed by strategy; where a set does not allow one, what it does cost counts.
void add(StitchReport::Region& region, const StitchReport::Region& next) {
  for (const auto& [strategy, price] : next.predicted_us)
    region.predicted_us.try_emplace(strategy, region.predicted_us.at(region.strategy));
  for (auto& [strategy, price] : region.predicted_us) {
    const auto found = next.predicted_us.find(strategy);
    price += found != next.predicted_us.end() ? found->second : next.predicted_us.at(next.strategy);
  }
  region.last = next.last;
  region.sets += next.sets;
  if (region.why.empty()) region.why = next.why;
}

}  // namespace

std::vector<StitchReport::Region> regions_of(const Program& program, const Plan& plan) {
  std::vector<StitchReport::Region> regions;
  for (size_t c = 0; c < plan.columns.size(); ++c) {
    StitchReport::Region next = region_of(program, plan, c);
    const bool same = !regions.empty() && regions.back().group == next.group &&
                      regions.back().strategy == next.strategy && regions.back().models == next.models;
    if (same) {
      add(regions.back(), next);
    } else {
      regions.push_back(std::move(next));
    }
  }
  return regions;
}

}  // namespace mts
