#include "exec/cuda/autotune.h"

#include "base/log.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <limits>
#include <utility>

#include <nlohmann/json.hpp>
#include <unistd.h>

namespace mts::exec::cuda {
namespace {

using Json = nlohmann::json;

constexpr int kRounds = 9;
constexpr int kRoundsForAll = 3;  // then the slow ones leave
constexpr double kTooSlow = 2;    // times the fastest
constexpr double kMargin = 0.97;  // of the first's time, to take its place
constexpr int kReplays = 10;      // of one measurement

double median(std::vector<double> times) {
  if (times.empty()) return std::numeric_limits<double>::infinity();
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  return *middle;
}

Json read(const std::filesystem::path& file) {
  std::ifstream stream(file);
  Json json = Json::parse(stream, nullptr, false);
  return json.is_object() ? json : Json::object();
}

uint64_t bytes_of(DType dtype, int64_t elements) { return byte_size(dtype, elements); }

}  // namespace

Result<size_t> fastest_of(size_t candidates, const CandidateTimer& timer) {
  std::vector<std::vector<double>> times(candidates);
  std::vector<bool> runs(candidates, true);
  std::optional<Error> first_error;
  const auto measure = [&](size_t i, bool counts) {
    if (!runs[i]) return;
    const Result<double> milliseconds = timer(i);
    if (milliseconds && counts) times[i].push_back(*milliseconds);
    if (milliseconds) return;
    if (!first_error) first_error = milliseconds.error();
    runs[i] = false;
    times[i].clear();
  };
  for (size_t i = 0; i < candidates; ++i) measure(i, false);
  for (int round = 0; round < kRounds; ++round) {
    for (size_t k = 0; k < candidates; ++k) measure(round % 2 == 0 ? k : candidates - 1 - k, true);
    if (round + 1 != kRoundsForAll) continue;
    double best = std::numeric_limits<double>::infinity();
    for (const std::vector<double>& list : times) best = std::min(best, median(list));
    for (size_t i = 0; i < candidates; ++i) runs[i] = runs[i] && median(times[i]) <= kTooSlow * best;
  }
  size_t fastest = 0;
  double best = times[0].empty() ? std::numeric_limits<double>::infinity() : median(times[0]) * kMargin;
  for (size_t i = 1; i < candidates; ++i) {
    if (median(times[i]) < best) best = median(times[fastest = i]);
  }
  if (times[fastest].empty() && first_error) return tl::unexpected(*first_error);
  return fastest;
}

AlgorithmCache::AlgorithmCache(std::filesystem::path file, std::string machine)
    : file_(std::move(file)), machine_(std::move(machine)) {
  if (file_.empty()) return;
  const Json json = read(file_);
  const auto own = json.find(machine_);
  if (own == json.end() || !own->is_object()) return;
  for (const auto& [signature, candidate] : own->items()) {
    if (candidate.is_string()) known_[signature] = candidate.get<std::string>();
  }
}

std::optional<std::string> AlgorithmCache::find(const std::string& signature) const {
  const auto found = known_.find(signature);
  return found == known_.end() ? std::nullopt : std::optional(found->second);
}

void AlgorithmCache::keep(const std::string& signature, const std::string& candidate) {
  known_[signature] = candidate;
  if (file_.empty()) return;
  Json json = read(file_);
  Json& own = json[machine_];
  if (!own.is_object()) own = Json::object();
  own[signature] = candidate;
  std::error_code error;
  std::filesystem::create_directories(file_.parent_path(), error);
  std::filesystem::path partial = file_;
  partial += "." + std::to_string(getpid());
  {
    std::ofstream stream(partial, std::ios::trunc);
    stream << json.dump(1, ' ', false, Json::error_handler_t::replace) << '\n';
    if (!stream.flush()) error = std::make_error_code(std::errc::io_error);
  }
  if (!error) std::filesystem::rename(partial, file_, error);
  std::error_code ignored;
  if (error) std::filesystem::remove(partial, ignored);
}

PreparedResult Autotuner::choose(const std::string& signature, const std::vector<Candidate>& candidates,
                                 std::span<const uint64_t> operand_bytes) {
  if (candidates.size() == 1) return candidates.front().call;
  if (const auto known = cache_.find(signature)) {
    for (const Candidate& candidate : candidates) {
      if (candidate.name == *known) return candidate.call;
    }
  }
  const Result<size_t> fastest = measure(candidates, operand_bytes);
  if (!fastest) {
    log::debug("{}: not measured: {}", signature, fastest.error().to_string());
    return candidates.front().call;
  }
  cache_.keep(signature, candidates[*fastest].name);
  return candidates[*fastest].call;
}

Result<size_t> Autotuner::measure(const std::vector<Candidate>& candidates,
                                  std::span<const uint64_t> operand_bytes) {
  std::vector<DeviceBlock> blocks;
  std::vector<std::byte*> operands;
  for (const uint64_t bytes : operand_bytes) {
    MTS_ASSIGN(blocks.emplace_back(), runtime_.allocate(bytes, "operands to be measured with"));
    operands.push_back(blocks.back().get());
  }
  uint64_t most = 0;
  for (const Candidate& candidate : candidates) most = std::max(most, candidate.call->workspace_bytes());
  MTS_ASSIGN(const DeviceBlock workspace, runtime_.allocate(most, "workspace to be measured with"));
  const Command command{Command::Kind::kLaunch, 0, 0};
  std::vector<std::unique_ptr<Recording>> recordings(candidates.size());
  return fastest_of(candidates.size(), [&](size_t i) -> Result<double> {
    if (recordings[i] == nullptr) {
      const auto launch = [&, i](int32_t, void* stream) {
        return candidates[i].call->enqueue(operands, workspace.get(), stream);
      };
      MTS_ASSIGN(recordings[i], runtime_.record(std::span(&command, 1), 0, launch));
    }
    MTS_ASSIGN(const double together, runtime_.time([&]() -> Result<void> {
      for (int k = 0; k < kReplays; ++k) MTS_TRY(recordings[i]->replay());
      return {};
    }));
    return together / kReplays;
  });
}

std::vector<uint64_t> operand_bytes(const ConvCall& call) {
  const auto of = [&](const Dims& dims) { return bytes_of(call.dtype, element_count(dims)); };
  std::vector<uint64_t> bytes = {of(call.x), of(call.w)};
  if (call.addend) bytes.push_back(of(call.y));
  if (call.bias) bytes.push_back(bytes_of(call.dtype, call.y[1]));
  bytes.push_back(of(call.y));
  return bytes;
}

std::vector<uint64_t> operand_bytes(const PoolCall& call) {
  return {bytes_of(call.dtype, element_count(call.x)), bytes_of(call.dtype, element_count(call.y))};
}

std::vector<uint64_t> operand_bytes(const GemmCall& call) {
  const auto matrix = [&](int64_t stride, int64_t rows, int64_t leading) {
    return bytes_of(call.dtype, (call.batch - 1) * stride + rows * leading);
  };
  const uint64_t d = matrix(call.stride_d, call.rows, call.ldd);
  std::vector<uint64_t> bytes = {
      matrix(call.stride_a, call.a_transposed ? call.inner : call.rows, call.lda),
      matrix(call.stride_b, call.b_transposed ? call.columns : call.inner, call.ldb)};
  if (call.addend) bytes.push_back(d);
  if (call.bias) bytes.push_back(bytes_of(call.dtype, (call.batch - 1) * call.stride_bias + call.columns));
  bytes.push_back(d);
  return bytes;
}

}  // namespace mts::exec::cuda
