// Diagnostics go to spdlog's default logger, which the command line tool points at stderr. Libraries only log
// through these; data never does.
#pragma once

#include <spdlog/spdlog.h>

namespace mts::log {

using spdlog::debug;
using spdlog::error;
using spdlog::info;
using spdlog::warn;

}  // namespace mts::log
