// The bundled executor: compiles a model for a device and runs it.
#pragma once

#include <mts/error.h>
#include <mts/graph.h>
#include <mts/tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace mts {

// How float32 products are computed where the device has a choice (CUDA); others always compute in float32.
enum class Precision : uint8_t {
  kStrict,  // float32
  kTf32,    // operands rounded to 10 bits, sums in float32
};

struct ExecutorOptions {
  std::string device = "cpu";  // "cpu" (oneDNN), "ref" (plain loops), "cuda" (plugin)
  int threads = 0;             // 0: all cores
  Precision precision = Precision::kStrict;
};

struct MemoryUse {                 // bytes
  uint64_t weights = 0;            // resident constants, packed copies included
  uint64_t arena = 0;              // activations
  uint64_t workspace = 0;          // scratch of kernels
  uint64_t arena_lower_bound = 0;  // what is in use of the arena at once; 0: not known
  uint64_t peak() const { return weights + arena + workspace; }
};

// A model prepared for a device. Inputs and outputs follow the order of the graph's inputs and outputs.
class Session {
 public:
  virtual ~Session() = default;
  // Runs once. Shapes may change from call to call (the plan is specialised per set of input shapes and
  // cached).
  virtual Result<std::vector<Datum>> run(std::span<const Datum> inputs) = 0;
  virtual MemoryUse memory() const = 0;  // of the latest run's shapes
};

// kUnsupported names the operator and node that the device cannot run; kDevice when the device or its
// libraries are absent.
Result<std::unique_ptr<Session>> create_session(const Model& model, const ExecutorOptions& options = {});

// The libraries that the device runs on and their versions: {"oneDNN", "3.2.0"}. Empty where they cannot be
// loaded.
std::vector<std::pair<std::string, std::string>> executor_versions(const std::string& device = "cpu");

}  // namespace mts
