#include "tests/exec/cuda/shim_backend.h"

#include "exec/cpu/backend.h"
#include "exec/cuda/own/families.h"
#include "exec/device.h"

#include <mts/tensor.h>

#include <cstring>
#include <utility>
#include <vector>

namespace mts::exec::cuda {
namespace {

class HostDevice final : public OwnDevice {
 public:
  explicit HostDevice(bool tf32) : tf32_(tf32) {}
  StreamHandle stream() const override { return nullptr; }
  Result<const void*> upload(std::span<const std::byte> bytes) override {
    Tensor copy(DType::kUint8, {static_cast<int64_t>(bytes.size())});
    if (!bytes.empty()) std::memcpy(copy.mutable_data(), bytes.data(), bytes.size());
    uploads_.push_back(copy);
    return copy.data();
  }
  int32_t* fault() override { return &fault_; }
  bool allows_tf32() const override { return tf32_; }
  bool take_fault() { return std::exchange(fault_, 0) != 0; }

 private:
  bool tf32_;
  std::vector<Tensor> uploads_;
  int32_t fault_ = 0;
};

// Turns the fault word into an error, as the runtime does after a run.
class CheckedKernel final : public Kernel {
 public:
  CheckedKernel(HostDevice& device, std::unique_ptr<Kernel> kernel, std::string node)
      : device_(device), kernel_(std::move(kernel)), node_(std::move(node)) {}
  Result<void> launch(const Pointers& pointers) override {
    MTS_TRY(kernel_->launch(pointers));
    if (device_.take_fault())
      return fail(ErrorCode::kModel, "an index is out of range", {.file = {}, .node = node_, .value = {}});
    return {};
  }
  uint64_t workspace_bytes() const override { return kernel_->workspace_bytes(); }
  bool reads(ValueIndex value) const override { return kernel_->reads(value); }

 private:
  HostDevice& device_;
  std::unique_ptr<Kernel> kernel_;
  std::string node_;
};

class ShimBackend final : public Backend {
 public:
  ShimBackend(std::map<std::string, StepCounts>* counts, DType held, bool tf32)
      : device_(tf32), counts_(counts), held_(held) {
    if (counts != nullptr) cpu_ = *make_cpu_backend();
  }

  bool accepts(const ExecPlan& plan, const Step& step) const override {
    const bool accepted = own_family_of(plan, step) != nullptr;
    if (counts_ != nullptr) {
      StepCounts& count = (*counts_)[step.op];
      ++(accepted ? count.kernels : count.host);
      if (!accepted && cpu_->accepts(plan, step)) ++count.only_cpu;
    }
    return accepted;
  }
  bool accepts_epilogue(const ExecPlan& plan, const Step& step, const Instruction& next,
                        ValueIndex operand) const override {
    return own_accepts_epilogue(plan, step, next, operand);
  }
  bool accepts_attention(const ExecPlan& plan, const Step& step) const override {
    return own_family_of(plan, step) != nullptr;
  }
  Result<void> lay_out(ExecPlan&) override { return {}; }
  Result<std::unique_ptr<Kernel>> prepare(const ExecPlan& plan, const Step& step) override {
    const OwnFamily* const family = own_family_of(plan, step);
    if (family == nullptr) return fail(ErrorCode::kInternal, "no kernel for an accepted step: " + step.op);
    MTS_ASSIGN(std::unique_ptr<Kernel> kernel, family->make(device_, plan, step));
    const std::string node = step.node == kNoNode ? step.op : plan.graph->node(step.node).label();
    return std::make_unique<CheckedKernel>(device_, std::move(kernel), node);
  }
  uint64_t weight_bytes() const override { return 0; }
  bool mixes_small_floats() const override { return true; }
  DType held_as() const override { return held_; }

 private:
  HostDevice device_;
  std::map<std::string, StepCounts>* counts_;
  DType held_;
  std::unique_ptr<Backend> cpu_;
};

}  // namespace

std::unique_ptr<Backend> make_shim_backend(std::map<std::string, StepCounts>* counts, DType held, bool tf32) {
  return std::make_unique<ShimBackend>(counts, held, tf32);
}

Result<std::unique_ptr<Session>> make_shim_session(const Model& model,
                                                   std::map<std::string, StepCounts>* counts, DType held,
                                                   bool tf32) {
  return make_plan_session(model, make_shim_backend(counts, held, tf32), 1);
}

}  // namespace mts::exec::cuda
