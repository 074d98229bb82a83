// A plan made ready to run: kernels prepared, memory bound, host steps interleaved.
//
// In: a placed plan and the backend that it was compiled for. `run` takes one datum a graph input, of the
// shapes that the plan was bound to, and gives one a graph output. Not thread-safe. Kernel steps allocate
// nothing; output blocks are reused once the caller has let go of them.
#pragma once

#include "exec/backend.h"
#include "exec/plan.h"
#include "ref/evaluate.h"

#include <mts/error.h>
#include <mts/graph.h>

#include <any>
#include <memory>
#include <span>
#include <vector>

namespace mts::exec {

// Arena and workspace, shared by the plans of a session (only one runs at a time).
struct SharedMemory {
  Tensor arena, workspace;
  void reserve(uint64_t arena_bytes, uint64_t workspace_bytes);
};

// What a session runs: a plan on the host's memory (below), or on a device's (device_instance.h).
class Instance {
 public:
  virtual ~Instance() = default;
  virtual Result<std::vector<Datum>> run(std::span<const Datum> inputs) = 0;
  virtual const ExecPlan& plan() const = 0;
  virtual uint64_t arena_bytes() const = 0;  // activations, output blocks included
  // What the busiest step has in use of the arena, and the output blocks; 0: not known.
  virtual uint64_t arena_lower_bound() const { return 0; }
  virtual uint64_t workspace_bytes() const = 0;
  virtual uint64_t resident_constant_bytes() const = 0;  // constants read as they are
};

class PlanInstance final : public Instance {
 public:
  // `model` and `memory` must outlive the instance.
  static Result<std::unique_ptr<PlanInstance>> create(const Model& model, ExecPlan plan, Backend& backend,
                                                      SharedMemory& memory);

  Result<std::vector<Datum>> run(std::span<const Datum> inputs) override;

  const ExecPlan& plan() const override { return plan_; }
  // Fills `seconds` with the time of each step from the next run on; null: no timing (the default).
  void profile(std::vector<double>* seconds) { step_seconds_ = seconds; }
  uint64_t arena_bytes() const override;
  uint64_t arena_lower_bound() const override;
  uint64_t workspace_bytes() const override { return workspace_bytes_; }
  uint64_t resident_constant_bytes() const override { return constant_bytes_; }

 private:
  PlanInstance(const Model& model, ExecPlan plan, SharedMemory& memory);
  Result<void> prepare(Backend& backend);
  void drop_unread_constants();
  void point_at_arena();
  void point_at(std::span<const Datum> inputs);
  void point_at_datum(int32_t slot, const Datum& datum);
  Result<void> run_host(const Step& step, std::span<const Datum> inputs);
  Datum datum_of(ValueIndex value, std::span<const Datum> inputs) const;

  const Model& model_;
  ExecPlan plan_;
  SharedMemory& memory_;
  Env env_;
  std::vector<std::any> prepared_;                // by step: see Env::prepared
  std::vector<std::unique_ptr<Kernel>> kernels_;  // one a step; null for views and host steps
  std::vector<std::byte*> pointers_;              // one a value
  std::vector<std::vector<ValueIndex>> by_root_;  // values of each root
  std::vector<int32_t> input_roots_, output_roots_;
  std::vector<int32_t> root_of_slot_;               // kHost
  std::vector<std::shared_ptr<std::byte>> blocks_;  // kOutput, by slot
  std::vector<Datum> datums_;                       // kHost, by slot
  const std::byte* arena_ = nullptr;                // what pointers_ was made for
  uint64_t workspace_bytes_ = 0, constant_bytes_ = 0;
  std::vector<double>* step_seconds_ = nullptr;
};

}  // namespace mts::exec
