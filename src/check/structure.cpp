#include "check/structure.h"

#include "check/stored.h"

#include <mts/model_io.h>

#include <algorithm>
#include <set>

#include <fmt/format.h>

namespace mts::check {
namespace {

using Structural = VerifyReport::Structural;

// A constant that no input holds in this shape and that is not larger than this was generated (shapes, ones,
// zero biases).
constexpr uint64_t kGenerated = 1024;

Structural check_onnx(const Model& fused) {
  Structural result{.check = "onnx checker"};
  if (fused.path.empty()) {
    result.enforced = false;
    result.detail = "not made: the model has no file";
    return result;
  }
  const Result<void> checked = check_file(fused.path);
  result.passed = checked.has_value();
  if (!checked) result.detail = checked.error().message;
  return result;
}

Structural check_weights(const Model& fused, const std::vector<Model>& originals) {
  Structural result{.check = "no duplicated weight"};
  const std::string* const duplicates = find_metadata(fused.metadata, "mts.duplicates");
  result.enforced = duplicates == nullptr || *duplicates != "allowed";

  Contents unique;
  for (const Model& original : originals) unique.merge(contents_of(stored_in(original.graph)));
  std::map<Digest, std::set<Dims>> shapes;  // in which content is stored
  uint64_t stored_bytes = 0;
  uint64_t generated_bytes = 0;
  std::vector<std::string> repeated;
  uint64_t repeated_bytes = 0;
  for (const Stored& each : stored_in(fused.graph)) {
    if (!is_weight(each.dtype)) continue;
    std::set<Dims>& seen = shapes[each.digest];
    const bool again = !seen.empty();
    // One small content in two shapes (a scalar and a vector of one element) cannot be one initializer.
    const bool fresh = seen.insert(each.dims).second;
    const bool generated = each.bytes <= kGenerated && (!unique.contains(each.digest) || (again && fresh));
    (generated ? generated_bytes : stored_bytes) += each.bytes;
    if (!again || generated) continue;
    repeated_bytes += each.bytes;
    if (repeated.size() < 3) repeated.push_back(each.name);
  }
  const uint64_t unique_bytes = total(unique);
  result.passed = stored_bytes <= unique_bytes && repeated.empty();
  result.detail = fmt::format("{} bytes stored, {} unique in the originals", stored_bytes, unique_bytes);
  if (generated_bytes > 0) result.detail += fmt::format(", {} generated", generated_bytes);
  if (!repeated.empty()) {
    result.detail += fmt::format("; {} bytes stored again: {}", repeated_bytes, fmt::join(repeated, ", "));
  }
  return result;
}

void collect_domains(const Graph& graph, std::set<std::string>& domains) {
  for (const NodeId id : graph.order()) {
    domains.insert(graph.node(id).domain);
    for (const Graph* child : graph.node(id).subgraphs()) collect_domains(*child, domains);
  }
}

Structural check_domains(const Model& fused, const std::vector<Model>& originals) {
  Structural result{.check = "standard domains"};
  std::set<std::string> allowed = {""};
  for (const Model& original : originals) {
    collect_domains(original.graph, allowed);
    for (const auto& [domain, version] : original.opsets) allowed.insert(domain);
  }
  std::set<std::string> used;
  collect_domains(fused.graph, used);
  for (const auto& [domain, version] : fused.opsets) used.insert(domain);
  std::vector<std::string> strange;
  std::ranges::set_difference(used, allowed, std::back_inserter(strange));
  result.passed = strange.empty();
  if (!strange.empty()) result.detail = fmt::format("not in any original: {}", fmt::join(strange, ", "));
  return result;
}

std::vector<std::string> names_in_order(const Graph& graph, const std::vector<ValueId>& values) {
  std::vector<std::string> names;
  for (const ValueId value : values) names.push_back(graph.value(value).name);
  return names;
}

// The first place where two lists of names differ, in words; empty when they are equal.
std::string first_difference(const std::vector<std::string>& actual,
                             const std::vector<std::string>& expected) {
  for (size_t i = 0; i < std::max(actual.size(), expected.size()); ++i) {
    if (i >= actual.size()) return fmt::format("'{}' is missing", expected[i]);
    if (i >= expected.size()) return fmt::format("'{}' belongs to no original", actual[i]);
    if (actual[i] != expected[i])
      return fmt::format("'{}' instead of '{}' at place {}", actual[i], expected[i], i);
  }
  return {};
}

Structural check_names(const Model& fused, const std::vector<Model>& originals,
                       const std::vector<ModelEntry>& entries) {
  Structural result{.check = "names and order"};
  std::map<std::string, int> readers;  // of a fused input
  for (const ModelEntry& entry : entries) {
    for (const auto& [original, name] : entry.inputs) ++readers[name];
  }
  std::vector<std::string> problems;
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  std::vector<size_t> order(entries.size());
  for (size_t m = 0; m < entries.size(); ++m) order[m] = m;
  std::ranges::sort(order, {}, [&](size_t m) { return entries[m].position; });
  for (const size_t m : order) {
    const Graph& graph = originals[m].graph;
    for (const std::string& name : names_in_order(graph, graph.inputs())) {
      const std::string& mapped = entries[m].inputs.at(name);
      if (mapped != fmt::format("{}/{}", entries[m].name, name) && readers[mapped] < 2) {
        problems.push_back(fmt::format("input '{}' of '{}' is called '{}'", name, entries[m].name, mapped));
      }
      if (std::ranges::find(inputs, mapped) == inputs.end()) inputs.push_back(mapped);
    }
    for (const std::string& name : names_in_order(graph, graph.outputs())) {
      const std::string& mapped = entries[m].outputs.at(name);
      if (mapped != fmt::format("{}/{}", entries[m].name, name)) {
        problems.push_back(fmt::format("output '{}' of '{}' is called '{}'", name, entries[m].name, mapped));
      }
      outputs.push_back(mapped);
    }
  }
  for (const auto& [kind, actual, expected] :
       {std::tuple("inputs", names_in_order(fused.graph, fused.graph.inputs()), inputs),
        std::tuple("outputs", names_in_order(fused.graph, fused.graph.outputs()), outputs)}) {
    const std::string difference = first_difference(actual, expected);
    if (!difference.empty()) problems.push_back(fmt::format("{}: {}", kind, difference));
  }
  result.passed = problems.empty();
  result.detail = fmt::format(
      "{}", fmt::join(problems.begin(), problems.begin() + std::min<std::ptrdiff_t>(3, std::ssize(problems)),
                      "; "));
  return result;
}

// What is known of the original's type must be known of the fused one's, and be the same. `input_symbols`:
// what may stand for a number that an original declares of its output, though the size follows its inputs.
bool covers(const Type& fused, const Type& original, const std::set<std::string>& input_symbols) {
  if (fused.kind != original.kind || fused.dtype != original.dtype || fused.encoded != original.encoded)
    return false;
  if (!original.has_rank()) return true;
  if (!fused.has_rank() || fused.rank() != original.rank()) return false;
  for (size_t axis = 0; axis < original.rank(); ++axis) {
    const Dim& dim = (*original.shape)[axis];
    const Dim& other = (*fused.shape)[axis];
    if (dim.is_known() && other != dim && !(other.is_symbolic() && input_symbols.contains(other.symbol)))
      return false;
  }
  return true;
}

std::vector<Model> with_inferred_types(const std::vector<Model>& originals) {
  std::vector<Model> models;
  for (const Model& original : originals) models.push_back(original.clone());
  for (Model& model : models) {
    for (const ValueId value : model.graph.outputs()) {
      Type& type = model.graph.value(value).type;
      if (type.is_tensor()) type.shape.reset();
    }
    (void)infer_types(model);  // what it cannot know stays open
  }
  return models;
}

Structural check_types(const Model& fused, const std::vector<Model>& originals,
                       const std::vector<ModelEntry>& entries) {
  Structural result{.check = "types and shapes"};
  std::map<std::string, const Type*> types;
  for (const auto* values : {&fused.graph.inputs(), &fused.graph.outputs()}) {
    for (const ValueId value : *values) types[fused.graph.value(value).name] = &fused.graph.value(value).type;
  }
  std::vector<std::string> problems;
  const std::set<std::string> none;
  std::set<std::string> symbols;
  for (const ValueId value : fused.graph.inputs()) {
    const Type& type = fused.graph.value(value).type;
    for (size_t axis = 0; type.has_rank() && axis < type.rank(); ++axis)
      if ((*type.shape)[axis].is_symbolic()) symbols.insert((*type.shape)[axis].symbol);
  }
  std::vector<Model> inferred;  // the originals, once they are needed
  const auto check = [&](const Value& original, const std::string& mapped, bool output) {
    const Type& type = *types.at(mapped);
    if (covers(type, original.type, output ? symbols : none)) return;
    problems.push_back(
        fmt::format("'{}' is {}, the original's {}", mapped, to_string(type), to_string(original.type)));
  };
  std::map<std::string, std::vector<const Type*>> sources;  // of each fused input
  for (size_t m = 0; m < originals.size(); ++m) {
    const Graph& graph = originals[m].graph;
    for (const ValueId value : graph.inputs()) {
      const std::string& mapped = entries[m].inputs.at(graph.value(value).name);
      check(graph.value(value), mapped, false);
      sources[mapped].push_back(&graph.value(value).type);
    }
    for (const ValueId value : graph.outputs()) {
      const std::string& mapped = entries[m].outputs.at(graph.value(value).name);
      const Type& declared = graph.value(value).type;
      const Type& made = *types.at(mapped);
      if (declared.has_rank() && made.has_rank() && made.rank() != declared.rank()) {
        // Some exporters declare a rank that is not the operator's.
        if (inferred.empty()) inferred = with_inferred_types(originals);
        check(inferred[m].graph.value(value), mapped, true);
        continue;
      }
      check(graph.value(value), mapped, true);
    }
  }
  // An input must not ask for more than its originals do.
  for (const auto& [name, originals_types] : sources) {
    const Type& type = *types.at(name);
    for (size_t axis = 0; type.has_rank() && axis < type.rank(); ++axis) {
      if (!(*type.shape)[axis].is_known()) continue;
      const bool known = std::ranges::any_of(originals_types, [&](const Type* original) {
        return original->has_rank() && axis < original->rank() && (*original->shape)[axis].is_known();
      });
      if (!known) problems.push_back(fmt::format("dimension {} of '{}' is not dynamic any more", axis, name));
    }
  }
  result.passed = problems.empty();
  result.detail = fmt::format(
      "{}", fmt::join(problems.begin(), problems.begin() + std::min<std::ptrdiff_t>(3, std::ssize(problems)),
                      "; "));
  return result;
}

Structural check_origins(const Model& fused) {
  Structural result{.check = "origin of nodes"};
  result.enforced = find_metadata(fused.metadata, "mts.models") != nullptr;
  int64_t without = 0;
  std::string example;
  for (const NodeId id : fused.graph.order()) {
    const Node& node = fused.graph.node(id);
    if (find_metadata(node.metadata, "mts.origin") != nullptr) continue;
    if (without++ == 0) example = node.label();
  }
  result.passed = without == 0;
  if (without > 0)
    result.detail = fmt::format("{} nodes do not say where they come from: {}", without, example);
  return result;
}

Structural check_files(const std::vector<Model>& originals, const std::vector<ModelEntry>& entries) {
  Structural result{.check = "originals' files", .passed = true, .enforced = false};
  std::vector<std::string> other;
  for (size_t m = 0; m < originals.size(); ++m) {
    if (entries[m].sha256.empty() || entries[m].given_sha256.empty()) continue;
    if (entries[m].given_sha256 != entries[m].sha256) other.push_back(originals[m].path);
  }
  result.passed = other.empty();
  if (!other.empty()) result.detail = fmt::format("not what was stitched: {}", fmt::join(other, ", "));
  return result;
}

}  // namespace

std::vector<Structural> check_structure(const Model& fused, const std::vector<Model>& originals,
                                        const std::vector<ModelEntry>& entries) {
  return {check_onnx(fused),
          check_weights(fused, originals),
          check_domains(fused, originals),
          check_names(fused, originals, entries),
          check_types(fused, originals, entries),
          check_origins(fused),
          check_files(originals, entries)};
}

}  // namespace mts::check
