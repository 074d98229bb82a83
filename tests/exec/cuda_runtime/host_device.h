// A device made of host memory, for everything of the CUDA executor that is not CUDA itself.
//
// HostRuntime replays recordings in an order of its own choice: at every moment it picks, by a seeded
// generator, one of the streams that can go on, and keeps to the events only. Arena memory is filled with
// NaNs before each replay. So a missing dependency, or two values that share memory and may live at once,
// change the outputs. Libraries are plain loops over the calls; own kernels are those of the CPU backend.
#pragma once

#include "exec/cuda/backend.h"
#include "exec/cuda/library_calls.h"
#include "exec/runtime.h"

#include <functional>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace mts::exec::cuda {

class HostRuntime final : public DeviceRuntime {
 public:
  explicit HostRuntime(unsigned seed = 1, uint64_t capacity = ~uint64_t{0})
      : random_(seed), capacity_(capacity) {}

  std::string name() const override { return "host"; }
  int32_t max_streams() const override { return 16; }
  Result<DeviceBlock> allocate(uint64_t bytes, std::string_view what) override;
  Result<void> upload(std::byte* to, std::span<const std::byte> from) override;
  Result<void> download(std::span<std::byte> to, const std::byte* from) override;
  Result<std::unique_ptr<Recording>> record(std::span<const Command> commands, int32_t events,
                                            const Launch& launch) override;
  Result<void> wait() override { return {}; }
  Result<double> time(const std::function<Result<void>()>& work) override;
  Result<void> flush_caches() override { return {}; }
  Result<DeviceMemory> memory() const override { return DeviceMemory{capacity_ - used_, capacity_}; }
  bool ran_out() const override { return ran_out_; }
  ProfilerRange range(const std::string& name) override;
  // "+name" where one began, "-" where it ended, "replay" for what ran.
  const std::vector<std::string>& trace() const { return trace_; }

 private:
  std::mt19937 random_;
  uint64_t capacity_, used_ = 0;
  bool ran_out_ = false;
  std::vector<std::string> trace_;
};

// Plain loops. `refused`: signatures' beginnings ("conv", "pool", "gemm") that it says it has no plan for;
// `asked` collects all calls that were prepared.
class HostLibraries final : public Libraries {
 public:
  explicit HostLibraries(std::set<std::string> refused = {}) : refused_(std::move(refused)) {}
  bool takes(const ConvCall&) override { return !refused_.contains("conv"); }
  bool takes(const PoolCall&) override { return !refused_.contains("pool"); }
  bool takes(const GemmCall&) override { return !refused_.contains("gemm"); }
  PreparedResult prepare(const ConvCall& call) override;
  PreparedResult prepare(const PoolCall& call) override;
  PreparedResult prepare(const GemmCall& call) override;
  PreparedResult prepare(const CopyCall& call) override;

 private:
  std::set<std::string> refused_;
};

// The CPU backend's kernels as own ones.
std::unique_ptr<OwnKernels> cpu_kernels();

// `own`: mts's CUDA kernels, run on the host by the shim, instead of the CPU backend's.
std::unique_ptr<Backend> host_backend(unsigned seed = 1, std::set<std::string> refused = {}, bool own = true,
                                      DType held = DType::kFloat32);

}  // namespace mts::exec::cuda
