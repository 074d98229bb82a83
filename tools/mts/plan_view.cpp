#include "plan_view.h"

#include "terminal.h"

#include <fmt/format.h>

namespace mts::tool {
namespace {

using Json = nlohmann::ordered_json;

std::string microseconds(double us) {
  return us < 10 ? fmt::format("{:.1f}", us) : fmt::format("{:.0f}", us);
}

std::string otherwise(const StitchReport::Region& region) {
  std::string text;
  for (const auto& [strategy, us] : region.predicted_us)
    if (strategy != region.strategy)
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", strategy, microseconds(us));
  return text.empty() ? region.why : text;
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
  size_t group = report.groups.size();
  const Table empty({{"runs"},
                     {"sets", Table::Align::kRight},
                     {"nodes", Table::Align::kRight},
                     {"us", Table::Align::kRight},
                     {"otherwise"},
                     {"from"}});
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
    table.add({region.strategy, fmt::format("{}", region.sets), fmt::format("{}", region.models),
               own == region.predicted_us.end() ? "" : microseconds(own->second), otherwise(region),
               region.first});
  }
  flush();
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
                    {"why", region.why}});
  }
  return json;
}

}  // namespace mts::tool
