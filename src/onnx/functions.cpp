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

bool has_attribute(const NodeProto& node, const std::string& name) {
  return std::ranges::any_of(node.attribute(), [&name](const auto& a) { return a.name() == name; });
}
bool has_default(const FunctionProto& function, const std::string& attribute) {
  return std::ranges::any_of(function.attribute_proto(),
                             [&](const auto& a) { return a.name() == attribute; });
}

// Checks one call, and gives it the default values of the attributes that it leaves out, which ONNX's inliner
// does not. `caller` is the function that the call is in, or null.
Result<void> complete_call(NodeProto& node, const FunctionProto& callee, const FunctionProto* caller,
                           const std::string& file) {
  const auto refuse = [&](const std::string& message) {
    return fail(ErrorCode::kModel, message,
                {.file = file, .node = node.name() + " (" + node.op_type() + ")", .value = {}});
  };
  if (node.input_size() > callee.input_size() || node.output_size() > callee.output_size())
    return refuse("a call has more inputs or outputs than the function " + label(callee));
  for (const auto& attribute : node.attribute()) {
    const std::string& reference = attribute.ref_attr_name();
    if (!reference.empty() && caller != nullptr && has_default(callee, attribute.name()) &&
        !has_default(*caller, reference))
      return refuse("it is not known whether the call has the attribute " + attribute.name() +
                    " or takes its default value, which mts does not support");
  }
  for (const auto& value : callee.attribute_proto())
    if (!has_attribute(node, value.name())) *node.add_attribute() = value;
  return {};
}

Result<void> complete_calls(Nodes& nodes, const std::map<FunctionKey, const FunctionProto*>& functions,
                            const FunctionProto* caller, const std::string& file) {
  for (NodeProto& node : nodes) {
    if (const auto it = functions.find(key_of(node)); it != functions.end())
      MTS_TRY(complete_call(node, *it->second, caller, file));
    for (auto& attribute : *node.mutable_attribute()) {
      if (attribute.has_g())
        MTS_TRY(complete_calls(*attribute.mutable_g()->mutable_node(), functions, caller, file));
      for (auto& graph : *attribute.mutable_graphs())
        MTS_TRY(complete_calls(*graph.mutable_node(), functions, caller, file));
    }
  }
  return {};
}

Result<void> complete_calls(ModelProto& model, const std::string& file) {
  std::map<FunctionKey, const FunctionProto*> functions;
  for (const auto& function : model.functions())
    if (!functions.emplace(key_of(function), &function).second)
      return fail(ErrorCode::kModel, "two functions have this name",
                  {.file = file, .node = label(function), .value = {}});
  MTS_TRY(complete_calls(*model.mutable_graph()->mutable_node(), functions, nullptr, file));
  for (auto& function : *model.mutable_functions())
    MTS_TRY(complete_calls(*function.mutable_node(), functions, &function, file));
  return {};
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
  MTS_TRY(complete_calls(model, file));
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
