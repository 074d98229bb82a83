// Sessions: plans cached per set of input shapes, and the run itself.
#include "base/log.h"
#include "exec/backend.h"
#include "exec/bind.h"
#include "exec/compile.h"
#include "exec/device.h"
#include "exec/device_instance.h"
#include "exec/geometry.h"
#include "exec/instance.h"
#include "exec/widen.h"
#include "exec/work.h"

#include <mts/device_session.h>
#include <mts/executor.h>

#include <algorithm>
#include <list>
#include <map>
#include <utility>

#include <omp.h>

namespace mts {
namespace exec {
namespace {

constexpr size_t kCachedPlans = 8;
constexpr int32_t kMaxStreams = 16;

// OpenMP's thread count belongs to the calling thread: it is set while a session works, and put back.
class ThreadCount {
 public:
  explicit ThreadCount(int threads) : before_(omp_get_max_threads()) {
    omp_set_num_threads(threads > 0 ? threads : omp_get_num_procs());
  }
  ~ThreadCount() { omp_set_num_threads(before_); }
  ThreadCount(const ThreadCount&) = delete;
  ThreadCount& operator=(const ThreadCount&) = delete;

 private:
  int before_;
};

class PlanSession final : public DeviceSession {
 public:
  PlanSession(Model model, std::unique_ptr<Backend> backend, int threads)
      : model_(std::move(model)), backend_(std::move(backend)), threads_(threads) {}

  Result<std::vector<Datum>> run(std::span<const Datum> inputs) override {
    const ThreadCount scope(threads_);
    MTS_ASSIGN(Instance* const instance, instance_for(inputs));
    return instance->run(inputs);
  }

  // DeviceSession; as_device gives it only where there is a device.
  bool is_on_device() const override { return backend_->runtime() != nullptr; }
  void set_max_streams(int streams) override { max_streams_ = streams; }
  Result<void> load(std::span<const Datum> inputs) override {
    MTS_ASSIGN(Instance* const instance, instance_for(inputs));
    loaded_ = static_cast<DeviceInstance*>(instance);
    loaded_inputs_.assign(inputs.begin(), inputs.end());
    return loaded_->upload_inputs(inputs);
  }
  Result<void> enqueue() override { return loaded_->replay(); }
  Result<void> wait() override { return backend_->runtime()->wait(); }
  Result<std::vector<Datum>> unload() override { return loaded_->download_outputs(loaded_inputs_); }
  Result<double> time(const std::function<Result<void>()>& work) override {
    return backend_->runtime()->time(work);
  }
  Result<void> flush_caches() override { return backend_->runtime()->flush_caches(); }
  std::string device_name() const override { return backend_->runtime()->name(); }
  Result<uint64_t> device_bytes_in_use() override {
    MTS_ASSIGN(const DeviceMemory memory, backend_->runtime()->memory());
    return memory.total - memory.free;
  }
  int host_steps() const override { return loaded_->host_steps(); }
  Result<std::vector<StepTime>> time_steps(std::span<const Datum> inputs, int repeats) override {
    const ThreadCount scope(threads_);
    MTS_ASSIGN(Instance* const instance, instance_for(inputs));
    std::vector<double> times;  // milliseconds
    if (is_on_device()) {
      MTS_TRY(load(inputs));
      MTS_ASSIGN(times, loaded_->time_steps(repeats));
    } else {
      MTS_ASSIGN(times, time_on_host(*static_cast<PlanInstance*>(instance), inputs, repeats));
    }
    const ExecPlan& plan = instance->plan();
    const std::vector<StepWork> work = work_of(plan);
    std::vector<StepTime> result;
    for (size_t i = 0; i < times.size(); ++i) {
      const Step& step = plan.steps[i];
      if (step.kind == StepKind::kView || (is_on_device() && step.kind == StepKind::kHost)) continue;
      result.push_back({label_of(plan, step), times[i], is_on_device() ? loaded_->schedule().stream_of[i] : 0,
                        work[i].flops, work[i].bytes, work[i].outer_bytes, work[i].dtype});
    }
    return result;
  }

  MemoryUse memory() const override {
    MemoryUse use;
    if (instances_.empty()) return use;
    const Instance& instance = *instances_.front().second;
    use.weights = backend_->weight_bytes() + instance.resident_constant_bytes();
    use.arena = instance.arena_bytes();
    use.arena_lower_bound = instance.arena_lower_bound();
    use.workspace = instance.workspace_bytes();
    return use;
  }

 private:
  using Entry = std::pair<std::vector<InputType>, std::unique_ptr<Instance>>;

  Result<void> check(std::span<const Datum> inputs) const {
    const Graph& graph = model_.graph;
    if (inputs.size() != graph.inputs().size()) {
      return fail(ErrorCode::kUsage,
                  "the model takes " + std::to_string(graph.inputs().size()) + " inputs, " +
                      std::to_string(inputs.size()) + " were given",
                  {.file = model_.name, .node = {}, .value = {}});
    }
    for (size_t i = 0; i < inputs.size(); ++i) {
      const Value& value = graph.value(graph.inputs()[i]);
      const Tensor* tensor = inputs[i].tensor();
      const Where where{.file = model_.name, .node = {}, .value = value.name};
      if (!value.type.is_tensor()) continue;
      if (tensor == nullptr)
        return fail(ErrorCode::kUsage, "the input is a tensor; something else was given", where);
      if (value.type.dtype != DType::kUndefined && tensor->dtype() != value.type.dtype) {
        return fail(
            ErrorCode::kUsage,
            "the input is " + mts::to_string(value.type) + ", given " + std::string(name_of(tensor->dtype())),
            where);
      }
      if (!value.type.has_rank()) continue;
      bool fits = tensor->dims().size() == value.type.rank();
      for (size_t d = 0; fits && d < tensor->dims().size(); ++d) {
        const Dim& dim = (*value.type.shape)[d];
        fits = !dim.is_known() || dim.value == tensor->dims()[d];
      }
      if (!fits)
        return fail(ErrorCode::kUsage,
                    "the input is " + mts::to_string(value.type) + ", given " + to_string(tensor->dims()),
                    where);
    }
    return {};
  }

  Result<Instance*> instance_for(std::span<const Datum> inputs) {
    MTS_TRY(check(inputs));
    std::vector<InputType> types;
    for (const Datum& input : inputs) {
      const Tensor* tensor = input.tensor();
      types.push_back(tensor == nullptr ? InputType{} : InputType{tensor->dtype(), tensor->dims()});
    }
    const auto found =
        std::find_if(instances_.begin(), instances_.end(), [&](const Entry& e) { return e.first == types; });
    if (found != instances_.end()) {
      instances_.splice(instances_.begin(), instances_, found);
      return instances_.front().second.get();
    }
    MTS_ASSIGN(const Binding binding, exec::bind(model_, types));
    MTS_ASSIGN(ExecPlan plan, compile(model_, binding, *backend_));
    MTS_ASSIGN(std::unique_ptr<Instance> instance, make_instance(std::move(plan)));
    instances_.emplace_front(types, std::move(instance));
    if (instances_.size() > kCachedPlans) {
      if (instances_.back().second.get() == loaded_) loaded_ = nullptr;
      instances_.pop_back();
    }
    return instances_.front().second.get();
  }

  static Result<std::vector<double>> time_on_host(PlanInstance& instance, std::span<const Datum> inputs,
                                                  int repeats) {
    std::vector<std::vector<double>> all(instance.plan().steps.size());
    std::vector<double> seconds;
    instance.profile(&seconds);
    for (int r = 0; r < repeats; ++r) {
      const auto outputs = instance.run(inputs);
      if (!outputs) {
        instance.profile(nullptr);
        return tl::unexpected(outputs.error());
      }
      for (size_t i = 0; i < all.size(); ++i) all[i].push_back(seconds[i] * 1e3);
    }
    instance.profile(nullptr);
    std::vector<double> medians(all.size(), 0);
    for (size_t i = 0; i < all.size(); ++i) {
      std::sort(all[i].begin(), all[i].end());
      if (!all[i].empty()) medians[i] = all[i][all[i].size() / 2];
    }
    return medians;
  }

  Result<std::unique_ptr<Instance>> make_instance(ExecPlan plan) {
    if (backend_->runtime() == nullptr)
      return PlanInstance::create(model_, std::move(plan), *backend_, memory_);
    MTS_ASSIGN(std::unique_ptr<DeviceInstance> instance,
               DeviceInstance::create(model_, std::move(plan), *backend_, device_memory_, max_streams_));
    warn_about_host_steps(instance->plan());
    return instance;
  }

  // Once a session: what the device has no kernel for is slow, and nobody would see why.
  void warn_about_host_steps(const ExecPlan& plan) {
    std::map<std::string, int> count;
    for (const Step& step : plan.steps) {
      if (step.kind == StepKind::kHost) ++count[step.op];
    }
    if (count.empty() || warned_) return;
    warned_ = true;
    std::string list;
    int total = 0;
    for (const auto& [op, times] : count) {
      list += (list.empty() ? "" : ", ") + std::to_string(times) + " " + op;
      total += times;
    }
    log::warn("{}: {} of {} steps have no kernel on the device and run on the host: {}", model_.name, total,
              plan.steps.size(), list);
  }

  Model model_;
  std::unique_ptr<Backend> backend_;  // before what lies on its device
  int threads_;
  int32_t max_streams_ = kMaxStreams;
  bool warned_ = false;
  SharedMemory memory_;
  SharedDeviceMemory device_memory_;
  std::list<Entry> instances_;  // the latest first
  DeviceInstance* loaded_ = nullptr;
  std::vector<Datum> loaded_inputs_;
};

}  // namespace

Result<std::unique_ptr<Session>> make_plan_session(const Model& model, std::unique_ptr<Backend> backend,
                                                   int threads) {
  Model copy = model.clone();
  if (backend->runtime() == nullptr) MTS_TRY(widen_small_floats(copy));
  MTS_TRY(copy.graph.sort());
  return std::make_unique<PlanSession>(std::move(copy), std::move(backend), threads);
}

}  // namespace exec

DeviceSession* as_device(Session& session) {
  auto* const device = dynamic_cast<DeviceSession*>(&session);
  return device != nullptr && device->is_on_device() ? device : nullptr;
}

Result<std::vector<StepTime>> time_steps(Session& session, std::span<const Datum> inputs, int repeats) {
  auto* const plans = dynamic_cast<DeviceSession*>(&session);
  if (plans == nullptr)
    return fail(ErrorCode::kUnsupported, "this device runs no compiled plans to be profiled");
  return plans->time_steps(inputs, repeats);
}

Result<std::unique_ptr<Session>> create_session(const Model& model, const ExecutorOptions& options) {
  if (options.threads < 0) return fail(ErrorCode::kUsage, "the number of threads cannot be negative");
  const exec::DeviceEntry* const device = exec::find_device(options.device);
  if (device == nullptr)
    return fail(ErrorCode::kUsage,
                "no device is called '" + options.device + "'; there are cpu, ref and cuda");
  if (options.precision != Precision::kStrict && options.device != "cuda") {
    return fail(ErrorCode::kUsage, "the device '" + options.device + "' computes in float32 only: " +
                                       std::string(name_of(options.precision)) + " needs the device cuda");
  }
  if (device->make_session != nullptr) return device->make_session(model);
  MTS_ASSIGN(std::unique_ptr<exec::Backend> backend, device->make_backend(options));
  return exec::make_plan_session(model, std::move(backend), options.threads);
}

}  // namespace mts
