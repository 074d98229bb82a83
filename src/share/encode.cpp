#include "share/encode.h"

#include <algorithm>
#include <bit>
#include <type_traits>

#include <xxhash.h>

namespace mts::share {

size_t Interner::Hash::operator()(std::string_view text) const {
  return XXH3_64bits(text.data(), text.size());
}

uint32_t Interner::id(std::string_view text) {
  const auto it = ids_.find(text);
  if (it != ids_.end()) return it->second;
  return ids_.emplace(std::string(text), static_cast<uint32_t>(ids_.size())).first->second;
}

Key& Key::number(uint64_t value) {
  // 7 bits a byte, the last one below 128: short, and no encoding is the beginning of another.
  for (; value >= 0x80; value >>= 7) text_.push_back(static_cast<char>((value & 0x7f) | 0x80));
  text_.push_back(static_cast<char>(value));
  return *this;
}

Key& Key::text(std::string_view value) {
  number(value.size());
  text_.append(value);
  return *this;
}

void OperatorEncoder::encode_attribute(const Model& model, const Attribute& attribute, const ValueTerm& outer,
                                       uint64_t level, Key& key) {
  key.text(attribute.name).number(attribute.value.index());
  const auto one = [&](const auto& value) {
    using T = std::decay_t<decltype(value)>;
    if constexpr (std::is_same_v<T, int64_t>) {
      key.number(static_cast<uint64_t>(value));
    } else if constexpr (std::is_same_v<T, float>) {
      key.number(std::bit_cast<uint32_t>(value));  // bitwise: -0 is not 0, a NaN equals itself
    } else if constexpr (std::is_same_v<T, std::string>) {
      key.text(value);
    } else if constexpr (std::is_same_v<T, WeightPtr>) {
      key.number(weight_term_(value));
    } else if constexpr (std::is_same_v<T, std::shared_ptr<Graph>>) {
      key.number(encode_body(model, *value, outer, level + 1));
    } else {
      key.text(value.attribute_proto);
    }
  };
  std::visit(
      [&](const auto& value) {
        if constexpr (requires { value.begin(); } &&
                      !std::is_same_v<std::decay_t<decltype(value)>, std::string>) {
          key.number(value.size());
          for (const auto& element : value) one(element);
        } else {
          one(value);
        }
      },
      attribute.value);
}

uint32_t OperatorEncoder::encode_body(const Model& model, const Graph& body, const ValueTerm& outer,
                                      uint64_t level) {
  std::vector<uint32_t> terms(body.value_count(), kAbsent);
  const ValueTerm term_of = [&](ValueId id) -> uint32_t {
    if (id == kNoValue) return kAbsent;
    uint32_t& term = terms[index(id)];
    const WeightPtr& weight = body.value(id).weight;
    if (term == kAbsent && weight != nullptr) term = weight_term_(weight);
    return term;
  };
  for (size_t i = 0; i < body.inputs().size(); ++i)
    terms[index(body.inputs()[i])] = terms_.id(Key('P').number(level).number(i));
  for (const Capture& capture : body.captures()) terms[index(capture.inner)] = outer(capture.outer);
  std::vector<uint32_t> operands;
  for (const NodeId id : body.order()) {
    const Node& node = body.node(id);
    operands.clear();
    for (const ValueId input : node.inputs) operands.push_back(term_of(input));
    const uint32_t term = encode(model, node, operands, term_of, level);
    for (size_t i = 0; i < node.outputs.size(); ++i)
      if (node.outputs[i] != kNoValue)
        terms[index(node.outputs[i])] = terms_.id(Key('V').number(term).number(i));
  }
  Key key('B');
  key.number(body.inputs().size()).number(body.outputs().size());
  for (const ValueId id : body.outputs()) key.number(term_of(id));
  return terms_.id(key);
}

uint32_t OperatorEncoder::encode(const Model& model, const Node& node, std::span<const uint32_t> operands,
                                 const ValueTerm& outer, uint64_t level) {
  const auto opset = model.opsets.find(node.domain);
  Key key('N');
  key.text(node.domain).text(node.op_type).text(node.overload).text(node.extra);
  key.number(opset == model.opsets.end() ? 0 : static_cast<uint64_t>(opset->second));

  std::vector<const Attribute*> attributes;
  for (const Attribute& attribute : node.attributes) attributes.push_back(&attribute);
  std::ranges::sort(attributes, {}, [](const Attribute* a) -> const std::string& { return a->name; });
  key.number(attributes.size());
  for (const Attribute* attribute : attributes) encode_attribute(model, *attribute, outer, level, key);

  // Trailing absent operands and outputs are the same as none.
  size_t inputs = operands.size();
  while (inputs > 0 && operands[inputs - 1] == kAbsent) --inputs;
  key.number(inputs);
  for (size_t i = 0; i < inputs; ++i) key.number(operands[i]);
  size_t outputs = node.outputs.size();
  while (outputs > 0 && node.outputs[outputs - 1] == kNoValue) --outputs;
  key.number(outputs);
  for (size_t i = 0; i < outputs; ++i) key.number(node.outputs[i] == kNoValue ? 0 : 1);
  return terms_.id(key);
}

}  // namespace mts::share
