// A plan made ready to run on a device with memory of its own (runtime.h).
//
// In: a compiled plan and the backend that it was compiled for, whose kernels enqueue on Pointers::stream. At
// creation: kernels prepared, steps scheduled on streams, memory allocated, constants uploaded (once a
// session), every device segment recorded. A run uploads the inputs, replays, and downloads the outputs; host
// steps run between segments, with what they read downloaded and what kernels read of theirs uploaded. Not
// thread-safe. Errors: kDevice; for want of memory with what the plan needs in all, and which --memory-budget
// of mts stitch would fit.
#pragma once

#include "exec/instance.h"
#include "exec/runtime.h"
#include "exec/schedule.h"

#include <any>
#include <map>
#include <utility>

namespace mts::exec {

// What the plans of a session share on the device.
struct SharedDeviceMemory {
  struct Sized {
    DeviceBlock block;
    uint64_t bytes = 0;
  };
  Sized arena, workspace;  // only one plan runs at a time; outgrown ones go with their plans
  std::map<std::pair<ValueId, DType>, DeviceBlock> constants;  // of the graph, read as they are
  uint64_t constant_bytes = 0;
};

class DeviceInstance final : public Instance {
 public:
  // `model`, `backend` and `memory` must outlive the instance; backend.runtime() is not null.
  static Result<std::unique_ptr<DeviceInstance>> create(const Model& model, ExecPlan plan, Backend& backend,
                                                        SharedDeviceMemory& memory, int32_t max_streams);

  Result<std::vector<Datum>> run(std::span<const Datum> inputs) override;
  // The parts of a run, for measuring them apart. `replay` enqueues the device's work and returns; it needs a
  // plan without host steps (kUnsupported otherwise).
  Result<void> upload_inputs(std::span<const Datum> inputs);
  Result<void> replay();
  // Milliseconds of each step alone on the device, the median of `repeats`; 0 for views and host steps.
  Result<std::vector<double>> time_steps(int repeats);
  Result<std::vector<Datum>> download_outputs(std::span<const Datum> inputs);

  const ExecPlan& plan() const override { return plan_; }
  const Schedule& schedule() const { return schedule_; }
  uint64_t arena_bytes() const override { return placement_.bytes + io_bytes_; }
  uint64_t workspace_bytes() const override { return workspace_bytes_; }
  uint64_t resident_constant_bytes() const override { return memory_.constant_bytes + own_constant_bytes_; }
  int host_steps() const;

 private:
  DeviceInstance(const Model& model, ExecPlan plan, Backend& backend, SharedDeviceMemory& memory);
  Result<void> prepare(int32_t max_streams);
  // What the device had free before this plan.
  Error out_of_memory(const DeviceMemory& before) const;
  // Which roots of constants kernels read; `all`: also those that they have packed.
  std::vector<bool> constants_on_device(bool all) const;
  Result<void> place();
  Result<void> place_constants();
  Result<void> place_inputs_and_outputs();
  Result<void> record();
  Result<void> launch(int32_t step, void* stream);
  Result<void> run_host(const Step& step, std::span<const Datum> inputs);
  // The value on the host: downloaded when it lies on the device.
  Result<Datum> fetch(ValueIndex value, std::span<const Datum> inputs);
  void point_root(size_t root, std::byte* start);
  bool is_on_device(ValueIndex value) const;

  const Model& model_;
  ExecPlan plan_;
  Backend& backend_;
  DeviceRuntime& runtime_;
  SharedDeviceMemory& memory_;
  Env env_;
  std::vector<std::any> prepared_;  // by step: see Env::prepared
  Schedule schedule_;
  ArenaPlacement placement_;
  std::vector<std::unique_ptr<Kernel>> kernels_;  // one a step; null for views and host steps
  std::vector<std::byte*> pointers_;              // one a value: on the device
  std::vector<DeviceBlock> blocks_;               // what this instance holds
  std::vector<std::byte*> input_places_;          // by graph input; null: no kernel reads it
  std::vector<uint64_t> workspace_at_;            // by stream, from workspace_
  std::byte* workspace_ = nullptr;
  std::vector<std::unique_ptr<Recording>> recordings_;  // by segment; null on the host
  std::vector<Datum> datums_;                           // kHost, by slot
  uint64_t workspace_bytes_ = 0, io_bytes_ = 0, own_constant_bytes_ = 0;
};

}  // namespace mts::exec
