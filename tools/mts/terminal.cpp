#include "terminal.h"

#include <algorithm>
#include <array>

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

std::string fit(const std::string& text, size_t width, Table::Align align) {
  const size_t own = display_width(text);
  if (own > width) return width == 0 ? "" : prefix(text, width - 1) + "…";
  const std::string padding(width - own, ' ');
  return align == Table::Align::kRight ? padding + text : text + padding;
}

}  // namespace

bool stdout_is_terminal() { return ::isatty(STDOUT_FILENO) == 1; }
bool stderr_is_terminal() { return ::isatty(STDERR_FILENO) == 1; }

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

std::string Table::render(size_t width) const {
  std::vector<size_t> widths;
  for (size_t c = 0; c < columns_.size(); ++c) {
    size_t widest = display_width(columns_[c].title);
    for (const auto& row : rows_) widest = std::max(widest, display_width(row[c]));
    widths.push_back(widest);
  }
  static constexpr size_t kGap = 2;
  static constexpr size_t kNarrowest = 8;
  const auto total = [&] {
    size_t sum = kGap * (widths.size() - 1);
    for (const size_t each : widths) sum += each;
    return sum;
  };
  while (width > 0 && total() > width) {
    size_t victim = widths.size();
    for (size_t c = 0; c < widths.size(); ++c) {
      const bool may = columns_[c].align == Align::kLeft && widths[c] > kNarrowest;
      if (may && (victim == widths.size() || widths[c] > widths[victim])) victim = c;
    }
    if (victim == widths.size()) break;  // numbers are never cut
    --widths[victim];
  }
  std::string text;
  const auto line = [&](const auto& cell) {
    std::string out;
    for (size_t c = 0; c < columns_.size(); ++c) {
      if (c > 0) out.append(kGap, ' ');
      out += fit(cell(c), widths[c], columns_[c].align);
    }
    while (!out.empty() && out.back() == ' ') out.pop_back();
    text += out + "\n";
  };
  if (std::ranges::any_of(columns_, [](const Column& column) { return !column.title.empty(); })) {
    line([&](size_t c) -> const std::string& { return columns_[c].title; });
  }
  for (const auto& row : rows_) line([&](size_t c) -> const std::string& { return row[c]; });
  return text;
}

}  // namespace mts::tool
