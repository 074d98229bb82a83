#include "exec/cuda/own_kernels.h"

#include "exec/cuda/own/device.h"
#include "exec/cuda/own/families.h"

#include <cstring>
#include <utility>
#include <vector>

namespace mts::exec::cuda {
namespace {

class FamilyDevice final : public OwnDevice {
 public:
  FamilyDevice(DeviceRuntime& runtime, bool tf32) : runtime_(runtime), tf32_(tf32) {}

  Result<void> start() {
    MTS_ASSIGN(fault_, runtime_.allocate(sizeof(int32_t), "the fault word"));
    return clear();
  }
  StreamHandle stream() const override { return stream_; }
  void set_stream(StreamHandle stream) { stream_ = stream; }
  Result<const void*> upload(std::span<const std::byte> bytes) override {
    MTS_ASSIGN(DeviceBlock block, runtime_.allocate(bytes.size(), "tables of kernels"));
    if (!bytes.empty()) MTS_TRY(runtime_.upload(block.get(), bytes));
    uploads_.push_back(std::move(block));
    return uploads_.back().get();
  }
  int32_t* fault() override { return reinterpret_cast<int32_t*>(fault_.get()); }
  bool allows_tf32() const override { return tf32_; }

  Result<bool> take_fault() {
    int32_t word = 0;
    MTS_TRY(runtime_.download(std::as_writable_bytes(std::span(&word, 1)), fault_.get()));
    if (word != 0) MTS_TRY(clear());
    return word != 0;
  }

 private:
  Result<void> clear() {
    const int32_t zero = 0;
    return runtime_.upload(fault_.get(), std::as_bytes(std::span(&zero, 1)));
  }

  DeviceRuntime& runtime_;
  bool tf32_;
  DeviceBlock fault_;
  std::vector<DeviceBlock> uploads_;
  StreamHandle stream_ = nullptr;
};

// Tells the device on which stream the launches of its kernel go.
class StreamKernel final : public Kernel {
 public:
  StreamKernel(FamilyDevice& device, std::unique_ptr<Kernel> kernel)
      : device_(device), kernel_(std::move(kernel)) {}
  Result<void> launch(const Pointers& pointers) override {
    device_.set_stream(pointers.stream);
    return kernel_->launch(pointers);
  }
  uint64_t workspace_bytes() const override { return kernel_->workspace_bytes(); }
  bool reads(ValueIndex value) const override { return kernel_->reads(value); }

 private:
  FamilyDevice& device_;
  std::unique_ptr<Kernel> kernel_;
};

class FamilyKernels final : public OwnKernels {
 public:
  FamilyKernels(DeviceRuntime& runtime, bool tf32) : device_(runtime, tf32) {}
  Result<void> start() { return device_.start(); }

  bool accepts(const ExecPlan& plan, const Step& step) const override {
    return own_family_of(plan, step) != nullptr;
  }
  bool accepts_epilogue(const ExecPlan& plan, const Step& step, const Instruction& next,
                        ValueIndex operand) const override {
    return own_accepts_epilogue(plan, step, next, operand);
  }
  Result<std::unique_ptr<Kernel>> prepare(const ExecPlan& plan, const Step& step) override {
    const OwnFamily* const family = own_family_of(plan, step);
    if (family == nullptr)
      return fail(ErrorCode::kInternal,
                  "the CUDA backend has no kernel for a step that it accepted: " + step.op);
    MTS_ASSIGN(std::unique_ptr<Kernel> kernel, family->make(device_, plan, step));
    return std::make_unique<StreamKernel>(device_, std::move(kernel));
  }
  bool mixes_small_floats() const override { return true; }
  Result<void> check_run() override {
    MTS_ASSIGN(const bool fault, device_.take_fault());
    if (fault) return fail(ErrorCode::kModel, "an index in the data is out of range (Gather, Scatter, ...)");
    return {};
  }

 private:
  FamilyDevice device_;
};

}  // namespace

Result<std::unique_ptr<OwnKernels>> make_own_kernels(DeviceRuntime& runtime, bool tf32) {
  auto kernels = std::make_unique<FamilyKernels>(runtime, tf32);
  MTS_TRY(kernels->start());
  return kernels;
}

}  // namespace mts::exec::cuda
