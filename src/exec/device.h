// The devices that a session can run on: one row each.
#pragma once

#include "exec/backend.h"

#include <mts/executor.h>

#include <memory>
#include <string_view>

namespace mts::exec {

struct DeviceEntry {
  std::string_view name;
  // One of the two: a session of its own, or a backend for compiled plans.
  Result<std::unique_ptr<Session>> (*make_session)(const Model& model);
  Result<std::unique_ptr<Backend>> (*make_backend)(const ExecutorOptions& options);
};
const DeviceEntry* find_device(std::string_view name);

// A session that runs compiled plans on the backend. threads: as in ExecutorOptions.
Result<std::unique_ptr<Session>> make_plan_session(const Model& model, std::unique_ptr<Backend> backend,
                                                   int threads);

}  // namespace mts::exec
