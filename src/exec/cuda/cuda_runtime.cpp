#include "exec/cuda/cuda_runtime.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <utility>
#include <vector>

#include <cuda_runtime_api.h>
#include <nvtx3/nvToolsExt.h>

namespace mts::exec::cuda {
namespace {

constexpr int kOldest = 8;  // compute capability 8.0: what the kernels are compiled for and newer
constexpr int32_t kMostStreams = 16;
constexpr size_t kStagingBytes = size_t{8} << 20;

tl::unexpected<Error> failed(const std::string& what, cudaError_t error) {
  cudaGetLastError();  // what is reported is not reported again
  return fail(ErrorCode::kDevice, "CUDA: " + what + ": " + cudaGetErrorString(error));
}

#define MTS_CUDA_TRY(what, expr)                                                                           \
  do {                                                                                                     \
    if (const cudaError_t mts_error_ = (expr); mts_error_ != cudaSuccess) return failed(what, mts_error_); \
  } while (false)

// "3.2 GiB"
std::string size_text(uint64_t bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  for (; value >= 1024 && unit + 1 < std::size(kUnits); ++unit) value /= 1024;
  char text[32];
  std::snprintf(text, sizeof(text), unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
  return text;
}

struct Stream {
  cudaStream_t stream = nullptr;
  Stream() = default;
  Stream(Stream&& other) noexcept : stream(std::exchange(other.stream, nullptr)) {}
  Stream& operator=(Stream&&) = delete;
  ~Stream() {
    if (stream != nullptr) cudaStreamDestroy(stream);
  }
};

struct Event {
  cudaEvent_t event = nullptr;
  Event() = default;
  Event(Event&& other) noexcept : event(std::exchange(other.event, nullptr)) {}
  Event& operator=(Event&&) = delete;
  ~Event() {
    if (event != nullptr) cudaEventDestroy(event);
  }
};

// All sessions of the process use the same streams, so that their replays run one after another.
std::weak_ptr<std::vector<Stream>>& shared_streams() {
  static std::weak_ptr<std::vector<Stream>> streams;
  return streams;
}

class GraphRecording final : public Recording {
 public:
  GraphRecording(cudaGraphExec_t graph, cudaStream_t stream) : graph_(graph), stream_(stream) {}
  GraphRecording(const GraphRecording&) = delete;
  GraphRecording& operator=(const GraphRecording&) = delete;
  ~GraphRecording() override { cudaGraphExecDestroy(graph_); }
  Result<void> replay() override {
    MTS_CUDA_TRY("the graph cannot be launched", cudaGraphLaunch(graph_, stream_));
    return {};
  }

 private:
  cudaGraphExec_t graph_;
  cudaStream_t stream_;
};

class CudaRuntime final : public DeviceRuntime {
 public:
  ~CudaRuntime() override {
    if (staging_ != nullptr) cudaFreeHost(staging_);
  }

  Result<void> start() {
    cudaDeviceProp properties{};
    MTS_CUDA_TRY("the device does not tell what it is", cudaGetDeviceProperties(&properties, 0));
    name_ = properties.name;
    if (properties.major < kOldest) {
      return fail(ErrorCode::kDevice,
                  "the GPU " + name_ + " has compute capability " + std::to_string(properties.major) + "." +
                      std::to_string(properties.minor) + "; mts needs 8.0 (Ampere) or newer");
    }
    MTS_CUDA_TRY("the device cannot be used", cudaSetDevice(0));
    flush_bytes_ = 4 * static_cast<uint64_t>(std::max(properties.l2CacheSize, 1 << 20));
    streams_ = shared_streams().lock();
    if (streams_ == nullptr) {
      auto streams = std::make_shared<std::vector<Stream>>(kMostStreams);
      for (Stream& stream : *streams)
        MTS_CUDA_TRY("a stream cannot be made",
                     cudaStreamCreateWithFlags(&stream.stream, cudaStreamNonBlocking));
      streams_ = streams;
      shared_streams() = streams_;
    }
    for (Event* event : {&begin_, &end_})
      MTS_CUDA_TRY("an event cannot be made", cudaEventCreate(&event->event));
    const cudaError_t pinned = cudaHostAlloc(&staging_, kStagingBytes, cudaHostAllocDefault);
    MTS_CUDA_TRY("pinned memory cannot be had", pinned);
    return {};
  }

  std::string name() const override { return name_; }
  int32_t max_streams() const override { return kMostStreams; }

  Result<DeviceBlock> allocate(uint64_t bytes, std::string_view what) override {
    void* memory = nullptr;
    const cudaError_t error = cudaMalloc(&memory, std::max<uint64_t>(bytes, kAlignment));
    if (error == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      ran_out_ = true;
      size_t free = 0, total = 0;
      cudaMemGetInfo(&free, &total);
      return fail(ErrorCode::kDevice, "the GPU is out of memory: " + std::string(what) + " need " +
                                          size_text(bytes) + ", but " + size_text(free) + " of " +
                                          size_text(total) + " are free");
    }
    MTS_CUDA_TRY("memory cannot be had", error);
    // Zeros: the first launches, before anything was uploaded, find indices that are in range.
    MTS_CUDA_TRY("memory cannot be filled", cudaMemset(memory, 0, std::max<uint64_t>(bytes, kAlignment)));
    return DeviceBlock(static_cast<std::byte*>(memory), [](std::byte* p) { cudaFree(p); });
  }

  // Through pinned memory in two halves: one is filled while the other travels.
  Result<void> upload(std::byte* to, std::span<const std::byte> from) override {
    constexpr size_t kHalf = kStagingBytes / 2;
    size_t half = 0;
    Event sent[2];
    for (Event& event : sent)
      MTS_CUDA_TRY("an event cannot be made", cudaEventCreateWithFlags(&event.event, cudaEventDisableTiming));
    for (size_t at = 0; at < from.size(); at += kHalf, half ^= 1) {
      const size_t bytes = std::min(kHalf, from.size() - at);
      std::byte* const staging = static_cast<std::byte*>(staging_) + half * kHalf;
      MTS_CUDA_TRY("a copy to the device failed", cudaEventSynchronize(sent[half].event));
      std::memcpy(staging, from.data() + at, bytes);
      MTS_CUDA_TRY("a copy to the device failed",
                   cudaMemcpyAsync(to + at, staging, bytes, cudaMemcpyHostToDevice, stream()));
      MTS_CUDA_TRY("a copy to the device failed", cudaEventRecord(sent[half].event, stream()));
    }
    return wait();
  }

  Result<void> download(std::span<std::byte> to, const std::byte* from) override {
    for (size_t at = 0; at < to.size(); at += kStagingBytes) {
      const size_t bytes = std::min(kStagingBytes, to.size() - at);
      MTS_CUDA_TRY("a copy from the device failed",
                   cudaMemcpyAsync(staging_, from + at, bytes, cudaMemcpyDeviceToHost, stream()));
      MTS_TRY(wait());
      std::memcpy(to.data() + at, staging_, bytes);
    }
    return {};
  }

  Result<std::unique_ptr<Recording>> record(std::span<const Command> commands, int32_t events,
                                            const Launch& launch) override {
    std::vector<Event> made(static_cast<size_t>(events));
    for (Event& event : made)
      MTS_CUDA_TRY("an event cannot be made", cudaEventCreateWithFlags(&event.event, cudaEventDisableTiming));
    MTS_CUDA_TRY("recording cannot begin",
                 cudaStreamBeginCapture(stream(), cudaStreamCaptureModeThreadLocal));
    Result<void> captured = capture(commands, made, launch);
    cudaGraph_t graph = nullptr;
    const cudaError_t ended = cudaStreamEndCapture(stream(), &graph);
    if (!captured || ended != cudaSuccess) {
      if (graph != nullptr) cudaGraphDestroy(graph);
      cudaGetLastError();
      if (!captured) return tl::unexpected(captured.error());
      return failed("recording failed", ended);
    }
    cudaGraphExec_t executable = nullptr;
    const cudaError_t instantiated = cudaGraphInstantiate(&executable, graph, 0);
    cudaGraphDestroy(graph);
    MTS_CUDA_TRY("the recording cannot be made executable", instantiated);
    auto recording = std::make_unique<GraphRecording>(executable, stream());
    MTS_CUDA_TRY("the recording cannot be uploaded", cudaGraphUpload(executable, stream()));
    return recording;
  }

  Result<void> wait() override {
    MTS_CUDA_TRY("the device failed", cudaStreamSynchronize(stream()));
    return {};
  }

  Result<double> time(const std::function<Result<void>()>& work) override {
    MTS_CUDA_TRY("an event cannot be recorded", cudaEventRecord(begin_.event, stream()));
    MTS_TRY(work());
    MTS_CUDA_TRY("an event cannot be recorded", cudaEventRecord(end_.event, stream()));
    MTS_CUDA_TRY("the device failed", cudaEventSynchronize(end_.event));
    float milliseconds = 0;
    MTS_CUDA_TRY("events tell no time", cudaEventElapsedTime(&milliseconds, begin_.event, end_.event));
    return static_cast<double>(milliseconds);
  }

  Result<void> flush_caches() override {
    if (flushed_ == nullptr) {
      MTS_ASSIGN(flushed_, allocate(flush_bytes_, "a block larger than the L2 cache"));
    }
    MTS_CUDA_TRY("memory cannot be filled", cudaMemsetAsync(flushed_.get(), 0, flush_bytes_, stream()));
    return {};
  }

  bool ran_out() const override { return ran_out_; }

  ProfilerRange range(const std::string& name) override {
    nvtxRangePushA(name.c_str());
    return ProfilerRange(this, [](void*) { nvtxRangePop(); });
  }

  Result<DeviceMemory> memory() const override {
    size_t free = 0, total = 0;
    MTS_CUDA_TRY("the device does not tell its memory", cudaMemGetInfo(&free, &total));
    return DeviceMemory{free, total};
  }

 private:
  static constexpr uint64_t kAlignment = 256;  // cudaMalloc's

  cudaStream_t stream() const { return streams_->front().stream; }

  Result<void> capture(std::span<const Command> commands, const std::vector<Event>& events,
                       const Launch& launch) {
    for (const Command& command : commands) {
      const cudaStream_t own = (*streams_)[static_cast<size_t>(command.stream)].stream;
      const auto index = static_cast<size_t>(command.index);
      switch (command.kind) {
        case Command::Kind::kLaunch:
          MTS_TRY(launch(command.index, own));
          break;
        case Command::Kind::kRecord:
          MTS_CUDA_TRY("an event cannot be recorded", cudaEventRecord(events[index].event, own));
          break;
        case Command::Kind::kWait:
          MTS_CUDA_TRY("a stream cannot wait", cudaStreamWaitEvent(own, events[index].event, 0));
          break;
      }
    }
    return {};
  }

  std::string name_;
  std::shared_ptr<std::vector<Stream>> streams_;
  Event begin_, end_;
  DeviceBlock flushed_;
  uint64_t flush_bytes_ = 0;
  bool ran_out_ = false;
  void* staging_ = nullptr;
};

}  // namespace

Result<std::unique_ptr<DeviceRuntime>> make_cuda_runtime() {
  int devices = 0;
  const cudaError_t error = cudaGetDeviceCount(&devices);
  if (error == cudaErrorInsufficientDriver) {
    int driver = 0;
    if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0)
      return fail(ErrorCode::kDevice, "no NVIDIA driver is installed on this machine");
    return fail(ErrorCode::kDevice,
                "the NVIDIA driver is too old: it knows CUDA " + std::to_string(driver / 1000) + "." +
                    std::to_string(driver % 1000 / 10) + ", mts was built for " + cuda_version());
  }
  if (error == cudaErrorNoDevice || (error == cudaSuccess && devices == 0))
    return fail(ErrorCode::kDevice, "no NVIDIA GPU is there for this process (CUDA_VISIBLE_DEVICES?)");
  if (error != cudaSuccess) return failed("no NVIDIA driver that works", error);
  auto runtime = std::make_unique<CudaRuntime>();
  MTS_TRY(runtime->start());
  return runtime;
}

std::string cuda_version() {
  int version = 0;
  cudaRuntimeGetVersion(&version);
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

}  // namespace mts::exec::cuda
