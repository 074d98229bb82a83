// Which of several ways of carrying out a library call is fastest on this device: measured once, remembered
// in a file.
//
// In: the candidates of a call in the order of the library's own heuristics, the sizes of its operands, and a
// device that records and times. Out: the fastest. The heuristics' first stays unless another is faster by
// more than noise. Operands are scratch memory of zeros: how long these kernels take does not depend on
// numbers. Nothing here needs CUDA, so tests drive it with a device and a clock of their own. What cannot be
// measured or remembered is no error: the first candidate is right, too.
#pragma once

#include "exec/cuda/library_calls.h"
#include "exec/runtime.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace mts::exec::cuda {

inline constexpr size_t kMostCandidates = 8;  // of each call

struct Candidate {
  std::string name;  // stable for one device and one set of library versions
  std::shared_ptr<PreparedCall> call;
};

// Milliseconds of one run of candidate i; an error: it cannot run.
using CandidateTimer = std::function<Result<double>(size_t)>;
// By medians over rounds that turn round (0 1 2, 2 1 0, ...), after one round that does not count; who is
// twice as slow as the fastest leaves early. The error of the first when none can run.
Result<size_t> fastest_of(size_t candidates, const CandidateTimer& timer);

// {"machine": {"signature": "candidate"}}. A file that is not there or is not such a file counts as empty.
class AlgorithmCache {
 public:
  // `machine`: device and library versions; what others wrote into the file is kept. No file: only in memory.
  AlgorithmCache(std::filesystem::path file, std::string machine);
  std::optional<std::string> find(const std::string& signature) const;
  // Written at once, by a rename; what other processes wrote meanwhile stays.
  void keep(const std::string& signature, const std::string& candidate);

 private:
  std::filesystem::path file_;
  std::string machine_;
  std::map<std::string, std::string> known_;
};

class Autotuner {
 public:
  Autotuner(DeviceRuntime& runtime, AlgorithmCache cache) : runtime_(runtime), cache_(std::move(cache)) {}

  // Precondition: at least one candidate. `operand_bytes`: of the call's operands, in their order.
  PreparedResult choose(const std::string& signature, const std::vector<Candidate>& candidates,
                        std::span<const uint64_t> operand_bytes);

 private:
  Result<size_t> measure(const std::vector<Candidate>& candidates, std::span<const uint64_t> operand_bytes);

  DeviceRuntime& runtime_;
  AlgorithmCache cache_;
};

// Of the operands of a call, in their order.
std::vector<uint64_t> operand_bytes(const ConvCall& call);
std::vector<uint64_t> operand_bytes(const PoolCall& call);
std::vector<uint64_t> operand_bytes(const GemmCall& call);

}  // namespace mts::exec::cuda
