#include "onnx/schema.h"

#include <limits>

#include <onnx/defs/schema.h>

namespace mts::onnxio {
namespace {

const onnx::OpSchema* find_schema(const std::string& op_type, const std::string& domain, int64_t opset) {
  if (opset < 1 || opset > std::numeric_limits<int>::max()) return nullptr;
  return onnx::OpSchemaRegistry::Schema(op_type, static_cast<int>(opset), domain);
}

}  // namespace

int since_version(const std::string& op_type, const std::string& domain, int64_t opset) {
  const onnx::OpSchema* schema = find_schema(op_type, domain, opset);
  return schema == nullptr ? 0 : schema->since_version();
}

std::optional<AttributeValue> default_attribute(const std::string& op_type, const std::string& domain,
                                                int64_t opset, const std::string& attribute) {
  const onnx::OpSchema* schema = find_schema(op_type, domain, opset);
  if (schema == nullptr) return std::nullopt;
  const auto it = schema->attributes().find(attribute);
  if (it == schema->attributes().end() || it->second.required) return std::nullopt;
  const onnx::AttributeProto& value = it->second.default_value;
  switch (value.type()) {
    case onnx::AttributeProto::INT:
      return AttributeValue(static_cast<int64_t>(value.i()));
    case onnx::AttributeProto::FLOAT:
      return AttributeValue(value.f());
    case onnx::AttributeProto::STRING:
      return AttributeValue(value.s());
    case onnx::AttributeProto::INTS:
      return AttributeValue(std::vector<int64_t>(value.ints().begin(), value.ints().end()));
    case onnx::AttributeProto::FLOATS:
      return AttributeValue(std::vector<float>(value.floats().begin(), value.floats().end()));
    case onnx::AttributeProto::STRINGS:
      return AttributeValue(std::vector<std::string>(value.strings().begin(), value.strings().end()));
    default:
      return std::nullopt;
  }
}

std::string arity_problem(const Node& node, int64_t opset) {
  const onnx::OpSchema* schema = find_schema(node.op_type, node.domain, opset);
  if (schema == nullptr) return {};
  const auto check = [](const char* what, size_t count, int least, int most) -> std::string {
    if (count >= static_cast<size_t>(least) && count <= static_cast<size_t>(most)) return {};
    std::string wanted = "at least " + std::to_string(least);
    if (most == least) wanted = std::to_string(least);
    if (count > static_cast<size_t>(most)) wanted = "at most " + std::to_string(most);
    return "it has " + std::to_string(count) + " " + what + ", the operator wants " + wanted;
  };
  if (auto problem = check("inputs", node.inputs.size(), schema->min_input(), schema->max_input());
      !problem.empty())
    return problem;
  if (auto problem = check("outputs", node.outputs.size(), schema->min_output(), schema->max_output());
      !problem.empty())
    return problem;
  // Resize-11 calls its roi required, yet all exporters leave it out.
  for (size_t i = 0; i < schema->inputs().size() && i < node.inputs.size(); ++i)
    if (schema->inputs()[i].GetOption() == onnx::OpSchema::Single && node.inputs[i] == kNoValue &&
        node.op_type != "Resize")
      return "its input " + schema->inputs()[i].GetName() + " is absent";
  return {};
}

}  // namespace mts::onnxio
