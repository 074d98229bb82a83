#include "plan/plan_json.h"
#include "stitch/regions.h"
#include "stitch/report.h"

#include <mts/stitch.h>

namespace mts {

Result<StitchReport> explain_plan(std::string_view plan, const std::string& file) {
  MTS_ASSIGN(const RecordedPlan recorded, parse_plan(plan, file));
  if (recorded.names.empty())
    return fail(ErrorCode::kUsage,
                "the plan does not say what else was possible; give the models too, or save it anew",
                {.file = file, .node = {}, .value = {}});
  StitchReport report;
  for (const auto& models : recorded.groups) report.groups.push_back({models});
  describe_prices(recorded.plan, report);
  report.regions = regions_of(recorded.plan.columns, recorded.names);
  return report;
}

}  // namespace mts
