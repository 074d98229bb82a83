#include "exec/cuda/backend.h"

#include "exec/cuda/layout.h"
#include "exec/cuda/row_major_twin.h"
#include "exec/cuda/weights.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace mts::exec::cuda {
namespace {

// Library calls one after another, with what they read and write.
class CallKernel final : public Kernel {
 public:
  struct Operand {
    ValueIndex value = kAbsent;
    DeviceBlock fixed;  // instead of a value: a packed weight
  };
  struct Bound {
    std::shared_ptr<PreparedCall> call;
    std::vector<Operand> operands;
    std::vector<std::byte*> addresses;  // filled at launch
  };
  explicit CallKernel(std::vector<Bound> calls) : calls_(std::move(calls)) {}

  Result<void> launch(const Pointers& pointers) override {
    for (Bound& bound : calls_) {
      for (size_t i = 0; i < bound.operands.size(); ++i) {
        const Operand& operand = bound.operands[i];
        bound.addresses[i] = operand.fixed != nullptr ? operand.fixed.get() : pointers[operand.value];
      }
      MTS_TRY(bound.call->enqueue(bound.addresses, pointers.workspace, pointers.stream));
    }
    return {};
  }
  uint64_t workspace_bytes() const override {
    uint64_t most = 0;
    for (const Bound& bound : calls_) most = std::max(most, bound.call->workspace_bytes());
    return most;
  }
  bool reads(ValueIndex value) const override {
    return std::any_of(calls_.begin(), calls_.end(), [&](const Bound& bound) {
      return std::any_of(bound.operands.begin(), bound.operands.end(), [&](const Operand& operand) {
        return operand.fixed == nullptr && operand.value == value;
      });
    });
  }

 private:
  std::vector<Bound> calls_;
};

// A kernel made for a twin (row_major_twin.h), launched with the original's addresses.
class TwinKernel final : public Kernel {
 public:
  TwinKernel(std::unique_ptr<Kernel> kernel, std::vector<ValueIndex> values)
      : kernel_(std::move(kernel)), values_(std::move(values)), addresses_(values_.size()) {}

  Result<void> launch(const Pointers& pointers) override {
    for (size_t i = 0; i < values_.size(); ++i) addresses_[i] = pointers[values_[i]];
    return kernel_->launch({addresses_.data(), pointers.workspace, pointers.stream});
  }
  uint64_t workspace_bytes() const override { return kernel_->workspace_bytes(); }
  bool reads(ValueIndex value) const override {
    for (size_t i = 0; i < values_.size(); ++i) {
      if (values_[i] == value && kernel_->reads(static_cast<ValueIndex>(i))) return true;
    }
    return false;
  }

 private:
  std::unique_ptr<Kernel> kernel_;
  std::vector<ValueIndex> values_;
  std::vector<std::byte*> addresses_;
};

class CudaBackend final : public Backend {
 public:
  CudaBackend(BackendParts parts, Math math, DType held)
      : parts_(std::move(parts)),
        held_(held),
        weights_(*parts_.runtime),
        lowering_(*parts_.libraries, *parts_.own, math) {}

  bool accepts(const ExecPlan& plan, const Step& step) const override {
    // Pools are the library's only where their images come channels-last: own kernels must have them, too.
    return parts_.own->accepts(plan, step) || (!is_pool(step) && !lowering_.lower(plan, step).empty());
  }

  bool accepts_epilogue(const ExecPlan& plan, const Step& step, const Instruction& next,
                        ValueIndex operand) const override {
    if (Lowering::is_library_step(plan, step))
      return lowering_.library_accepts_epilogue(plan, step, next, operand);
    return parts_.own->accepts_epilogue(plan, step, next, operand);
  }

  bool accepts_attention(const ExecPlan& plan, const Step& step) const override {
    return parts_.own->accepts(plan, step);
  }

  Result<void> lay_out(ExecPlan& plan) override {
    choose_layouts(lowering_, plan);
    return {};
  }

  Result<std::unique_ptr<Kernel>> prepare(const ExecPlan& plan, const Step& step) override {
    if (step.op == "Reorder") return bind(plan, {lower_reorder(plan, step)});
    if (step.op == "Elementwise") {
      if (plan.value(step.outputs[0]).layout != kChannelsLast) return parts_.own->prepare(plan, step);
      RowMajorTwin twin = row_major_twin(plan, step);
      MTS_ASSIGN(std::unique_ptr<Kernel> kernel, parts_.own->prepare(twin.plan, twin.plan.steps[0]));
      return std::make_unique<TwinKernel>(std::move(kernel), std::move(twin.values));
    }
    const bool parts = step.op == "Concat" || step.op == "Split";
    if (parts && plan.value(step.outputs[0]).layout == kChannelsLast)
      return bind(plan, lower_parts(plan, step));
    // A pool is the library's where its images are channels-last, which only the layout tells.
    const bool own_layout =
        step.op.find("Pool") != std::string::npos && plan.value(step.inputs[0]).layout != kChannelsLast;
    std::vector<LoweredCall> calls = own_layout ? std::vector<LoweredCall>() : lowering_.lower(plan, step);
    if (calls.empty()) return parts_.own->prepare(plan, step);
    return bind(plan, std::move(calls));
  }

  bool mixes_small_floats() const override { return parts_.own->mixes_small_floats(); }
  DType held_as() const override { return held_; }
  uint64_t weight_bytes() const override { return weights_.bytes(); }
  Result<void> check_run() override { return parts_.own->check_run(); }
  DeviceRuntime* runtime() override { return parts_.runtime.get(); }

 private:
  Result<std::unique_ptr<Kernel>> bind(const ExecPlan& plan, std::vector<LoweredCall> calls) {
    std::vector<CallKernel::Bound> bound;
    for (const LoweredCall& lowered : calls) {
      CallKernel::Bound entry;
      MTS_ASSIGN(entry.call,
                 std::visit([&](const auto& call) { return parts_.libraries->prepare(call); }, lowered.call));
      for (const CallOperand& operand : lowered.operands) {
        CallKernel::Operand place{operand.value, nullptr};
        if (operand.kind == CallOperand::Kind::kPackedWeight) {
          MTS_ASSIGN(place.fixed, weights_.channels_last(plan, operand.value));
        } else if (operand.kind == CallOperand::Kind::kZeros) {
          const PlanValue& output = plan.value(operand.value);
          const int64_t bits = output.dims[1] * bit_width(output.dtype);
          MTS_ASSIGN(place.fixed, weights_.zeros(static_cast<uint64_t>(bits) / 8));
        }
        entry.operands.push_back(std::move(place));
      }
      entry.addresses.resize(entry.operands.size());
      bound.push_back(std::move(entry));
    }
    return std::make_unique<CallKernel>(std::move(bound));
  }

  BackendParts parts_;
  DType held_;
  Weights weights_;
  Lowering lowering_;
};

}  // namespace

std::unique_ptr<Backend> make_backend(BackendParts parts, Math math, DType held) {
  return std::make_unique<CudaBackend>(std::move(parts), math, held);
}

}  // namespace mts::exec::cuda
