#include <mts/graph.h>

#include <algorithm>

namespace mts {
namespace {

template <class T>
T value_or(const Node& node, std::string_view name, T fallback) {
  const Attribute* attribute = node.find(name);
  if (attribute == nullptr) return fallback;
  const T* value = std::get_if<T>(&attribute->value);
  return value == nullptr ? fallback : *value;
}

}  // namespace

Node make_node(std::string op_type, std::vector<ValueId> inputs, std::vector<ValueId> outputs,
               std::vector<Attribute> attributes) {
  Node node;
  node.op_type = std::move(op_type);
  node.inputs = std::move(inputs);
  node.outputs = std::move(outputs);
  node.attributes = std::move(attributes);
  return node;
}

const Attribute* Node::find(std::string_view attribute) const {
  const auto it = std::ranges::find(attributes, attribute, &Attribute::name);
  return it == attributes.end() ? nullptr : &*it;
}

int64_t Node::int_or(std::string_view attribute, int64_t fallback) const {
  return value_or(*this, attribute, fallback);
}
float Node::float_or(std::string_view attribute, float fallback) const {
  return value_or(*this, attribute, fallback);
}
std::string Node::string_or(std::string_view attribute, std::string fallback) const {
  return value_or(*this, attribute, std::move(fallback));
}
std::vector<int64_t> Node::ints_or(std::string_view attribute, std::vector<int64_t> fallback) const {
  return value_or(*this, attribute, std::move(fallback));
}

void Node::set(std::string attribute, AttributeValue value) {
  const auto it = std::ranges::find(attributes, attribute, &Attribute::name);
  if (it != attributes.end()) {
    it->value = std::move(value);
  } else {
    attributes.push_back({std::move(attribute), std::move(value), {}});
  }
}

void Node::remove(std::string_view attribute) {
  std::erase_if(attributes, [attribute](const Attribute& a) { return a.name == attribute; });
}

std::vector<Graph*> Node::subgraphs() const {
  std::vector<Graph*> graphs;
  for (const Attribute& attribute : attributes) {
    if (const auto* one = std::get_if<std::shared_ptr<Graph>>(&attribute.value)) graphs.push_back(one->get());
    if (const auto* many = std::get_if<std::vector<std::shared_ptr<Graph>>>(&attribute.value))
      for (const auto& graph : *many) graphs.push_back(graph.get());
  }
  return graphs;
}

std::string Node::label() const {
  const std::string type = domain.empty() ? op_type : domain + "::" + op_type;
  return name.empty() ? type : name + " (" + type + ")";
}

}  // namespace mts
