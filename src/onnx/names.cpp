#include "onnx/names.h"

namespace mts::onnxio {

std::vector<ValueId> used_constants(const Graph& graph) {
  const std::unordered_set<uint32_t> outputs = [&] {
    std::unordered_set<uint32_t> ids;
    for (const ValueId id : graph.outputs()) ids.insert(static_cast<uint32_t>(id));
    return ids;
  }();
  std::vector<ValueId> constants;
  for (uint32_t i = 0; i < graph.value_count(); ++i) {
    const auto id = static_cast<ValueId>(i);
    if (graph.value(id).is_constant() && (!graph.uses(id).empty() || outputs.contains(i)))
      constants.push_back(id);
  }
  return constants;
}

std::vector<ValueId> written_values(const Graph& graph) {
  std::vector<ValueId> values = graph.inputs();
  for (const Capture& capture : graph.captures()) values.push_back(capture.inner);
  const std::vector<ValueId> constants = used_constants(graph);
  values.insert(values.end(), constants.begin(), constants.end());
  for (const NodeId id : graph.order())
    for (const ValueId output : graph.node(id).outputs)
      if (output != kNoValue) values.push_back(output);
  return values;
}

bool Names::is_taken(const std::string& name) const {
  for (const Names* scope = this; scope != nullptr; scope = scope->outer_)
    if (scope->taken_.contains(name)) return true;
  return false;
}

bool Names::claim(ValueId id, const std::string& wish) {
  if (wish.empty() || is_taken_outside(wish) || !taken_.insert(wish).second) return false;
  names_[index(id)] = wish;
  return true;
}

void Names::invent(ValueId id, std::string_view base) {
  const std::string stem = std::string(base) + "_";
  uint32_t& number = next_[stem];
  while (!claim(id, stem + std::to_string(number))) ++number;
}

Result<Names> Names::assign(const Graph& graph, const Names* outer) {
  Names names(graph, outer);
  const auto done = [&](ValueId id) { return !names.names_[index(id)].empty(); };
  for (const Capture& capture : graph.captures()) {
    names.names_[index(capture.inner)] = outer->of(capture.outer);
    names.taken_.insert(outer->of(capture.outer));
  }
  const auto claim_interface = [&](ValueId id, const char* what) -> Result<void> {
    if (done(id) || names.claim(id, graph.value(id).name) || outer != nullptr) return {};
    return fail(ErrorCode::kInternal, std::string("a graph ") + what + " has no name of its own",
                {.file = {}, .node = {}, .value = graph.value(id).name});
  };
  for (const ValueId id : graph.inputs()) MTS_TRY(claim_interface(id, "input"));
  for (const ValueId id : graph.outputs()) MTS_TRY(claim_interface(id, "output"));
  const std::vector<ValueId> values = written_values(graph);
  for (const ValueId id : values)
    if (!done(id)) names.claim(id, graph.value(id).name);
  // Only now is it known which names are free.
  for (const ValueId id : values) {
    if (done(id)) continue;
    const Value& value = graph.value(id);
    names.invent(id, !value.name.empty()         ? value.name
                     : value.producer == kNoNode ? std::string("value")
                                                 : graph.node(value.producer).op_type);
  }
  return names;
}

}  // namespace mts::onnxio
