// The bundled executor: compiles a model for a device and runs it.
#pragma once

#include <mts/error.h>
#include <mts/graph.h>
#include <mts/tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mts {

// How float32 models are computed. All but the first need device "cuda" (kUsage elsewhere); sums are in
// float32.
enum class Precision : uint8_t {
  kStrict,    // float32
  kTf32,      // operands of products rounded to 10 bits
  kFloat16,   // weights and activations held so; inputs and outputs, and what would lose too much, stay
              // float32
  kBfloat16,  // the same
};
std::string_view name_of(Precision precision);  // "float32", "tf32", "float16", "bfloat16"

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
