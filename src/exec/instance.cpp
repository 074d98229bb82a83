#include "exec/instance.h"

#include "base/allocate.h"
#include "base/resident.h"
#include "exec/geometry.h"
#include "exec/host.h"
#include "exec/memory.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>
#include <set>
#include <utility>

namespace mts::exec {
namespace {

// A copy of what lies in [begin, end): host results must not refer to the arena, which is written again.
void detach(Datum& datum, const std::byte* begin, const std::byte* end) {
  if (auto* tensor = std::get_if<Tensor>(&datum.value)) {
    if (tensor->data() < begin || tensor->data() >= end || tensor->byte_size() == 0) return;
    Tensor copy(tensor->dtype(), tensor->dims());
    std::memcpy(copy.mutable_data(), tensor->data(), tensor->byte_size());
    *tensor = std::move(copy);
  } else if (auto* sequence = std::get_if<Sequence>(&datum.value)) {
    for (Datum& element : *sequence) detach(element, begin, end);
  } else if (auto* map = std::get_if<Map>(&datum.value)) {
    for (Datum& element : map->values) detach(element, begin, end);
  }
}

// Constants that kernels have packed lie in memory twice. They are given up kernel by kernel, so that not all
// of them are ever held twice: the plan's tensor, and, where it lies in a mapped file, the pages.
class PackedOriginals {
 public:
  explicit PackedOriginals(ExecPlan& plan) : plan_(plan), uses_(plan.constants.size(), 0) {
    for (const Step& step : plan.steps) {
      for (ValueIndex v : step.inputs) count(v);
      for (ValueIndex v : step.captures) count(v);
    }
    for (ValueIndex v : plan.outputs) count(v);
  }

  // `kernel` was made for the step.
  void release(const Step& step, const Kernel& kernel) {
    for (ValueIndex v : step.inputs) {
      const int32_t constant = constant_of(v);
      if (constant < 0 || kernel.reads(v) || --uses_[static_cast<size_t>(constant)] > 0) continue;
      release(plan_.constants[static_cast<size_t>(constant)]);
    }
  }

 private:
  int32_t constant_of(ValueIndex v) const { return v == kAbsent ? -1 : plan_.value(v).constant; }
  void count(ValueIndex v) {
    if (constant_of(v) >= 0) ++uses_[static_cast<size_t>(constant_of(v))];
  }
  void release(Datum& constant) {
    const Tensor* const tensor = constant.tensor();
    if (tensor != nullptr && tensor->dtype() != DType::kString && tensor->byte_size() >= kWorthReleasing) {
      if (!mappings_) mappings_ = FileMappings::of_this_process();
      mappings_->release({tensor->data(), tensor->byte_size()});
    }
    constant = Datum();
  }

  ExecPlan& plan_;
  std::vector<int32_t> uses_;  // by steps that may read the constant
  std::optional<FileMappings> mappings_;
};

}  // namespace

void SharedMemory::reserve(uint64_t arena_bytes, uint64_t workspace_bytes) {
  const auto grow = [](Tensor& tensor, uint64_t bytes) {
    if (!tensor.defined() || tensor.byte_size() < bytes)
      tensor = Tensor(DType::kUint8, {static_cast<int64_t>(bytes)});
  };
  grow(arena, arena_bytes);
  grow(workspace, workspace_bytes);
}

PlanInstance::PlanInstance(const Model& model, ExecPlan plan, SharedMemory& memory)
    : model_(model),
      plan_(std::move(plan)),
      memory_(memory),
      env_(env_of(model)),
      prepared_(plan_.steps.size()) {}

Result<std::unique_ptr<PlanInstance>> PlanInstance::create(const Model& model, ExecPlan plan,
                                                           Backend& backend, SharedMemory& memory) {
  std::unique_ptr<PlanInstance> instance(new PlanInstance(model, std::move(plan), memory));
  MTS_TRY(instance->prepare(backend));
  return instance;
}

Result<void> PlanInstance::prepare(Backend& backend) {
  kernels_.resize(plan_.steps.size());
  PackedOriginals originals(plan_);
  for (size_t i = 0; i < plan_.steps.size(); ++i) {
    const Step& step = plan_.steps[i];
    if (step.kind != StepKind::kKernel && step.kind != StepKind::kReorder) continue;
    MTS_ASSIGN(kernels_[i], backend.prepare(plan_, step));
    originals.release(step, *kernels_[i]);
    workspace_bytes_ = std::max(workspace_bytes_, kernels_[i]->workspace_bytes());
  }
  by_root_.resize(plan_.roots.size());
  root_of_slot_.resize(static_cast<size_t>(plan_.datum_slots), -1);
  for (size_t v = 0; v < plan_.values.size(); ++v) {
    if (plan_.values[v].root >= 0)
      by_root_[static_cast<size_t>(plan_.values[v].root)].push_back(static_cast<ValueIndex>(v));
  }
  for (size_t r = 0; r < plan_.roots.size(); ++r) {
    const Root& root = plan_.roots[r];
    if (root.storage == Storage::kInput) input_roots_.push_back(static_cast<int32_t>(r));
    if (root.storage == Storage::kOutput) output_roots_.push_back(static_cast<int32_t>(r));
    if (root.storage == Storage::kHost)
      root_of_slot_[static_cast<size_t>(root.slot)] = static_cast<int32_t>(r);
  }
  blocks_.resize(static_cast<size_t>(plan_.output_slots));
  datums_.resize(static_cast<size_t>(plan_.datum_slots));
  pointers_.assign(plan_.values.size(), nullptr);
  drop_unread_constants();
  for (size_t v = 0; v < plan_.values.size(); ++v) {
    const PlanValue& value = plan_.values[v];
    if (value.root < 0) continue;
    const Root& root = plan_.roots[static_cast<size_t>(value.root)];
    if (root.storage != Storage::kConstant) continue;
    if (const Tensor* tensor = plan_.constants[static_cast<size_t>(root.slot)].tensor()) {
      pointers_[v] = const_cast<std::byte*>(tensor->data()) + value.offset;
    }
  }
  return {};
}

// Constants that were packed are not needed any more as they were.
void PlanInstance::drop_unread_constants() {
  std::vector<bool> read(plan_.constants.size(), false);
  const auto keep = [&](ValueIndex v) {
    if (v == kAbsent) return;
    const Root& root = plan_.root_of(v);
    if (root.storage == Storage::kConstant) read[static_cast<size_t>(root.slot)] = true;
  };
  for (size_t i = 0; i < plan_.steps.size(); ++i) {
    const Step& step = plan_.steps[i];
    for (ValueIndex v : step.inputs) {
      if (kernels_[i] == nullptr ? step.kind == StepKind::kHost : (v != kAbsent && kernels_[i]->reads(v)))
        keep(v);
    }
    for (ValueIndex v : step.captures) keep(v);
  }
  for (ValueIndex v : plan_.outputs) keep(v);
  for (size_t i = 0; i < read.size(); ++i) {
    if (!read[i]) {
      plan_.constants[i] = Datum();
    } else if (const Tensor* tensor = plan_.constants[i].tensor()) {
      constant_bytes_ += tensor->byte_size();
    }
  }
}

uint64_t PlanInstance::arena_lower_bound() const {
  return arena_bytes() - plan_.arena_bytes + plan_.arena_lower_bound;
}

uint64_t PlanInstance::arena_bytes() const {
  uint64_t bytes = plan_.arena_bytes;
  for (int32_t root : output_roots_) bytes += plan_.roots[static_cast<size_t>(root)].bytes;
  return bytes;
}

void PlanInstance::point_at_arena() {
  memory_.reserve(plan_.arena_bytes, workspace_bytes_);
  if (arena_ == memory_.arena.data() && arena_ != nullptr) return;
  arena_ = memory_.arena.data();
  for (size_t r = 0; r < plan_.roots.size(); ++r) {
    if (plan_.roots[r].storage != Storage::kArena) continue;
    for (ValueIndex v : by_root_[r]) {
      pointers_[static_cast<size_t>(v)] =
          memory_.arena.mutable_data() + plan_.roots[r].offset + plan_.value(v).offset;
    }
  }
}

void PlanInstance::point_at(std::span<const Datum> inputs) {
  point_at_arena();
  for (int32_t root : input_roots_) {
    const Tensor* const tensor =
        inputs[static_cast<size_t>(plan_.roots[static_cast<size_t>(root)].slot)].tensor();
    if (tensor == nullptr) continue;
    for (ValueIndex v : by_root_[static_cast<size_t>(root)]) {
      pointers_[static_cast<size_t>(v)] = const_cast<std::byte*>(tensor->data()) + plan_.value(v).offset;
    }
  }
  for (int32_t root : output_roots_) {
    const Root& output = plan_.roots[static_cast<size_t>(root)];
    std::shared_ptr<std::byte>& block = blocks_[static_cast<size_t>(output.slot)];
    if (block != nullptr && block.use_count() == 1) continue;
    block = allocate(output.bytes);
    for (ValueIndex v : by_root_[static_cast<size_t>(root)])
      pointers_[static_cast<size_t>(v)] = block.get() + plan_.value(v).offset;
  }
}

void PlanInstance::point_at_datum(int32_t slot, const Datum& datum) {
  const Tensor* const tensor = datum.tensor();
  for (ValueIndex v : by_root_[static_cast<size_t>(root_of_slot_[static_cast<size_t>(slot)])]) {
    pointers_[static_cast<size_t>(v)] =
        tensor == nullptr ? nullptr : const_cast<std::byte*>(tensor->data()) + plan_.value(v).offset;
  }
}

Datum PlanInstance::datum_of(ValueIndex index, std::span<const Datum> inputs) const {
  const PlanValue& value = plan_.value(index);
  const Root& root = plan_.root_of(index);
  std::shared_ptr<const void> owner;
  switch (root.storage) {
    case Storage::kConstant:
      if (value.constant >= 0) return plan_.constants[static_cast<size_t>(value.constant)];
      owner = std::make_shared<const Datum>(plan_.constants[static_cast<size_t>(root.slot)]);
      break;
    case Storage::kInput: {
      const Datum& input = inputs[static_cast<size_t>(root.slot)];
      if (!value.is_static) return input;
      owner = std::make_shared<const Datum>(input);
      break;
    }
    case Storage::kHost: {
      const Datum& datum = datums_[static_cast<size_t>(root.slot)];
      if (!value.is_static) return datum;
      owner = std::make_shared<const Datum>(datum);
      break;
    }
    case Storage::kOutput:
      owner = blocks_[static_cast<size_t>(root.slot)];
      break;
    case Storage::kArena:
      break;
  }
  return Tensor::borrow(value.dtype, value.dims, pointers_[static_cast<size_t>(index)], std::move(owner));
}

Result<void> PlanInstance::run_host(const Step& step, std::span<const Datum> inputs) {
  const Node& node = plan_.graph->node(step.node);
  std::vector<Datum> operands(step.inputs.size());
  std::vector<const Datum*> references(step.inputs.size(), nullptr);
  for (size_t i = 0; i < step.inputs.size(); ++i) {
    if (step.inputs[i] == kAbsent) continue;
    operands[i] = datum_of(step.inputs[i], inputs);
    references[i] = &operands[i];
  }
  std::map<ValueId, Datum> captured;
  for (ValueIndex v : step.captures) captured[plan_.value(v).id] = datum_of(v, inputs);
  const OuterValue outer = [&](ValueId id) -> const Datum* {
    const auto found = captured.find(id);
    return found == captured.end() ? nullptr : &found->second;
  };
  env_.prepared = &prepared_[static_cast<size_t>(&step - plan_.steps.data())];
  MTS_ASSIGN(std::vector<Datum> results, evaluate_on_host(node, references, env_, outer));
  const std::byte* const begin = memory_.arena.data();
  for (size_t i = 0; i < step.outputs.size() && i < results.size(); ++i) {
    if (step.outputs[i] == kAbsent) continue;
    const PlanValue& value = plan_.value(step.outputs[i]);
    const Tensor* const tensor = results[i].tensor();
    if (value.is_static &&
        (tensor == nullptr || tensor->dims() != value.dims || tensor->dtype() != value.dtype)) {
      return fail(ErrorCode::kInternal, "the shape of an output differs from the plan's",
                  {.file = {}, .node = node.label(), .value = value.name});
    }
    detach(results[i], begin, begin + memory_.arena.byte_size());
    const int32_t slot = plan_.root_of(step.outputs[i]).slot;
    datums_[static_cast<size_t>(slot)] = std::move(results[i]);
    point_at_datum(slot, datums_[static_cast<size_t>(slot)]);
  }
  return {};
}

Result<std::vector<Datum>> PlanInstance::run(std::span<const Datum> inputs) {
  point_at(inputs);
  const Pointers pointers{pointers_.data(), memory_.workspace.mutable_data()};
  using Clock = std::chrono::steady_clock;
  if (step_seconds_ != nullptr) step_seconds_->assign(plan_.steps.size(), 0);
  for (size_t i = 0; i < plan_.steps.size(); ++i) {
    const Clock::time_point start = step_seconds_ == nullptr ? Clock::time_point() : Clock::now();
    if (kernels_[i] != nullptr) {
      MTS_TRY(kernels_[i]->launch(pointers));
    } else if (plan_.steps[i].kind == StepKind::kHost) {
      MTS_TRY(run_host(plan_.steps[i], inputs));
    }
    if (step_seconds_ != nullptr)
      (*step_seconds_)[i] = std::chrono::duration<double>(Clock::now() - start).count();
  }
  std::vector<Datum> outputs;
  for (ValueIndex output : plan_.outputs) outputs.push_back(datum_of(output, inputs));
  return outputs;
}

}  // namespace mts::exec
