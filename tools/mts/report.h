// What `mts stitch` says about its work: a file for machines, a summary for people.
#pragma once

#include <mts/model_io.h>
#include <mts/stitch.h>

#include <string>

#include <nlohmann/json.hpp>

namespace mts::tool {

// `path`: of the output; empty when nothing was written (mts inspect), `output` then holds what is predicted.
nlohmann::ordered_json report_json(const StitchReport& report, const std::string& path,
                                   const SavedModel& output);
// `width`: columns of the terminal, 0 for no limit.
std::string report_text(const StitchReport& report, const std::string& path, size_t width);

nlohmann::ordered_json error_json(const Error& error);
// Valid JSON whatever bytes names hold.
std::string dump(const nlohmann::ordered_json& json);

}  // namespace mts::tool
