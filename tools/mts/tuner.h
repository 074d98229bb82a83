// Measures candidate models for `mts stitch --tune`.
#pragma once

#include <mts/executor.h>
#include <mts/stitch.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>

namespace mts::tool {

struct TunerOptions {
  ExecutorOptions executor;
  std::map<std::string, int64_t> dims;  // sizes of dynamic dimensions; others are 1
  double budget = 120;                  // seconds, see Tuner
  std::function<void(size_t measured)> progress;
};

// `cache`: $XDG_CACHE_HOME/mts/tune, or ~/.cache/mts/tune; none when there is no home.
Tuner make_tuner(const TunerOptions& options);

}  // namespace mts::tool
