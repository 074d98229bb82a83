// The plan as `mts inspect --plan` explains it: groups, and region by region how it runs and what else it
// could.
#pragma once

#include <mts/stitch.h>

#include <cstddef>
#include <string>

#include <nlohmann/json.hpp>

namespace mts::tool {

// `report`: made with StitchOptions::explain.
std::string plan_text(const StitchReport& report, size_t width);
nlohmann::ordered_json plan_json(const StitchReport& report);

}  // namespace mts::tool
