#include "canon/opset.h"

#include "canon/adapters.h"
#include "canon/passes.h"
#include "canon/scope.h"
#include "onnx/schema.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string>

namespace mts::canon {
namespace {

void collect_domains(const Graph& graph, std::set<std::string>& domains) {
  for (const NodeId id : graph.order()) {
    domains.insert(graph.node(id).domain);
    for (const Graph* child : graph.node(id).subgraphs()) collect_domains(*child, domains);
  }
}

// The IR version with which an ai.onnx opset was released.
int64_t ir_version_of(int64_t opset) {
  static constexpr std::array<std::pair<int64_t, int64_t>, 12> kReleases = {{{28, 14},
                                                                             {25, 13},
                                                                             {24, 12},
                                                                             {23, 11},
                                                                             {21, 10},
                                                                             {19, 9},
                                                                             {15, 8},
                                                                             {12, 7},
                                                                             {11, 6},
                                                                             {10, 5},
                                                                             {9, 4},
                                                                             {0, 4}}};
  for (const auto& [since, ir] : kReleases)
    if (opset >= since) return ir;
  return 4;
}

std::string domain_name(const std::string& domain) { return domain.empty() ? "ai.onnx" : domain; }

// One step of a domain's version for all nodes of the model.
Result<void> step(Model& model, const std::string& domain, int64_t from, int64_t version, int64_t goal) {
  std::map<std::string, Change> changes;  // by operator; only those whose schema changed in this step
  const auto convert = [&](Scope& scope) -> Result<bool> {
    bool changed = false;
    const std::vector<NodeId> order = scope.graph().order();
    for (const NodeId id : order) {
      const Node& node = scope.graph().node(id);
      if (node.domain != domain) continue;
      auto it = changes.find(node.op_type);
      if (it == changes.end()) {
        const bool differs = onnxio::since_version(node.op_type, domain, version) == version &&
                             onnxio::since_version(node.op_type, domain, version - 1) != 0;
        it = changes
                 .emplace(node.op_type,
                          differs ? change_of(node.op_type, domain, static_cast<int>(version)) : Change{true})
                 .first;
      }
      const std::string label = node.label();
      const auto refuse = [&](const std::string& why) {
        return fail(ErrorCode::kModel,
                    "cannot be converted from version " + std::to_string(from) + " of " +
                        domain_name(domain) + " to version " + std::to_string(goal) +
                        ", which the other models use: " + why,
                    {.file = model.path.empty() ? model.name : model.path, .node = label, .value = {}});
      };
      if (!it->second.known) return refuse("the operator changed in version " + std::to_string(version));
      if (it->second.adapter == nullptr) continue;
      if (auto adapted = it->second.adapter(scope, id); !adapted) return refuse(adapted.error().message);
      changed = true;
    }
    if (changed) MTS_TRY(scope.graph().sort());
    return changed;
  };
  MTS_TRY(for_each_graph(model, convert));
  return {};
}

}  // namespace

Result<void> raise_opset(Model& model, const std::string& domain, int64_t version) {
  const auto import = model.opsets.find(domain);
  if (import == model.opsets.end() || import->second >= version) return {};
  const bool understood = domain.empty() || domain == "ai.onnx.ml";
  if (!understood) {
    std::set<std::string> used;
    collect_domains(model.graph, used);
    if (used.contains(domain))
      return fail(ErrorCode::kModel,
                  "the model uses version " + std::to_string(import->second) + " of the domain " + domain +
                      ", another model version " + std::to_string(version) +
                      ", and mts does not know how they differ",
                  {.file = model.path.empty() ? model.name : model.path, .node = {}, .value = {}});
  }
  const int64_t from = import->second;
  if (domain.empty()) MTS_TRY(infer_value_types(model));  // some adapters ask for ranks
  for (int64_t v = from + 1; understood && v <= version; ++v) MTS_TRY(step(model, domain, from, v, version));
  import->second = version;
  return {};
}

Result<void> unify_opsets(std::vector<Model>& models) {
  std::map<std::string, int64_t> highest;
  int64_t ir_version = 4;
  for (Model& model : models) {
    std::set<std::string> used;
    collect_domains(model.graph, used);
    std::erase_if(model.opsets,
                  [&](const auto& import) { return !import.first.empty() && !used.contains(import.first); });
    for (const auto& [domain, version] : model.opsets) highest[domain] = std::max(highest[domain], version);
    ir_version = std::max(ir_version, model.ir_version);
  }
  highest[""] = std::max(highest[""], kLowestOpset);
  ir_version = std::max(ir_version, ir_version_of(highest[""]));
  for (Model& model : models) {
    model.opsets.try_emplace("", highest[""]);
    for (const auto& [domain, version] : highest) MTS_TRY(raise_opset(model, domain, version));
    model.ir_version = ir_version;
  }
  return {};
}

}  // namespace mts::canon
