// Diagnostics go to spdlog's default logger, which the command line tool points at stderr. Libraries only log
// through these; data never does.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <spdlog/spdlog.h>

namespace mts::log {

using Level = spdlog::level::level_enum;

struct Line {
  Level level = Level::info;
  std::string text;
};

// While one lives, what its thread logs is kept instead of written: work that runs in parallel is logged in
// its order afterwards. They nest.
class Capture {
 public:
  explicit Capture(std::vector<Line>& lines);
  ~Capture();
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

 private:
  std::vector<Line>* outer_;
};

void write(Line line);

template <class... Arguments>
void write_as(Level level, fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  if (spdlog::should_log(level)) write({level, fmt::format(format, std::forward<Arguments>(arguments)...)});
}

template <class... Arguments>
void debug(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  write_as(Level::debug, format, std::forward<Arguments>(arguments)...);
}
template <class... Arguments>
void info(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  write_as(Level::info, format, std::forward<Arguments>(arguments)...);
}
template <class... Arguments>
void warn(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  write_as(Level::warn, format, std::forward<Arguments>(arguments)...);
}
template <class... Arguments>
void error(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  write_as(Level::err, format, std::forward<Arguments>(arguments)...);
}

}  // namespace mts::log
