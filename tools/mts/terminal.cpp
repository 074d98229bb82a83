#include "terminal.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace mts::tool {
namespace {

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xc0u) == 0x80u; }

// The first `count` code points.
std::string prefix(const std::string& text, size_t count) {
  size_t end = 0;
  while (end < text.size()) {
    size_t next = end + 1;
    while (next < text.size() && is_continuation(text[next])) ++next;
    if (count-- == 0) break;
    end = next;
  }
  return text.substr(0, end);
}

// At spaces where there are some; a longer word is cut where the line ends.
std::vector<std::string> break_lines(const std::string& text, size_t width) {
  if (display_width(text) <= width || width == 0) return {text};
  std::vector<std::string> lines;
  std::string rest = text;
  while (display_width(rest) > width) {
    std::string line = prefix(rest, width);
    const bool fits = rest[line.size()] == ' ';
    const size_t space = fits ? line.size() : line.rfind(' ');
    if (space != std::string::npos && space > 0) line.resize(space);
    rest.erase(0, line.size());
    rest.erase(0, rest.find_first_not_of(' '));
    lines.push_back(std::move(line));
  }
  if (!rest.empty()) lines.push_back(std::move(rest));
  return lines;
}

}  // namespace

bool stdout_is_terminal() { return ::isatty(STDOUT_FILENO) == 1; }
bool stderr_is_terminal() { return ::isatty(STDERR_FILENO) == 1; }

bool stdout_takes_colour() {
  const char* refused = std::getenv("NO_COLOR");  // NOLINT(concurrency-mt-unsafe): nothing sets variables
  const char* kind = std::getenv("TERM");         // NOLINT(concurrency-mt-unsafe)
  return stdout_is_terminal() && (refused == nullptr || *refused == '\0') &&
         (kind == nullptr || std::string_view(kind) != "dumb");
}

size_t stdout_width() {
  winsize size{};
  if (!stdout_is_terminal() || ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return 0;
  return size.ws_col;
}

std::string human_bytes(double bytes) {
  static constexpr std::array kUnits = {"B", "kB", "MB", "GB", "TB"};
  size_t unit = 0;
  while (bytes >= 999.5 && unit + 1 < kUnits.size()) {
    bytes /= 1000;
    ++unit;
  }
  const int decimals = unit == 0 || bytes >= 99.95 ? 0 : bytes >= 9.995 ? 1 : 2;
  return fmt::format("{:.{}f} {}", bytes, decimals, kUnits[unit]);
}

std::string shell_quote(const std::string& word) {
  static constexpr std::string_view kSafe = "_-./=:,+@%";
  const bool safe = !word.empty() && std::ranges::all_of(word, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kSafe.find(c) != std::string_view::npos;
  });
  if (safe) return word;
  std::string quoted = "'";
  for (const char c : word) c == '\'' ? quoted += "'\\''" : quoted += c;
  return quoted + "'";
}

size_t display_width(const std::string& text) {
  return static_cast<size_t>(std::ranges::count_if(text, [](char c) { return !is_continuation(c); }));
}

std::string fit(const std::string& text, size_t width, Table::Align align) {
  const size_t own = display_width(text);
  if (own > width) return width == 0 ? "" : prefix(text, width - 1) + "…";
  const std::string padding(width - own, ' ');
  return align == Table::Align::kRight ? padding + text : text + padding;
}

std::string Table::render(size_t width) const {
  const size_t last = columns_.size() - 1;
  const bool breaks = columns_[last].align == Align::kLeft;
  std::vector<size_t> widths;
  for (size_t c = 0; c < columns_.size(); ++c) {
    size_t widest = display_width(columns_[c].title);
    for (const auto& row : rows_) widest = std::max(widest, display_width(row[c]));
    widths.push_back(widest);
  }
  static constexpr size_t kGap = 2;
  static constexpr size_t kNarrowest = 8;
  static constexpr size_t kBroken = 24;  // what the last column keeps before the others are shortened
  const auto excess = [&] {
    size_t sum = kGap * last;
    for (const size_t each : widths) sum += each;
    return width > 0 && sum > width ? sum - width : 0;
  };
  const auto shrink = [&](size_t c, size_t least) {
    if (widths[c] > least) widths[c] -= std::min(excess(), widths[c] - least);
  };
  if (breaks) shrink(last, kBroken);
  while (excess() > 0) {
    size_t victim = columns_.size();
    for (size_t c = 0; c < columns_.size(); ++c) {
      const bool may = columns_[c].align == Align::kLeft && widths[c] > kNarrowest;
      if (may && (victim == columns_.size() || widths[c] > widths[victim])) victim = c;
    }
    if (victim == columns_.size()) break;
    --widths[victim];
  }
  std::string text;
  const auto line = [&](const std::vector<std::string>& cells) {
    std::vector<std::string> parts =
        breaks ? break_lines(cells[last], widths[last]) : std::vector<std::string>{cells[last]};
    for (size_t i = 0; i < parts.size(); ++i) {
      std::string out;
      for (size_t c = 0; c < columns_.size(); ++c) {
        if (c > 0) out.append(kGap, ' ');
        out += fit(c == last ? parts[i] : i == 0 ? cells[c] : "", widths[c], columns_[c].align);
      }
      while (!out.empty() && out.back() == ' ') out.pop_back();
      text += out + "\n";
    }
  };
  std::vector<std::string> titles;
  for (const Column& column : columns_) titles.push_back(column.title);
  if (std::ranges::any_of(titles, [](const std::string& title) { return !title.empty(); })) line(titles);
  for (const auto& row : rows_) line(row);
  return text;
}

}  // namespace mts::tool
