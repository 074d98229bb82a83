#include "progress.h"

#include "terminal.h"

#include <chrono>
#include <cstdio>

#include <fmt/format.h>

namespace mts::tool {

using namespace std::chrono_literals;

Progress::Progress(std::string what, bool quiet) : what_(std::move(what)) {
  if (!quiet && stderr_is_terminal()) thread_ = std::thread([this] { draw_until_done(); });
}

Progress::~Progress() {
  {
    const std::scoped_lock lock(mutex_);
    finished_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Progress::set(std::string what) { set(std::move(what), 0, 0); }

void Progress::set(std::string what, size_t done, size_t total) {
  const std::scoped_lock lock(mutex_);
  what_ = std::move(what);
  done_ = done;
  total_ = total;
}

void Progress::draw_until_done() {
  const auto start = std::chrono::steady_clock::now();
  std::unique_lock lock(mutex_);
  if (changed_.wait_for(lock, 1s, [this] { return finished_; })) return;  // too quick to be worth a word
  do {
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    fmt::print(stderr, "\r{}\033[K", line(elapsed.count()));
    std::fflush(stderr);
  } while (!changed_.wait_for(lock, 200ms, [this] { return finished_; }));
  fmt::print(stderr, "\r\033[K");
  std::fflush(stderr);
}

std::string Progress::line(double seconds) const {
  if (total_ == 0) return fmt::format("{} … {:.0f} s", what_, seconds);
  constexpr size_t kWidth = 24;
  const size_t filled = kWidth * done_ / total_;
  return fmt::format("{} [{}{}] {}/{} {:.0f} s", what_, std::string(filled, '#'),
                     std::string(kWidth - filled, '.'), done_, total_, seconds);
}

}  // namespace mts::tool
