// What a device gives to the executor: three small tables.
//   Backend: which work it takes, how it lays values out, and kernels prepared for the steps of one plan.
//   Kernel:  one step, ready to run: no allocation, no decisions in launch.
// A backend is asked in this order: accepts / accepts_epilogue / accepts_attention while `compile` fuses,
// then lay_out once, then (after the memory is planned) prepare once a step. Backends keep packed weights
// across plans, by ValueId.
#pragma once

#include "exec/bind.h"
#include "exec/plan.h"

#include <mts/error.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace mts::exec {

// Where each value lies in this run, by ValueIndex (null for values without static dims).
struct Pointers {
  std::byte* const* at;
  std::byte* workspace;
  void* stream = nullptr;  // of devices that work through what is enqueued (cudaStream_t); the CPU has none
  std::byte* operator[](ValueIndex i) const { return at[i]; }
};

class DeviceRuntime;  // runtime.h

class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual Result<void> launch(const Pointers& pointers) = 0;
  virtual uint64_t workspace_bytes() const { return 0; }
  // Whether launch reads the value where it lies (false: a constant that was packed at prepare).
  virtual bool reads(ValueIndex) const { return true; }
};

class Backend {
 public:
  virtual ~Backend() = default;
  // Whether there is a kernel for the step as it is (dims, dtypes, attributes); else it runs on the host.
  virtual bool accepts(const ExecPlan& plan, const Step& step) const = 0;
  // Whether `next` may be appended to the epilogue of a step that it accepts; `operand`: the second operand,
  // if binary.
  virtual bool accepts_epilogue(const ExecPlan& plan, const Step& step, const Instruction& next,
                                ValueIndex operand) const = 0;
  // Whether there is a kernel for this step of attention.h that is faster than the steps it stands for.
  virtual bool accepts_attention(const ExecPlan&, const Step&) const { return false; }
  // Chooses layouts: sets layout and bytes of values and inserts Reorder steps. Graph outputs stay row-major.
  virtual Result<void> lay_out(ExecPlan& plan) = 0;
  virtual Result<std::unique_ptr<Kernel>> prepare(const ExecPlan& plan, const Step& step) = 0;
  virtual uint64_t weight_bytes() const = 0;  // packed copies
  // Elementwise kernels read and write float16 and bfloat16 as well, each operand in its own type.
  virtual bool mixes_small_floats() const { return false; }
  // The type in which float32 models are to be held: float32, or a smaller one (see narrow.h).
  virtual DType held_as() const { return DType::kFloat32; }
  // The device's memory and streams, where they are not the host's: kernels then enqueue their work, see
  // device_instance.h.
  virtual DeviceRuntime* runtime() { return nullptr; }
  // After a run on such a device: what kernels found wrong in the data (indices out of range).
  virtual Result<void> check_run() { return {}; }
};

}  // namespace mts::exec
