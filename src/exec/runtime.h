// A device with memory and streams of its own, as far as the executor needs one. The CUDA plugin implements
// it, and tests do on host memory, where an error in order or place can be seen.
//
// Work is not enqueued launch by launch: it is recorded once (one CUDA Graph) and replayed. Everything fails
// with kDevice; what failed for want of memory says how much was needed for what, and how much is free.
#pragma once

#include <mts/error.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace mts::exec {

// Device memory, aligned to 256 bytes; given back with its last owner. Never dereferenced on the host.
using DeviceBlock = std::shared_ptr<std::byte>;

// What a recording consists of, in this order. Stream 0 is the one that is replayed on: the others wait for
// an event of it first and are waited for at the end (schedule.h sees to that).
struct Command {
  enum class Kind : uint8_t {
    kLaunch,  // index: a step
    kRecord,  // index: an event, which now stands for all that the stream was given before
    kWait,    // index: an event recorded above; what the stream is given from now on comes after it
  };
  Kind kind = Kind::kLaunch;
  int32_t stream = 0;
  int32_t index = 0;
  bool operator==(const Command&) const = default;
};

class Recording {
 public:
  virtual ~Recording() = default;
  virtual Result<void> replay() = 0;  // enqueues; does not wait
};

struct DeviceMemory {  // bytes
  uint64_t free = 0, total = 0;
};

// A named span of what the host enqueues, for profilers (NVTX); ends with its owner.
using ProfilerRange = std::shared_ptr<void>;

class DeviceRuntime {
 public:
  using Launch = std::function<Result<void>(int32_t step, void* stream)>;

  virtual ~DeviceRuntime() = default;
  virtual std::string name() const = 0;  // "NVIDIA H200"
  virtual int32_t max_streams() const = 0;
  // `what` for the message: "weights", "activations".
  virtual Result<DeviceBlock> allocate(uint64_t bytes, std::string_view what) = 0;
  // Both are in order with what was replayed before, and are done when they return.
  virtual Result<void> upload(std::byte* to, std::span<const std::byte> from) = 0;
  virtual Result<void> download(std::span<std::byte> to, const std::byte* from) = 0;
  virtual Result<std::unique_ptr<Recording>> record(std::span<const Command> commands, int32_t events,
                                                    const Launch& launch) = 0;
  virtual Result<void> wait() = 0;  // for all that was enqueued
  // Milliseconds on the device between two events around what `work` enqueues.
  virtual Result<double> time(const std::function<Result<void>()>& work) = 0;
  // Writes more memory than the device's caches hold.
  virtual Result<void> flush_caches() = 0;
  virtual Result<DeviceMemory> memory() const = 0;
  // Whether an allocation has failed for want of memory, ever.
  virtual bool ran_out() const { return false; }
  virtual ProfilerRange range(const std::string&) { return nullptr; }
};

}  // namespace mts::exec
