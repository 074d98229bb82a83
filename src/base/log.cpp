#include "base/log.h"

namespace mts::log {
namespace {

thread_local std::vector<Line>* kept = nullptr;

}  // namespace

Capture::Capture(std::vector<Line>& lines) : outer_(std::exchange(kept, &lines)) {}
Capture::~Capture() { kept = outer_; }

void write(Line line) {
  if (kept != nullptr) {
    kept->push_back(std::move(line));
  } else {
    spdlog::log(line.level, "{}", line.text);
  }
}

}  // namespace mts::log
