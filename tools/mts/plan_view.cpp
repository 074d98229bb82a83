#include "plan_view.h"

#include "terminal.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace mts::tool {
namespace {

using Json = nlohmann::ordered_json;

std::string microseconds(double us) {
  return us < 10 ? fmt::format("{:.1f}", us) : fmt::format("{:.0f}", us);
}

constexpr size_t kMeasuredShown = 8;  // of the plans that were measured, the fastest

// Empty where nothing was measured.
std::string measured(const StitchReport::Region& region, const std::string& strategy) {
  const auto found = region.measured_us.find(strategy);
  return found != region.measured_us.end() ? microseconds(found->second) : "";
}

// "apart 17 (19), group 12 (9.1): it is predicted to be faster apart"
std::string otherwise(const StitchReport::Region& region) {
  std::string text;
  for (const auto& [strategy, us] : region.predicted_us) {
    if (strategy == region.strategy) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", strategy, microseconds(us));
    if (const std::string also = measured(region, strategy); !also.empty())
      text += fmt::format(" ({})", also);
  }
  return text.empty() || region.why.empty() ? text + region.why : text + ": " + region.why;
}

std::string measured_text(const StitchReport& report, size_t width) {
  std::vector<const StitchReport::Measured*> plans;
  for (size_t i = 0; i + 1 < report.measured.size(); ++i) plans.push_back(&report.measured[i]);
  std::ranges::stable_sort(plans, {}, [](const auto* one) { return one->latency_us; });
  std::string text = fmt::format("\nMeasured as a whole: {} plans, \"{}\" was taken.\n", plans.size(),
                                 report.measured.back().plan);
  Table table({{"plan"},
               {"measured us", Table::Align::kRight},
               {"predicted", Table::Align::kRight},
               {"by layers", Table::Align::kRight}});
  plans.resize(std::min(plans.size(), kMeasuredShown));
  for (const auto* one : plans)
    table.add({one->plan, microseconds(one->latency_us), microseconds(one->predicted_us),
               microseconds(one->by_layers_us)});
  return text + table.render(width);
}

}  // namespace

std::string plan_text(const StitchReport& report, size_t width) {
  std::string text = fmt::format(
      "{} group{}, predicted {} us ({} us one after another) and {} at the peak\n", report.groups.size(),
      report.groups.size() == 1 ? "" : "s, one after another",
      microseconds(report.predicted.latency_us_fused), microseconds(report.predicted.latency_us_sequential),
      human_bytes(static_cast<double>(report.predicted.peak_memory_bytes)));
  if (report.predicted.floor_us > 0)
    text += fmt::format("The device's roofline for this work, each weight read once, is {} us.\n",
                        microseconds(report.predicted.floor_us));
  text += "Prices are those of the nodes; changes of placement between regions come on top.\n";
  const bool any_measured = std::ranges::any_of(
      report.regions, [](const StitchReport::Region& region) { return !region.measured_us.empty(); });
  if (any_measured)
    text += "Measured: the same, but with what layers took by themselves where they were measured.\n";
  size_t group = report.groups.size();
  std::vector<Table::Column> columns{{"runs"},
                                     {"sets", Table::Align::kRight},
                                     {"nodes", Table::Align::kRight},
                                     {any_measured ? "predicted us" : "us", Table::Align::kRight}};
  if (any_measured) columns.push_back({"measured", Table::Align::kRight});
  columns.push_back({any_measured ? "otherwise (measured)" : "otherwise"});
  columns.push_back({"from"});
  const Table empty(std::move(columns));
  Table table = empty;
  const auto flush = [&] {
    if (!table.empty()) text += table.render(width);
    table = empty;
  };
  for (const StitchReport::Region& region : report.regions) {
    if (region.group != group) {
      flush();
      group = region.group;
      if (report.groups.size() > 1)
        text += fmt::format("\ngroup {}: {}\n", group + 1, fmt::join(report.groups[group].models, ", "));
    }
    const auto own = region.predicted_us.find(region.strategy);
    std::vector<std::string> row{region.strategy, fmt::format("{}", region.sets),
                                 fmt::format("{}", region.models),
                                 own == region.predicted_us.end() ? "" : microseconds(own->second)};
    if (any_measured) row.push_back(measured(region, region.strategy));
    row.push_back(otherwise(region));
    row.push_back(region.first);
    table.add(std::move(row));
  }
  flush();
  if (!report.measured.empty()) text += measured_text(report, width);
  return text;
}

Json plan_json(const StitchReport& report) {
  Json json = Json::array();
  for (const StitchReport::Region& region : report.regions) {
    json.push_back({{"group", region.group},
                    {"first", region.first},
                    {"last", region.last},
                    {"sets", region.sets},
                    {"nodes", region.models},
                    {"strategy", region.strategy},
                    {"predicted_us", region.predicted_us},
                    {"measured_us", region.measured_us},
                    {"why", region.why}});
  }
  return json;
}

}  // namespace mts::tool
