// Unambiguous byte strings for operators, so that "the same operator" is string equality and needs no trust
// in a hash.
//
// in:  a node, the terms of its operands and of weights in attributes
// out: a term; equal terms <=> same domain, type, opset, attributes (in any order), structurally equal
// bodies, operands
//      and outputs
//
// Bodies (If, Loop, Scan) are compared up to names and node order: a body's value is the term that computes
// it, a body input is (nesting level, position), a capture is the term of the outer value.
#pragma once

#include <mts/graph.h>

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace mts::share {

// Equal strings, equal ids. Ids are dense, in order of first occurrence.
class Interner {
 public:
  uint32_t id(std::string_view text);
  size_t size() const { return ids_.size(); }

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const;
  };
  std::unordered_map<std::string, uint32_t, Hash, std::equal_to<>> ids_;
};

// A growing key. Every field is a number or carries its length.
class Key {
 public:
  explicit Key(char kind) { text_.push_back(kind); }
  Key& number(uint64_t value);
  Key& text(std::string_view value);
  operator std::string_view() const { return text_; }  // NOLINT: a key is its text

 private:
  std::string text_;
};

// In place of the term of an absent optional operand.
inline constexpr uint32_t kAbsent = 0xffffffffU;

class OperatorEncoder {
 public:
  // The term of a weight in an attribute or a body: says what of it is to be equal (its content, or only its
  // form).
  using WeightTerm = std::function<uint32_t(const WeightPtr&)>;
  using ValueTerm = std::function<uint32_t(ValueId)>;
  OperatorEncoder(Interner& terms, WeightTerm weight_term)
      : terms_(terms), weight_term_(std::move(weight_term)) {}

  // `operands`: one term an input, kAbsent where there is none. `outer`: terms of the values that bodies
  // capture.
  uint32_t encode(const Model& model, const Node& node, std::span<const uint32_t> operands,
                  const ValueTerm& outer) {
    return encode(model, node, operands, outer, 0);
  }

 private:
  uint32_t encode(const Model& model, const Node& node, std::span<const uint32_t> operands,
                  const ValueTerm& outer, uint64_t level);
  uint32_t encode_body(const Model& model, const Graph& body, const ValueTerm& outer, uint64_t level);
  void encode_attribute(const Model& model, const Attribute& attribute, const ValueTerm& outer,
                        uint64_t level, Key& key);

  Interner& terms_;
  WeightTerm weight_term_;
};

}  // namespace mts::share
