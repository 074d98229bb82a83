#include "check/pairing.h"

#include <utility>

namespace mts::check {
namespace {

size_t position_of(const Graph& graph, const std::vector<ValueId>& values, const std::string& name) {
  size_t at = 0;
  while (at < values.size() && graph.value(values[at]).name != name) ++at;
  return at;
}

// What an original knows about an input may be missing from the fused model's declaration.
Type merge(Type type, const Type& other) {
  if (!type.has_rank()) return type.is_tensor() && other.has_rank() ? other : type;
  if (!other.has_rank() || other.rank() != type.rank()) return type;
  for (size_t axis = 0; axis < type.rank(); ++axis) {
    Dim& dim = (*type.shape)[axis];
    const Dim& theirs = (*other.shape)[axis];
    if (!dim.is_known() && (theirs.is_known() || !dim.is_symbolic())) dim = theirs;
  }
  return type;
}

}  // namespace

Result<Pairing> Pairing::create(const Model& fused, const std::vector<Model>& originals) {
  Pairing pairing;
  pairing.fused_ = &fused;
  pairing.originals_ = &originals;
  MTS_ASSIGN(pairing.entries_, match(fused, originals));
  return pairing;
}

std::vector<InputSpec> Pairing::specs() const {
  std::vector<InputSpec> specs;
  const Graph& own = fused_->graph;
  for (const ValueId input : own.inputs()) {
    const Value& value = own.value(input);
    InputSpec spec{value.name, {}, value.type, usage_of(own, input)};
    for (size_t m = 0; m < originals_->size(); ++m) {
      const Graph& graph = (*originals_)[m].graph;
      for (const ValueId theirs : graph.inputs()) {
        if (entries_[m].inputs.at(graph.value(theirs).name) != value.name) continue;
        spec.aliases.push_back(graph.value(theirs).name);
        spec.type = merge(std::move(spec.type), graph.value(theirs).type);
        spec.usage = intersect(spec.usage, usage_of(graph, theirs));
      }
    }
    specs.push_back(std::move(spec));
  }
  return specs;
}

std::vector<Datum> Pairing::inputs_of(size_t original, const std::vector<Datum>& fused) const {
  std::vector<Datum> own;
  const Graph& graph = (*originals_)[original].graph;
  for (const ValueId input : graph.inputs()) {
    const std::string& mapped = entries_[original].inputs.at(graph.value(input).name);
    own.push_back(fused[position_of(fused_->graph, fused_->graph.inputs(), mapped)]);
  }
  return own;
}

const std::string& Pairing::fused_output(size_t original, size_t position) const {
  const Graph& graph = (*originals_)[original].graph;
  return entries_[original].outputs.at(graph.value(graph.outputs()[position]).name);
}

size_t Pairing::fused_position(const std::string& output) const {
  return position_of(fused_->graph, fused_->graph.outputs(), output);
}

}  // namespace mts::check
