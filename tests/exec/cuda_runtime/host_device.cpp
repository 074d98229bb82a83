#include "tests/exec/cuda_runtime/host_device.h"

#include "exec/cpu/backend.h"
#include "exec/cuda/copies.h"
#include "exec/cuda/own_kernels.h"
#include "ref/formats.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <utility>
#include <vector>

namespace mts::exec::cuda {
namespace {

class HostRecording final : public Recording {
 public:
  HostRecording(std::vector<Command> commands, int32_t events, DeviceRuntime::Launch launch,
                std::mt19937& random)
      : commands_(std::move(commands)), events_(events), launch_(std::move(launch)), random_(random) {}

  Result<void> replay() override {
    int32_t streams = 0;
    for (const Command& command : commands_) streams = std::max(streams, command.stream + 1);
    std::vector<std::vector<Command>> queues(static_cast<size_t>(streams));
    for (const Command& command : commands_) queues[static_cast<size_t>(command.stream)].push_back(command);
    std::vector<size_t> next(queues.size(), 0);
    std::vector<bool> done(static_cast<size_t>(events_), false);
    for (;;) {
      std::vector<size_t> ready;
      bool finished = true;
      for (size_t s = 0; s < queues.size(); ++s) {
        if (next[s] == queues[s].size()) continue;
        finished = false;
        const Command& command = queues[s][next[s]];
        if (command.kind != Command::Kind::kWait || done[static_cast<size_t>(command.index)])
          ready.push_back(s);
      }
      if (finished) return {};
      if (ready.empty()) return fail(ErrorCode::kInternal, "the streams wait for each other");
      const size_t s = ready[random_() % ready.size()];
      const Command& command = queues[s][next[s]++];
      if (command.kind == Command::Kind::kRecord) done[static_cast<size_t>(command.index)] = true;
      if (command.kind == Command::Kind::kLaunch) MTS_TRY(launch_(command.index, nullptr));
    }
  }

 private:
  std::vector<Command> commands_;
  int32_t events_;
  DeviceRuntime::Launch launch_;
  std::mt19937& random_;
};

// A call as a function of its operands.
class Loop final : public PreparedCall {
 public:
  using Body = std::function<void(std::span<std::byte* const>)>;
  explicit Loop(Body body) : body_(std::move(body)) {}
  Result<void> enqueue(std::span<std::byte* const> operands, std::byte*, void*) override {
    body_(operands);
    return {};
  }

 private:
  Body body_;
};

float activate(Activation activation, float x) {
  switch (activation) {
    case Activation::kNone:
      return x;
    case Activation::kRelu:
      return std::max(x, 0.f);
    case Activation::kGeluTanh:
      return 0.5f * x * (1.f + std::tanh(0.7978845608f * (x + 0.044715f * x * x * x)));
  }
  return x;
}

struct Image {  // channels-last, with depth 1 where there are two spatial axes
  int64_t n, c, d, h, w;
  explicit Image(const Dims& dims)
      : n(dims[0]), c(dims[1]), d(dims.size() == 5 ? dims[2] : 1), h(dims[dims.size() - 2]), w(dims.back()) {}
  int64_t at(int64_t in, int64_t ic, int64_t id, int64_t ih, int64_t iw) const {
    return (((in * d + id) * h + ih) * w + iw) * c + ic;
  }
};

struct Axes {  // depth, height, width
  int64_t d, h, w;
  Axes(const std::vector<int64_t>& list, int64_t depth)
      : d(list.size() == 3 ? list[0] : depth), h(list[list.size() - 2]), w(list.back()) {}
};

// Numbers of a call's type, read and written one at a time; null where there are none.
class Numbers {
 public:
  Numbers(std::byte* data, DType dtype) : data_(data), dtype_(dtype) {}
  explicit operator bool() const { return data_ != nullptr; }
  float operator[](int64_t i) const {
    if (dtype_ == DType::kFloat32) return reinterpret_cast<const float*>(data_)[i];
    return ref::decode_float(dtype_, reinterpret_cast<const uint16_t*>(data_)[i]);
  }
  void set(int64_t i, float value) const {
    if (dtype_ == DType::kFloat32) {
      reinterpret_cast<float*>(data_)[i] = value;
    } else {
      reinterpret_cast<uint16_t*>(data_)[i] = static_cast<uint16_t>(ref::encode_float(dtype_, value, false));
    }
  }

 private:
  std::byte* data_;
  DType dtype_;
};

void convolve(const ConvCall& call, std::span<std::byte* const> operands) {
  const Image x(call.x), w(call.w), y(call.y);
  const Axes stride(call.strides, 1), dilation(call.dilations, 1), pad(call.pads_begin, 0);
  size_t next = 2;
  const Numbers input(operands[0], call.dtype);
  const Numbers weight(operands[1], call.dtype);
  const Numbers addend(call.addend ? operands[next++] : nullptr, call.dtype);
  const Numbers bias(call.bias ? operands[next++] : nullptr, call.dtype);
  const Numbers output(operands[next], call.dtype);
  const int64_t per_group = y.c / call.groups;
  for (int64_t n = 0; n < y.n; ++n)
    for (int64_t od = 0; od < y.d; ++od)
      for (int64_t oh = 0; oh < y.h; ++oh)
        for (int64_t ow = 0; ow < y.w; ++ow)
          for (int64_t k = 0; k < y.c; ++k) {
            double sum = 0;
            for (int64_t kd = 0; kd < w.d; ++kd)
              for (int64_t kh = 0; kh < w.h; ++kh)
                for (int64_t kw = 0; kw < w.w; ++kw) {
                  const int64_t id = od * stride.d + kd * dilation.d - pad.d,
                                ih = oh * stride.h + kh * dilation.h - pad.h,
                                iw = ow * stride.w + kw * dilation.w - pad.w;
                  if (id < 0 || id >= x.d || ih < 0 || ih >= x.h || iw < 0 || iw >= x.w) continue;
                  for (int64_t c = 0; c < w.c; ++c)
                    sum += static_cast<double>(input[x.at(n, k / per_group * w.c + c, id, ih, iw)]) *
                           static_cast<double>(weight[w.at(k, c, kd, kh, kw)]);
                }
            const int64_t at = y.at(n, k, od, oh, ow);
            auto value = static_cast<float>(sum);
            if (addend) value += addend[at];
            if (bias) value += bias[k];
            output.set(at, activate(call.activation, value));
          }
}

void multiply(const GemmCall& call, std::span<std::byte* const> operands) {
  size_t next = 2;
  const Numbers a(operands[0], call.dtype);
  const Numbers b(operands[1], call.dtype);
  const Numbers addend(call.addend ? operands[next++] : nullptr, call.dtype);
  const Numbers bias(call.bias ? operands[next++] : nullptr, call.dtype);
  const Numbers d(operands[next], call.dtype);
  for (int64_t m = 0; m < call.batch; ++m)
    for (int64_t i = 0; i < call.rows; ++i)
      for (int64_t j = 0; j < call.columns; ++j) {
        double sum = 0;
        for (int64_t k = 0; k < call.inner; ++k) {
          const int64_t at_a = m * call.stride_a + (call.a_transposed ? k * call.lda + i : i * call.lda + k);
          const int64_t at_b = m * call.stride_b + (call.b_transposed ? j * call.ldb + k : k * call.ldb + j);
          sum += static_cast<double>(a[at_a]) * static_cast<double>(b[at_b]);
        }
        const int64_t at = m * call.stride_d + i * call.ldd + j;
        float value = call.alpha * static_cast<float>(sum);
        if (addend) value += addend[at];
        if (bias) value += bias[m * call.stride_bias + j];
        d.set(at, activate(call.activation, value));
      }
}

void pool(const PoolCall& call, std::span<std::byte* const> operands) {
  const Image x(call.x), y(call.y);
  const Axes stride(call.strides, 1), pad(call.pads_begin, 0), kernel(call.kernel, 1);
  const Numbers input(operands[0], call.dtype);
  const Numbers output(operands[1], call.dtype);
  for (int64_t n = 0; n < y.n; ++n)
    for (int64_t od = 0; od < y.d; ++od)
      for (int64_t oh = 0; oh < y.h; ++oh)
        for (int64_t ow = 0; ow < y.w; ++ow)
          for (int64_t c = 0; c < y.c; ++c) {
            float largest = -std::numeric_limits<float>::infinity();
            double sum = 0;
            int64_t count = 0;
            for (int64_t kd = 0; kd < kernel.d; ++kd)
              for (int64_t kh = 0; kh < kernel.h; ++kh)
                for (int64_t kw = 0; kw < kernel.w; ++kw) {
                  const int64_t id = od * stride.d + kd - pad.d, ih = oh * stride.h + kh - pad.h,
                                iw = ow * stride.w + kw - pad.w;
                  if (id < 0 || id >= x.d || ih < 0 || ih >= x.h || iw < 0 || iw >= x.w) continue;
                  const float value = input[x.at(n, c, id, ih, iw)];
                  largest = std::max(largest, value);
                  sum += static_cast<double>(value);
                  ++count;
                }
            if (call.pooling == Pooling::kAveragePadded) count = kernel.d * kernel.h * kernel.w;
            output.set(y.at(n, c, od, oh, ow), call.pooling == Pooling::kMax
                                                   ? largest
                                                   : static_cast<float>(sum / static_cast<double>(count)));
          }
}

template <class Call>
PreparedResult loop(const Call& call, void (*body)(const Call&, std::span<std::byte* const>)) {
  return std::make_shared<Loop>([call, body](std::span<std::byte* const> operands) { body(call, operands); });
}

class CpuKernels final : public OwnKernels {
 public:
  explicit CpuKernels(std::unique_ptr<Backend> backend) : backend_(std::move(backend)) {}
  bool accepts(const ExecPlan& plan, const Step& step) const override {
    return backend_->accepts(plan, step);
  }
  bool accepts_epilogue(const ExecPlan& plan, const Step& step, const Instruction& next,
                        ValueIndex operand) const override {
    return backend_->accepts_epilogue(plan, step, next, operand);
  }
  Result<std::unique_ptr<Kernel>> prepare(const ExecPlan& plan, const Step& step) override {
    return backend_->prepare(plan, step);
  }

 private:
  std::unique_ptr<Backend> backend_;
};

}  // namespace

Result<DeviceBlock> HostRuntime::allocate(uint64_t bytes, std::string_view what) {
  if (bytes > capacity_ - used_) {
    ran_out_ = true;
    return fail(ErrorCode::kDevice, "out of memory: " + std::string(what) + " need " + std::to_string(bytes));
  }
  used_ += bytes;
  const uint64_t rounded = std::max<uint64_t>(256, (bytes + 255) / 256 * 256);
  auto* const memory = static_cast<std::byte*>(std::aligned_alloc(256, rounded));
  std::memset(memory, 0xff, rounded);  // NaNs
  return DeviceBlock(memory, [](std::byte* p) { std::free(p); });
}

Result<void> HostRuntime::upload(std::byte* to, std::span<const std::byte> from) {
  std::memcpy(to, from.data(), from.size());
  return {};
}

Result<void> HostRuntime::download(std::span<std::byte> to, const std::byte* from) {
  if (!to.empty()) std::memcpy(to.data(), from, to.size());
  return {};
}

Result<std::unique_ptr<Recording>> HostRuntime::record(std::span<const Command> commands, int32_t events,
                                                       const Launch& launch) {
  return std::make_unique<HostRecording>(std::vector<Command>(commands.begin(), commands.end()), events,
                                         launch, random_);
}

ProfilerRange HostRuntime::range(const std::string& name) {
  trace_.push_back("+" + name);
  return ProfilerRange(this, [this](void*) { trace_.emplace_back("-"); });
}

Result<double> HostRuntime::time(const std::function<Result<void>()>& work) {
  MTS_TRY(work());
  trace_.emplace_back("replay");
  return 1.0;
}

PreparedResult HostLibraries::prepare(const ConvCall& call) { return loop(call, convolve); }
PreparedResult HostLibraries::prepare(const PoolCall& call) { return loop(call, pool); }
PreparedResult HostLibraries::prepare(const GemmCall& call) { return loop(call, multiply); }
PreparedResult HostLibraries::prepare(const CopyCall& call) { return prepare_copy(call); }

std::unique_ptr<OwnKernels> cpu_kernels() { return std::make_unique<CpuKernels>(*make_cpu_backend()); }

std::unique_ptr<Backend> host_backend(unsigned seed, std::set<std::string> refused, bool own, DType held) {
  BackendParts parts;
  parts.runtime = std::make_unique<HostRuntime>(seed);
  parts.libraries = std::make_unique<HostLibraries>(std::move(refused));
  parts.own = own ? std::move(*make_own_kernels(*parts.runtime)) : cpu_kernels();
  return make_backend(std::move(parts), Math::kStrict, held);
}

}  // namespace mts::exec::cuda
