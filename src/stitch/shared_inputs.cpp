#include "stitch/shared_inputs.h"

#include <algorithm>
#include <optional>
#include <set>

namespace mts {
namespace {

tl::unexpected<Error> usage(const std::string& specification, const std::string& message) {
  return fail(ErrorCode::kUsage, "--share-input " + specification + ": " + message);
}

std::string names_of_inputs(const Model& model) {
  std::string names;
  for (const ValueId id : model.graph.inputs())
    names += (names.empty() ? "" : ", ") + model.graph.value(id).name;
  return names.empty() ? "none" : names;
}

std::optional<ValueId> find_input(const Model& model, const std::string& name) {
  for (const ValueId id : model.graph.inputs())
    if (model.graph.value(id).name == name) return id;
  return std::nullopt;
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  size_t begin = 0;
  for (size_t end; (end = text.find(separator, begin)) != std::string::npos; begin = end + 1)
    parts.push_back(text.substr(begin, end - begin));
  parts.push_back(text.substr(begin));
  return parts;
}

// "model:input". Both may hold colons: the longest model name that fits is meant.
Result<ValueRef> parse_member(const std::vector<Model>& models, const std::string& specification,
                              const std::string& text) {
  std::optional<uint32_t> best;
  for (uint32_t m = 0; m < models.size(); ++m) {
    const std::string prefix = models[m].name + ":";
    if (text.starts_with(prefix) && (!best || models[m].name.size() > models[*best].name.size())) best = m;
  }
  if (!best)
    return usage(specification, "\"" + text + "\" does not start with the name of a model and a colon");
  const std::string input = text.substr(models[*best].name.size() + 1);
  const auto id = find_input(models[*best], input);
  if (!id)
    return usage(specification, "model " + models[*best].name + " has no input \"" + input +
                                    "\"; its inputs: " + names_of_inputs(models[*best]));
  return ValueRef{*best, *id};
}

Result<SharedInput> parse(const std::vector<Model>& models, const std::string& specification) {
  SharedInput shared;
  const size_t equals = specification.find('=');
  // A name with '=' in it is taken as such when a model has an input of that name.
  bool plain = equals == std::string::npos;
  for (const Model& model : models) plain |= find_input(model, specification).has_value();
  if (plain) {
    shared.name = specification;
    for (uint32_t m = 0; m < models.size(); ++m)
      if (const auto id = find_input(models[m], specification)) shared.members.push_back({m, *id});
    if (shared.members.empty()) {
      std::string known;
      for (const Model& model : models) known += "\n  " + model.name + ": " + names_of_inputs(model);
      return usage(specification, "no model has an input of that name; inputs:" + known);
    }
    if (shared.members.size() == 1)
      return usage(specification,
                   "only model " + models[shared.members.front().model].name + " has an input of that name");
    return shared;
  }
  shared.name = specification.substr(0, equals);
  if (shared.name.empty()) return usage(specification, "the name before '=' is empty");
  for (const std::string& part : split(specification.substr(equals + 1), ',')) {
    MTS_ASSIGN(const ValueRef member, parse_member(models, specification, part));
    shared.members.push_back(member);
  }
  if (shared.members.size() < 2) return usage(specification, "it names one input only");
  return shared;
}

// Replaces a symbol in every type of the model.
void substitute(Graph& graph, const std::string& symbol, const Dim& replacement) {
  for (size_t i = 0; i < graph.value_count(); ++i) {
    Type& type = graph.value(static_cast<ValueId>(i)).type;
    if (!type.has_rank()) continue;
    for (Dim& dim : *type.shape)
      if (dim.is_symbolic() && dim.symbol == symbol) dim = replacement;
  }
  for (const NodeId id : graph.order())
    for (Graph* child : graph.node(id).subgraphs()) substitute(*child, symbol, replacement);
}

Result<void> intersect(std::vector<Model>& models, const SharedInput& shared,
                       const std::string& specification) {
  Type common = models[shared.members.front().model].graph.value(shared.members.front().value).type;
  for (const ValueRef& member : shared.members) {
    const Model& model = models[member.model];
    const Value& value = model.graph.value(member.value);
    const auto differs = [&](const std::string& what) {
      return usage(specification, what + ": " + to_string(common) + " and " + to_string(value.type) + " (" +
                                      model.name + ":" + value.name + ")");
    };
    if (value.type.kind != common.kind || value.type.dtype != common.dtype ||
        value.type.encoded != common.encoded)
      return differs("the types differ");
    if (!value.type.has_rank()) continue;
    if (!common.has_rank()) {
      common = value.type;
      continue;
    }
    if (value.type.rank() != common.rank()) return differs("the ranks differ");
    for (size_t axis = 0; axis < common.rank(); ++axis) {
      Dim& dim = (*common.shape)[axis];
      const Dim& other = (*value.type.shape)[axis];
      if (dim.is_known() && other.is_known() && dim.value != other.value)
        return differs("no shape fits both");
      if (!dim.is_known() && (other.is_known() || dim.symbol.empty())) dim = other;
    }
  }
  if (common.has_rank())
    for (size_t axis = 0; axis < common.rank(); ++axis)  // a size without a name is one size all the same
      if (Dim& dim = (*common.shape)[axis]; !dim.is_known() && dim.symbol.empty())
        dim.symbol = shared.name + "." + std::to_string(axis);
  for (const ValueRef& member : shared.members) {
    Graph& graph = models[member.model].graph;
    const Type old = graph.value(member.value).type;
    if (old.has_rank())
      for (size_t axis = 0; axis < old.rank(); ++axis)
        if ((*old.shape)[axis].is_symbolic())
          substitute(graph, (*old.shape)[axis].symbol, (*common.shape)[axis]);
    graph.value(member.value).type = common;
  }
  return {};
}

}  // namespace

Result<std::vector<SharedInput>> resolve_shared_inputs(std::vector<Model>& models,
                                                       const std::vector<std::string>& specifications) {
  std::vector<SharedInput> all;
  std::set<ValueRef> taken;
  std::set<std::string> names;
  for (const std::string& specification : specifications) {
    MTS_ASSIGN(SharedInput shared, parse(models, specification));
    if (!names.insert(shared.name).second) return usage(specification, "the name is given twice");
    for (const ValueRef& member : shared.members)
      if (!taken.insert(member).second)
        return usage(specification, "input " + models[member.model].name + ":" +
                                        models[member.model].graph.value(member.value).name +
                                        " is shared twice");
    MTS_TRY(intersect(models, shared, specification));
    all.push_back(std::move(shared));
  }
  return all;
}

}  // namespace mts
