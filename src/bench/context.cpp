// What must be known to compare two reports: processor, cores, threads, versions.
#include <mts/bench.h>
#include <mts/version.h>

#include <chrono>
#include <ctime>
#include <fstream>
#include <string>

#include <sched.h>

namespace mts {
namespace {

// "model name : AMD EPYC 9654" of the first processor; empty where the system does not tell.
std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return {};
}

int usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

std::string compiler() {
#if defined(__clang__)
  return std::string("clang ") + __clang_version__;
#elif defined(__GNUC__)
  return std::string("g++ ") + __VERSION__;
#else
  return "unknown";
#endif
}

std::string now() {
  const std::time_t time = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm utc{};
  gmtime_r(&time, &utc);
  char text[32];
  const size_t length = std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return std::string(text, length);
}

}  // namespace

BenchContext bench_context(const ExecutorOptions& options) {
  BenchContext context;
  context.device = options.device;
  context.cpu = cpu_model();
  context.cores = usable_cores();
  context.threads = options.threads > 0 ? options.threads : context.cores;
  context.date = now();
  context.versions.emplace_back("mts", std::string(version()));
  for (auto& entry : executor_versions(options.device)) context.versions.push_back(std::move(entry));
  context.versions.emplace_back("compiler", compiler());
  return context;
}

}  // namespace mts
