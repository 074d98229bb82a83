#include "exec/uses.h"

namespace mts::exec {

Uses uses_of(const ExecPlan& plan) {
  Uses uses{std::vector<int32_t>(plan.values.size(), -1),
            std::vector<std::vector<int32_t>>(plan.values.size())};
  const auto at = [](ValueIndex v) { return static_cast<size_t>(v); };
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    const Step& step = plan.steps[i];
    for (const std::vector<ValueIndex>* list : {&step.inputs, &step.captures}) {
      for (ValueIndex v : *list) {
        if (v != kAbsent) uses.readers[at(v)].push_back(static_cast<int32_t>(i));
      }
    }
    for (ValueIndex v : step.outputs) {
      if (v != kAbsent) uses.producer[at(v)] = static_cast<int32_t>(i);
    }
  }
  for (ValueIndex v : plan.outputs) uses.readers[at(v)].push_back(-1);
  return uses;
}

}  // namespace mts::exec
