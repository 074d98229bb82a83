// Sessions on devices with memory of their own (CUDA): the parts of a run, to be measured apart.
#pragma once

#include <mts/dtype.h>
#include <mts/error.h>
#include <mts/executor.h>
#include <mts/tensor.h>

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace mts {

struct StepTime {
  std::string name;         // operator and first node
  double milliseconds = 0;  // alone on the device, the median of the repeats
  int32_t stream = 0;       // on which it runs when branches run at once
  // Its work: operations, bytes read and written, and those of them that no step before it had in hand
  // (constants and inputs, by their first reader) or none after it needs (outputs).
  double flops = 0, bytes = 0, outer_bytes = 0;
  DType dtype = DType::kFloat32;  // of what it computes with
};

class DeviceSession : public Session {
 public:
  virtual bool is_on_device() const = 0;
  // At most this many branches run at once; before the first load or run. 16 by default.
  virtual void set_max_streams(int streams) = 0;
  // Compiles for these inputs where that was not done yet, and uploads them.
  virtual Result<void> load(std::span<const Datum> inputs) = 0;
  // Enqueues one replay of what was loaded and returns at once. Replays of all sessions of a process run one
  // after another. kUnsupported when steps run on the host.
  virtual Result<void> enqueue() = 0;
  virtual Result<void> wait() = 0;
  virtual Result<std::vector<Datum>> unload() = 0;  // downloads the outputs
  // Milliseconds on the device between two events around what `work` enqueues (of this or other sessions).
  virtual Result<double> time(const std::function<Result<void>()>& work) = 0;
  // Fills device memory, so that nothing of before is left in its caches.
  virtual Result<void> flush_caches() = 0;
  virtual std::string device_name() const = 0;         // "NVIDIA H200"
  virtual Result<uint64_t> device_bytes_in_use() = 0;  // by all processes, context included
  virtual int host_steps() const = 0;                  // of what was loaded
  // Each step's time for these inputs, in the order of the plan; also on the host.
  virtual Result<std::vector<StepTime>> time_steps(std::span<const Datum> inputs, int repeats) = 0;
};

// Null for a session on the host.
DeviceSession* as_device(Session& session);

// For any session that runs compiled plans; kUnsupported for the reference's.
Result<std::vector<StepTime>> time_steps(Session& session, std::span<const Datum> inputs, int repeats);

}  // namespace mts
