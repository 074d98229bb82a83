#include "exec/plan.h"

#include "exec/geometry.h"

#include <fmt/format.h>

namespace mts::exec {
namespace {

std::string_view name_of(Storage storage) {
  switch (storage) {
    case Storage::kArena:
      return "arena";
    case Storage::kInput:
      return "input";
    case Storage::kConstant:
      return "constant";
    case Storage::kOutput:
      return "output";
    case Storage::kHost:
      return "host";
  }
  return "?";
}

std::string_view name_of(StepKind kind) {
  switch (kind) {
    case StepKind::kKernel:
      return "kernel";
    case StepKind::kView:
      return "view";
    case StepKind::kReorder:
      return "reorder";
    case StepKind::kHost:
      return "host";
  }
  return "?";
}

std::string describe(const ExecPlan& plan, ValueIndex index) {
  if (index == kAbsent) return "-";
  const PlanValue& value = plan.value(index);
  std::string text = value.name;
  if (!value.is_static) return text + ":?";
  text += fmt::format(":{}{}", mts::name_of(value.dtype), to_string(value.dims));
  if (value.layout != 0) text += " " + plan.layouts[static_cast<size_t>(value.layout)];
  if (value.root < 0) return text;
  const Root& root = plan.roots[static_cast<size_t>(value.root)];
  if (root.storage == Storage::kArena) return text + fmt::format(" @{}", root.offset + value.offset);
  text += fmt::format(" {}{}", name_of(root.storage), root.slot);
  return value.offset == 0 ? text : text + fmt::format("+{}", value.offset);
}

std::string describe(const ExecPlan& plan, const std::vector<ValueIndex>& values) {
  std::string text;
  for (ValueIndex value : values) text += (text.empty() ? "" : ", ") + describe(plan, value);
  return text;
}

}  // namespace

std::string label_of(const ExecPlan& plan, const Step& step) {
  return step.nodes.empty() ? step.op : step.op + " " + plan.graph->node(step.nodes.front()).name;
}

std::string to_string(const ExecPlan& plan) {
  std::string text;
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    const Step& step = plan.steps[i];
    text += fmt::format("{:>4} {:<7} {}", i, name_of(step.kind), step.op);
    if (!step.program.code.empty()) text += " {" + step.program.to_string() + "}";
    text += "\n       in:  " + describe(plan, step.inputs) + "\n       out: " + describe(plan, step.outputs) +
            "\n";
  }
  uint64_t output_bytes = 0;
  for (const Root& root : plan.roots) output_bytes += root.storage == Storage::kOutput ? root.bytes : 0;
  return text + fmt::format("arena {} B, outputs {} B\n", plan.arena_bytes, output_bytes);
}

}  // namespace mts::exec
