// Questions about the operator schemas that ONNX defines, for those who cannot see its registry.
#pragma once

#include <mts/graph.h>

#include <optional>
#include <string>

namespace mts::onnxio {

// The version of the domain ("" = ai.onnx) in which the operator's schema that holds at `opset` appeared;
// also for deprecated operators. 0 when the domain or the operator is not known there.
int since_version(const std::string& op_type, const std::string& domain, int64_t opset);

// The schema's default of an attribute; nullopt when the attribute has none, or is not a number, a string or
// a list of those.
std::optional<AttributeValue> default_attribute(const std::string& op_type, const std::string& domain,
                                                int64_t opset, const std::string& attribute);

// What is wrong with the number of inputs and outputs of a node, or with a required input that is absent;
// empty when nothing is, or when the operator is not known.
std::string arity_problem(const Node& node, int64_t opset);

}  // namespace mts::onnxio
