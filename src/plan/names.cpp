#include <mts/stitch.h>

namespace mts {

std::string_view name_of(StitchOptions::Strategy strategy) {
  switch (strategy) {
    case StitchOptions::Strategy::kAuto:
      return "auto";
    case StitchOptions::Strategy::kStitch:
      return "stitch";
    case StitchOptions::Strategy::kNetfuse:
      return "netfuse";
    case StitchOptions::Strategy::kConcat:
      return "concat";
  }
  return "";
}

std::string_view name_of(StitchOptions::Objective objective) {
  return objective == StitchOptions::Objective::kBytes ? "bytes" : "latency";
}

}  // namespace mts
