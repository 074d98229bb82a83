#include "stitch/regions.h"

#include <map>
#include <string>
#include <utility>

namespace mts {
namespace {

StitchReport::Region region_of(const ColumnPlan& plan, const ColumnName& name) {
  StitchReport::Region region;
  region.group = name.group;
  region.sets = 1;
  for (const LanePlan& lane : plan.lanes) region.models += static_cast<int64_t>(lane.members.size());
  region.first = region.last = name.node;
  region.strategy = name_of(plan.strategy);
  region.why = plan.refusal;
  for (const Alternative& alternative : plan.alternatives) {
    const std::string strategy(name_of(alternative.strategy));
    region.predicted_us[strategy] = static_cast<double>(alternative.cost) / 1000;
    if (alternative.measured)
      region.measured_us[strategy] = static_cast<double>(*alternative.measured) / 1000;
  }
  return region;
}

// As measured, or as predicted where that is all there is.
double best_known(const StitchReport::Region& region, const std::string& strategy) {
  const auto measured = region.measured_us.find(strategy);
  return measured != region.measured_us.end() ? measured->second : region.predicted_us.at(strategy);
}

// Prices are summed by strategy; where a set does not allow one, what it does cost counts.
void add(StitchReport::Region& region, const StitchReport::Region& next) {
  const std::map<std::string, double> before = region.predicted_us;
  for (const auto& [strategy, price] : next.predicted_us)
    region.predicted_us.try_emplace(strategy, region.predicted_us.at(region.strategy));
  std::map<std::string, double> measured;
  if (!region.measured_us.empty() || !next.measured_us.empty())
    for (const auto& [strategy, price] : region.predicted_us)
      measured[strategy] = best_known(region, before.contains(strategy) ? strategy : region.strategy) +
                           best_known(next, next.predicted_us.contains(strategy) ? strategy : next.strategy);
  region.measured_us = std::move(measured);
  for (auto& [strategy, price] : region.predicted_us) {
    const auto found = next.predicted_us.find(strategy);
    price += found != next.predicted_us.end() ? found->second : next.predicted_us.at(next.strategy);
  }
  region.last = next.last;
  region.sets += next.sets;
  if (region.why.empty()) region.why = next.why;
}

}  // namespace

std::vector<StitchReport::Region> regions_of(const std::vector<ColumnPlan>& columns,
                                             const std::vector<ColumnName>& names) {
  std::vector<StitchReport::Region> regions;
  for (size_t c = 0; c < columns.size(); ++c) {
    // Without alternatives there is nothing to be summed.
    if (columns[c].alternatives.empty()) continue;
    StitchReport::Region next = region_of(columns[c], names[c]);
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
