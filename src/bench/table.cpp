// The report for people: 80 columns of plain text, and CSV for spreadsheets.
#include <mts/bench.h>

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace mts {
namespace {

constexpr size_t kBar = 6;  // what is left of 80 columns

// Three significant digits or more: 0.0123, 1.23, 12.3, 123, 1234.
std::string number(double value) {
  if (value >= 100) return fmt::format("{:.0f}", value);
  if (value >= 10) return fmt::format("{:.1f}", value);
  if (value >= 1) return fmt::format("{:.2f}", value);
  return fmt::format("{:.3f}", value);
}

std::string bytes(uint64_t count) {
  constexpr double kKibi = 1024;
  const auto value = static_cast<double>(count);
  if (value < kKibi) return fmt::format("{} B", count);
  if (value < kKibi * kKibi) return number(value / kKibi) + " KiB";
  if (value < kKibi * kKibi * kKibi) return number(value / kKibi / kKibi) + " MiB";
  return number(value / kKibi / kKibi / kKibi) + " GiB";
}

std::string per_second(double value) {
  return value >= 100'000 ? fmt::format("{:.0f}k", value / 1000) : number(value);
}

// The speed against sequential as a word: what is not verified has none.
std::string speedup(const BenchRow& row) {
  if (row.verified == false) return "WRONG";
  if (!row.speedup_vs_sequential) return row.verified ? "-" : "unverified";
  return fmt::format("{:.2f}x", *row.speedup_vs_sequential);
}

std::string line_of(const BenchRow& row, bool wins, double best_speedup) {
  if (!row.error.empty()) return fmt::format("  {:<11} {}\n", row.name, row.error);
  std::string bar;
  if (row.speedup_vs_sequential && best_speedup > 0) {
    bar.assign(static_cast<size_t>(
                   std::lround(static_cast<double>(kBar) * *row.speedup_vs_sequential / best_speedup)),
               '#');
  }
  const LatencyStatistics& l = row.latency_ms;
  return fmt::format("{} {:<11}{:>8}{:>8}{:>8}{:>5.0f}%{:>9}{:>10}{:>11} {}", wins ? '>' : ' ', row.name,
                     number(l.p50), number(l.p90), number(l.p99), l.cv * 100, per_second(row.throughput),
                     bytes(row.memory.peak()), speedup(row), bar);
}

std::string trimmed(std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  return line.ends_with('\n') ? line : line + "\n";
}

std::string header_of(const BenchContext& context) {
  std::string text = context.device;
  if (!context.cpu.empty()) text += ", " + context.cpu;
  text += fmt::format(", {} of {} cores", context.threads, context.cores);
  for (const auto& [name, version] : context.versions) {
    const std::string part = name + " " + version;
    const size_t line_start = text.rfind('\n') == std::string::npos ? 0 : text.rfind('\n') + 1;
    text += text.size() - line_start + part.size() + 2 > 80 ? "\n" + part : ", " + part;
  }
  if (!context.precision.empty()) {
    text += fmt::format("\ncomputed in {}, verified against float32 within {:g}", context.precision,
                        context.tolerance);
  }
  return text + "\n";
}

// What devices have besides: nothing for rows of the host.
std::string device_table(const BenchReport& report) {
  std::string text;
  for (const BenchRow& row : report.rows) {
    if (!row.error.empty() || !row.device) continue;
    const DeviceMeasures& d = *row.device;
    if (text.empty()) {
      text = fmt::format("\n  {:<11}{:>9}{:>9}{:>9}{:>9}{:>9}{:>11}{:>7}\n", "ms (p50)", "host", "queued",
                         "cold", "upload", "download", "device", "host");
      text += fmt::format("  {:<11}{:>9}{:>9}{:>9}{:>9}{:>9}{:>11}{:>7}\n", "", "wall", "", "cache", "", "",
                          "memory", "steps");
    }
    text += fmt::format("  {:<11}{:>9}{:>9}{:>9}{:>9}{:>9}{:>11}{:>7}\n", row.name, number(d.wall.p50),
                        d.queued_ms > 0 ? number(d.queued_ms) : "-", d.cold ? number(d.cold->p50) : "-",
                        number(d.upload_ms), number(d.download_ms), bytes(d.bytes_in_use), d.host_steps);
  }
  return text;
}

// Of the rows that have one: how near they come to the device's limits, and where most is left.
std::string roofline_table(const BenchReport& report) {
  std::string text;
  for (const BenchRow& row : report.rows) {
    if (!row.error.empty() || !row.roofline) continue;
    const Roofline& r = *row.roofline;
    text += fmt::format("\n  {}: {:.0f} % of the roofline's floor, {} ms ({})\n", row.name, r.share * 100,
                        number(r.floor_ms), r.profile);
    if (!r.losses.empty()) text += fmt::format("  {:>8}{:>8}{:>8}  {}\n", "lost, ms", "of", "floor", "step");
    for (const Roofline::Loss& loss : r.losses) {
      constexpr size_t kRoom = 52;
      const std::string step = loss.step.size() > kRoom ? loss.step.substr(0, kRoom - 3) + "..." : loss.step;
      text += fmt::format("  {:>8}{:>8}{:>8}  {}\n", number(loss.lost_ms()), number(loss.milliseconds),
                          number(loss.floor_ms), step);
    }
  }
  return text;
}

}  // namespace

std::string to_table(const BenchReport& report) {
  std::string text = header_of(report.context) + "\n";
  text += fmt::format("  {:<11}{:>24}{:>6}{:>9}{:>10}{:>11}\n", "", "latency, ms", "", "models", "memory",
                      "speed");
  text += fmt::format("  {:<11}{:>8}{:>8}{:>8}{:>6}{:>9}{:>10}{:>11}\n", "", "p50", "p90", "p99", "cv", "/s",
                      "peak", "vs seq.");
  double best = 0;
  for (const BenchRow& row : report.rows) best = std::max(best, row.speedup_vs_sequential.value_or(0));
  const BenchRow* const winner = report.fastest();
  for (const BenchRow& row : report.rows) text += trimmed(line_of(row, &row == winner, best));
  return text + device_table(report) + roofline_table(report);
}

std::string to_csv(const BenchReport& report) {
  std::string text =
      "name,verified,p50_ms,p90_ms,p99_ms,min_ms,mean_ms,cv,throughput,weights,arena,workspace,peak,speedup_"
      "vs_sequential,error\n";
  for (const BenchRow& row : report.rows) {
    const LatencyStatistics& l = row.latency_ms;
    std::string error = row.error;
    for (size_t at = 0; (at = error.find('"', at)) != std::string::npos; at += 2) error.insert(at, "\"");
    text += fmt::format(
        "{},{},{},{},{},{},{},{},{},{},{},{},{},{},\"{}\"\n", row.name,
        row.verified ? (*row.verified ? "true" : "false") : "", l.p50, l.p90, l.p99, l.min, l.mean, l.cv,
        row.throughput, row.memory.weights, row.memory.arena, row.memory.workspace, row.memory.peak(),
        row.speedup_vs_sequential ? fmt::format("{}", *row.speedup_vs_sequential) : "", error);
  }
  return text;
}

}  // namespace mts
