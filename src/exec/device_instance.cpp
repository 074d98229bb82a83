#include "exec/device_instance.h"

#include "exec/host.h"
#include "exec/memory.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include <fmt/format.h>

namespace mts::exec {
namespace {

uint64_t aligned(uint64_t bytes) {
  return (bytes + kDeviceAlignment - 1) / kDeviceAlignment * kDeviceAlignment;
}

// "3.2 GiB"
std::string size_text(uint64_t bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  for (; value >= 1024 && unit + 1 < std::size(kUnits); ++unit) value /= 1024;
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

// A block of at least `bytes`, shared where the one at hand is large enough.
Result<DeviceBlock> share(SharedDeviceMemory::Sized& shared, uint64_t bytes, DeviceRuntime& runtime,
                          std::string_view what) {
  if (shared.block == nullptr || shared.bytes < bytes) {
    MTS_ASSIGN(DeviceBlock block, runtime.allocate(bytes, what));
    shared = {std::move(block), bytes};
  }
  return shared.block;
}

}  // namespace

DeviceInstance::DeviceInstance(const Model& model, ExecPlan plan, Backend& backend,
                               SharedDeviceMemory& memory)
    : model_(model),
      plan_(std::move(plan)),
      backend_(backend),
      runtime_(*backend.runtime()),
      memory_(memory),
      env_(env_of(model)),
      prepared_(plan_.steps.size()) {}

Result<std::unique_ptr<DeviceInstance>> DeviceInstance::create(const Model& model, ExecPlan plan,
                                                               Backend& backend, SharedDeviceMemory& memory,
                                                               int32_t max_streams) {
  std::unique_ptr<DeviceInstance> instance(new DeviceInstance(model, std::move(plan), backend, memory));
  MTS_ASSIGN(const DeviceMemory before, backend.runtime()->memory());
  const bool had_run_out = backend.runtime()->ran_out();  // and done without
  const Result<void> prepared = instance->prepare(max_streams);
  if (!prepared && !had_run_out && backend.runtime()->ran_out())
    return tl::unexpected(instance->out_of_memory(before));
  if (!prepared) return tl::unexpected(prepared.error());
  return instance;
}

Error DeviceInstance::out_of_memory(const DeviceMemory& before) const {
  uint64_t weights = 0;
  const std::vector<bool> on_device = constants_on_device(true);
  for (size_t r = 0; r < on_device.size(); ++r) weights += on_device[r] ? aligned(plan_.roots[r].bytes) : 0;
  uint64_t borders = 0;
  for (const Root& root : plan_.roots) {
    if (root.storage == Storage::kInput || root.storage == Storage::kOutput) borders += aligned(root.bytes);
  }
  const uint64_t rest = workspace_bytes_ + borders;
  std::string text = "the GPU is out of memory: " + size_text(weights + placement_.bytes + rest) +
                     " are needed (weights " + size_text(weights) + ", activations " +
                     size_text(placement_.bytes) + ", inputs, outputs and workspace " + size_text(rest) +
                     "), " + size_text(before.free) + " of " + size_text(before.total) + " are free; ";
  // Budgets count float32 as the file stores it, and whole megabytes.
  constexpr uint64_t kMegabyte = 1'000'000;
  const bool is_held_small = bit_width(backend_.held_as()) == 16;
  const uint64_t room = before.free > rest ? before.free - rest : 0;
  const uint64_t budget = (is_held_small ? 2 : 1) * room / kMegabyte;
  if (room > weights && budget > 0) {
    text += "mts stitch --memory-budget " + std::to_string(budget) + "MB makes groups that fit";
  } else {
    text += "the weights leave no room, whatever the --memory-budget: fewer models in one file would fit";
  }
  return Error{ErrorCode::kDevice, std::move(text), {}};
}

std::vector<bool> DeviceInstance::constants_on_device(bool all) const {
  std::vector<bool> result(plan_.roots.size(), false);
  for (size_t i = 0; i < plan_.steps.size(); ++i) {
    const StepKind kind = plan_.steps[i].kind;
    if (kind != StepKind::kKernel && kind != StepKind::kReorder) continue;
    for (ValueIndex v : plan_.steps[i].inputs) {
      if (v == kAbsent || plan_.root_of(v).storage != Storage::kConstant) continue;
      if (all || (kernels_[i] != nullptr && kernels_[i]->reads(v)))
        result[static_cast<size_t>(plan_.value(v).root)] = true;
    }
  }
  return result;
}

Result<void> DeviceInstance::prepare(int32_t max_streams) {
  schedule_ = make_schedule(plan_, std::min(max_streams, runtime_.max_streams()));
  placement_ = place_on_device(plan_, schedule_);
  kernels_.resize(plan_.steps.size());
  for (size_t i = 0; i < plan_.steps.size(); ++i) {
    const Step& step = plan_.steps[i];
    if (step.kind != StepKind::kKernel && step.kind != StepKind::kReorder) continue;
    MTS_ASSIGN(kernels_[i], backend_.prepare(plan_, step));
  }
  datums_.resize(static_cast<size_t>(plan_.datum_slots));
  pointers_.assign(plan_.values.size(), nullptr);
  MTS_TRY(place());
  MTS_TRY(place_constants());
  MTS_TRY(place_inputs_and_outputs());
  MTS_TRY(record());
  // Devices may launch everything once while they record, on whatever lies there: what that found is no
  // finding.
  (void)backend_.check_run();
  return {};
}

void DeviceInstance::point_root(size_t root, std::byte* start) {
  for (size_t v = 0; v < plan_.values.size(); ++v) {
    const PlanValue& value = plan_.values[v];
    if (value.root == static_cast<int32_t>(root) && value.is_static) pointers_[v] = start + value.offset;
  }
}

bool DeviceInstance::is_on_device(ValueIndex value) const {
  return pointers_[static_cast<size_t>(value)] != nullptr;
}

// Activations and workspace. Steps on different streams run at once: each stream has a workspace of its own.
Result<void> DeviceInstance::place() {
  std::vector<uint64_t> needed(static_cast<size_t>(std::max(1, schedule_.streams)), 0);
  for (size_t i = 0; i < kernels_.size(); ++i) {
    if (kernels_[i] == nullptr) continue;
    uint64_t& most = needed[static_cast<size_t>(schedule_.stream_of[i])];
    most = std::max(most, kernels_[i]->workspace_bytes());
  }
  for (uint64_t bytes : needed) {
    workspace_at_.push_back(workspace_bytes_);
    workspace_bytes_ += aligned(bytes);
  }
  MTS_ASSIGN(DeviceBlock arena, share(memory_.arena, placement_.bytes, runtime_, "activations"));
  MTS_ASSIGN(DeviceBlock workspace, share(memory_.workspace, workspace_bytes_, runtime_, "workspace"));
  workspace_ = workspace.get();
  for (size_t v = 0; v < plan_.values.size(); ++v) {
    const PlanValue& value = plan_.values[v];
    if (value.root < 0 || !value.is_static) continue;
    const uint64_t offset = placement_.offsets[static_cast<size_t>(value.root)];
    if (offset != ArenaPlacement::kNowhere) pointers_[v] = arena.get() + offset + value.offset;
  }
  blocks_.push_back(std::move(arena));
  blocks_.push_back(std::move(workspace));
  return {};
}

// Uploads the constants that kernels read as they are; lets go of those that nobody reads on the host.
Result<void> DeviceInstance::place_constants() {
  const std::vector<bool> on_device = constants_on_device(false);
  std::vector<bool> on_host(plan_.constants.size(), false);
  const auto keep_on_host = [&](ValueIndex v) {
    if (v == kAbsent || plan_.root_of(v).storage != Storage::kConstant) return;
    on_host[static_cast<size_t>(plan_.root_of(v).slot)] = true;
  };
  for (const Step& step : plan_.steps) {
    if (step.kind == StepKind::kHost) {
      for (ValueIndex v : step.inputs) keep_on_host(v);
    }
    for (ValueIndex v : step.captures) keep_on_host(v);
  }
  for (ValueIndex v : plan_.outputs) keep_on_host(v);
  std::vector<std::pair<ValueId, DType>> ids(plan_.roots.size(), {kNoValue, DType::kUndefined});
  for (const PlanValue& value : plan_.values) {
    if (value.root >= 0 && value.is_constant())
      ids[static_cast<size_t>(value.root)] = {value.id, value.dtype};
  }
  for (size_t r = 0; r < plan_.roots.size(); ++r) {
    const Root& root = plan_.roots[r];
    if (root.storage != Storage::kConstant || !on_device[r] || root.bytes == 0) continue;
    const Tensor* const tensor = plan_.constants[static_cast<size_t>(root.slot)].tensor();
    if (tensor == nullptr) continue;
    const auto& id = ids[r];
    const bool shared = id.first != kNoValue && plan_.graph->value(id.first).is_constant();
    DeviceBlock block = shared ? memory_.constants[id] : nullptr;
    if (block == nullptr) {
      MTS_ASSIGN(block, runtime_.allocate(root.bytes, "weights"));
      MTS_TRY(runtime_.upload(block.get(), std::span(tensor->data(), root.bytes)));
      (shared ? memory_.constant_bytes : own_constant_bytes_) += root.bytes;
      if (shared) memory_.constants[id] = block;
    }
    point_root(r, block.get());
    blocks_.push_back(std::move(block));
  }
  for (size_t i = 0; i < on_host.size(); ++i) {
    if (!on_host[i]) plan_.constants[i] = Datum();
  }
  return {};
}

// Inputs and outputs have places of their own: a recording holds the addresses.
Result<void> DeviceInstance::place_inputs_and_outputs() {
  std::vector<bool> wanted(plan_.roots.size(), false);
  for (size_t i = 0; i < plan_.steps.size(); ++i) {
    if (kernels_[i] == nullptr) continue;
    for (const std::vector<ValueIndex>* list : {&plan_.steps[i].inputs, &plan_.steps[i].outputs}) {
      for (ValueIndex v : *list) {
        if (v != kAbsent) wanted[static_cast<size_t>(plan_.value(v).root)] = true;
      }
    }
  }
  std::vector<uint64_t> at(plan_.roots.size(), 0);
  for (size_t r = 0; r < plan_.roots.size(); ++r) {
    const Storage storage = plan_.roots[r].storage;
    wanted[r] = wanted[r] && (storage == Storage::kInput || storage == Storage::kOutput);
    if (!wanted[r]) continue;
    at[r] = io_bytes_;
    io_bytes_ += aligned(plan_.roots[r].bytes);
  }
  MTS_ASSIGN(DeviceBlock block, runtime_.allocate(io_bytes_, "inputs and outputs"));
  input_places_.assign(plan_.inputs.size(), nullptr);
  for (size_t r = 0; r < plan_.roots.size(); ++r) {
    if (!wanted[r]) continue;
    point_root(r, block.get() + at[r]);
    if (plan_.roots[r].storage == Storage::kInput)
      input_places_[static_cast<size_t>(plan_.roots[r].slot)] = block.get() + at[r];
  }
  blocks_.push_back(std::move(block));
  return {};
}

Result<void> DeviceInstance::launch(int32_t step, void* stream) {
  const auto at = static_cast<size_t>(step);
  const uint64_t workspace = workspace_at_[static_cast<size_t>(schedule_.stream_of[at])];
  return kernels_[at]->launch({pointers_.data(), workspace_ + workspace, stream});
}

Result<void> DeviceInstance::record() {
  recordings_.resize(schedule_.segments.size());
  for (size_t s = 0; s < schedule_.segments.size(); ++s) {
    const Segment& segment = schedule_.segments[s];
    if (segment.on_host) continue;
    const auto enqueue = [this](int32_t step, void* stream) { return launch(step, stream); };
    MTS_ASSIGN(recordings_[s], runtime_.record(segment.commands, segment.events, enqueue));
  }
  return {};
}

int DeviceInstance::host_steps() const {
  return static_cast<int>(std::count_if(plan_.steps.begin(), plan_.steps.end(),
                                        [](const Step& step) { return step.kind == StepKind::kHost; }));
}

Result<Datum> DeviceInstance::fetch(ValueIndex index, std::span<const Datum> inputs) {
  const PlanValue& value = plan_.value(index);
  const Root& root = plan_.root_of(index);
  const auto slot = static_cast<size_t>(root.slot);
  const Datum* whole = nullptr;  // on the host
  if (root.storage == Storage::kConstant) {
    if (value.constant >= 0) return plan_.constants[static_cast<size_t>(value.constant)];
    whole = &plan_.constants[slot];
  } else if (root.storage == Storage::kInput) {
    whole = &inputs[slot];
  } else if (root.storage == Storage::kHost) {
    whole = &datums_[slot];
  }
  if (whole == nullptr) {
    Tensor tensor(value.dtype, value.dims);
    MTS_TRY(runtime_.download({tensor.mutable_data(), value.bytes}, pointers_[static_cast<size_t>(index)]));
    return Datum(std::move(tensor));
  }
  if (!value.is_static || whole->tensor() == nullptr) return *whole;
  const auto owner = std::make_shared<const Datum>(*whole);
  return Datum(Tensor::borrow(value.dtype, value.dims,
                              const_cast<std::byte*>(owner->tensor()->data()) + value.offset, owner));
}

Result<void> DeviceInstance::run_host(const Step& step, std::span<const Datum> inputs) {
  const Node& node = plan_.graph->node(step.node);
  std::vector<Datum> operands(step.inputs.size());
  std::vector<const Datum*> references(step.inputs.size(), nullptr);
  for (size_t i = 0; i < step.inputs.size(); ++i) {
    if (step.inputs[i] == kAbsent) continue;
    MTS_ASSIGN(operands[i], fetch(step.inputs[i], inputs));
    references[i] = &operands[i];
  }
  std::map<ValueId, Datum> captured;
  for (ValueIndex v : step.captures) {
    MTS_ASSIGN(captured[plan_.value(v).id], fetch(v, inputs));
  }
  const OuterValue outer = [&](ValueId id) -> const Datum* {
    const auto found = captured.find(id);
    return found == captured.end() ? nullptr : &found->second;
  };
  env_.prepared = &prepared_[static_cast<size_t>(&step - plan_.steps.data())];
  MTS_ASSIGN(std::vector<Datum> results, evaluate_on_host(node, references, env_, outer));
  for (size_t i = 0; i < step.outputs.size() && i < results.size(); ++i) {
    const ValueIndex output = step.outputs[i];
    if (output == kAbsent) continue;
    const PlanValue& value = plan_.value(output);
    const Tensor* const tensor = results[i].tensor();
    if (value.is_static &&
        (tensor == nullptr || tensor->dims() != value.dims || tensor->dtype() != value.dtype)) {
      return fail(ErrorCode::kInternal, "the shape of an output differs from the plan's",
                  {.file = {}, .node = node.label(), .value = value.name});
    }
    if (value.is_static && is_on_device(output) && value.bytes > 0)
      MTS_TRY(runtime_.upload(pointers_[static_cast<size_t>(output)], {tensor->data(), value.bytes}));
    datums_[static_cast<size_t>(plan_.root_of(output).slot)] = std::move(results[i]);
  }
  return {};
}

Result<void> DeviceInstance::upload_inputs(std::span<const Datum> inputs) {
  for (size_t i = 0; i < input_places_.size(); ++i) {
    const Tensor* const tensor = inputs[i].tensor();
    if (input_places_[i] == nullptr || tensor == nullptr || tensor->byte_size() == 0) continue;
    MTS_TRY(runtime_.upload(input_places_[i], {tensor->data(), tensor->byte_size()}));
  }
  return {};
}

Result<void> DeviceInstance::replay() {
  if (host_steps() > 0)
    return fail(ErrorCode::kUnsupported,
                "some steps run on the host: there is no single recording to replay");
  for (const std::unique_ptr<Recording>& recording : recordings_) MTS_TRY(recording->replay());
  return {};
}

Result<std::vector<double>> DeviceInstance::time_steps(int repeats) {
  std::vector<double> result(plan_.steps.size(), 0);
  for (size_t i = 0; i < plan_.steps.size(); ++i) {
    if (kernels_[i] == nullptr) continue;
    const Command command{Command::Kind::kLaunch, 0, static_cast<int32_t>(i)};
    const auto enqueue = [this](int32_t step, void* stream) { return launch(step, stream); };
    MTS_ASSIGN(const std::unique_ptr<Recording> recording,
               runtime_.record(std::span(&command, 1), 0, enqueue));
    std::vector<double> times;
    const ProfilerRange range = runtime_.range(label_of(plan_, plan_.steps[i]));
    for (int r = 0; r < repeats; ++r) {
      MTS_ASSIGN(times.emplace_back(), runtime_.time([&] { return recording->replay(); }));
    }
    std::sort(times.begin(), times.end());
    result[i] = times[times.size() / 2];
  }
  return result;
}

Result<std::vector<Datum>> DeviceInstance::download_outputs(std::span<const Datum> inputs) {
  std::vector<Datum> outputs;
  for (ValueIndex output : plan_.outputs) {
    MTS_ASSIGN(outputs.emplace_back(), fetch(output, inputs));
  }
  return outputs;
}

Result<std::vector<Datum>> DeviceInstance::run(std::span<const Datum> inputs) {
  MTS_TRY(upload_inputs(inputs));
  for (size_t s = 0; s < schedule_.segments.size(); ++s) {
    if (recordings_[s] != nullptr) {
      MTS_TRY(recordings_[s]->replay());
      continue;
    }
    for (int32_t step : schedule_.segments[s].steps)
      MTS_TRY(run_host(plan_.steps[static_cast<size_t>(step)], inputs));
  }
  MTS_TRY(runtime_.wait());
  MTS_TRY(backend_.check_run());
  return download_outputs(inputs);
}

}  // namespace mts::exec
