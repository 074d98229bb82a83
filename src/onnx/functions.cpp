#include "onnx/functions.h"

#include "onnx/limits.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include <onnx/checker.h>
#include <onnx/inliner/inliner.h>
#include <onnx/onnx_pb.h>

namespace mts::onnxio {
namespace {

using onnx::FunctionProto;
using onnx::ModelProto;
using onnx::NodeProto;
using FunctionKey = std::tuple<std::string, std::string, std::string>;  // domain, name, overload
using Nodes = google::protobuf::RepeatedPtrField<NodeProto>;

std::string normal(const std::string& domain) { return domain == "ai.onnx" ? std::string() : domain; }
FunctionKey key_of(const FunctionProto& f) { return {normal(f.domain()), f.name(), f.overload()}; }
FunctionKey key_of(const NodeProto& n) { return {normal(n.domain()), n.op_type(), n.overload()}; }
std::string label(const FunctionProto& f) {
  return (f.domain().empty() ? std::string() : f.domain() + "::") + f.name() +
         (f.overload().empty() ? std::string() : ":" + f.overload());
}

template <class Visit>
void for_each_node(const Nodes& nodes, const Visit& visit) {
  for (const NodeProto& node : nodes) {
    visit(node);
    for (const auto& attribute : node.attribute()) {
      for_each_node(attribute.g().node(), visit);
      for (const auto& graph : attribute.graphs()) for_each_node(graph.node(), visit);
    }
  }
}

// How many nodes a function becomes, its calls expanded; saturates. Calls must not be recursive.
class Sizes {
 public:
  explicit Sizes(const ModelProto& model) {
    for (const auto& function : model.functions()) functions_[key_of(function)] = &function;
  }
  uint64_t of(const Nodes& nodes) {
    uint64_t total = 0;
    for_each_node(nodes, [&](const NodeProto& node) {
      const auto it = functions_.find(key_of(node));
      total = std::min(kMaxInlinedNodes + 1, total + (it == functions_.end() ? 1 : of(*it->second)));
    });
    return total;
  }

 private:
  uint64_t of(const FunctionProto& function) {
    if (const auto it = sizes_.find(&function); it != sizes_.end()) return it->second;
    const uint64_t size = of(function.node());
    return sizes_[&function] = size;
  }

  std::map<FunctionKey, const FunctionProto*> functions_;
  std::map<const FunctionProto*, uint64_t> sizes_;
};

std::set<std::string> function_domains(const ModelProto& model) {
  std::set<std::string> domains;
  for (const auto& function : model.functions()) domains.insert(normal(function.domain()));
  return domains;
}

// The inliner looks domains up by their spelling; what functions import must be imported by the model
// afterwards.
Result<void> unite_imports(ModelProto& model, const std::string& file) {
  std::map<std::string, int64_t> imports;
  for (auto& import : *model.mutable_opset_import()) {
    import.set_domain(normal(import.domain()));
    imports[import.domain()] = import.version();
  }
  const std::set<std::string> own =
      function_domains(model);  // their versions say nothing once they are inlined
  for (auto& function : *model.mutable_functions())
    for (auto& import : *function.mutable_opset_import()) {
      import.set_domain(normal(import.domain()));
      const auto [it, fresh] = imports.try_emplace(import.domain(), import.version());
      if (fresh) {
        *model.add_opset_import() = import;
      } else if (it->second != import.version() && !import.domain().empty()) {
        if (own.contains(import.domain())) {
          import.set_version(it->second);
          continue;
        }
        return fail(ErrorCode::kModel,
                    "the function needs version " + std::to_string(import.version()) +
                        " of the operator set '" + import.domain() + "', the model uses version " +
                        std::to_string(it->second),
                    {.file = file, .node = label(function), .value = {}});
      }
    }
  return {};
}

Result<void> check_calls(const ModelProto& model, const std::string& file) {
  std::map<FunctionKey, const FunctionProto*> functions;
  for (const auto& function : model.functions())
    if (!functions.emplace(key_of(function), &function).second)
      return fail(ErrorCode::kModel, "two functions have this name",
                  {.file = file, .node = label(function), .value = {}});
  Result<void> result;
  const auto check = [&](const NodeProto& node) {
    const auto it = functions.find(key_of(node));
    if (it == functions.end() || !result) return;
    if (node.input_size() > it->second->input_size() || node.output_size() > it->second->output_size())
      result =
          fail(ErrorCode::kModel, "a call has more inputs or outputs than the function " + label(*it->second),
               {.file = file, .node = node.name() + " (" + node.op_type() + ")", .value = {}});
  };
  for_each_node(model.graph().node(), check);
  for (const auto& function : model.functions()) for_each_node(function.node(), check);
  return result;
}

// Imports that only served the calls say nothing any more.
void drop_imports(ModelProto& model, std::set<std::string> domains) {
  domains.erase(std::string());
  for_each_node(model.graph().node(), [&](const NodeProto& node) { domains.erase(normal(node.domain())); });
  auto& imports = *model.mutable_opset_import();
  imports.erase(std::remove_if(imports.begin(), imports.end(),
                               [&](const auto& import) { return domains.contains(import.domain()); }),
                imports.end());
}

}  // namespace

Result<void> inline_functions(ModelProto& model, const std::string& file) {
  if (model.functions_size() == 0) return {};
  const auto refuse = [&file](const std::string& message) {
    return fail(ErrorCode::kModel, message, {.file = file, .node = {}, .value = {}});
  };
  const std::set<std::string> domains = function_domains(model);
  MTS_TRY(unite_imports(model, file));
  MTS_TRY(check_calls(model, file));
  try {
    onnx::checker::check_function_call_cycles(model);
    if (Sizes(model).of(model.graph().node()) > kMaxInlinedNodes)
      return refuse("its local functions expand to more than " + std::to_string(kMaxInlinedNodes) + " nodes");
    onnx::inliner::InlineLocalFunctions(model, true);
  } catch (const std::exception& error) {
    return refuse(std::string("its local functions cannot be inlined: ") + error.what());
  }
  if (model.functions_size() > 0)
    return refuse("the local function " + label(model.functions(0)) + " cannot be inlined");
  drop_imports(model, domains);
  return {};
}

}  // namespace mts::onnxio
