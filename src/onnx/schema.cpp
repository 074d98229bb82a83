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

}  // namespace mts::onnxio
