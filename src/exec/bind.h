// Binding: what is known of each value of a graph once the inputs' types and dims are given.
//
// In: a graph in topological order and the dtype and dims of each input.
// Out: one Fact a value: its content (constants, and everything computed from constants and shapes), or its
// dtype and dims, or nothing (dims that depend on data: NonZero, If, Loop, sequences, and all that follows
// from them). Constants and shape arithmetic are evaluated with the reference evaluator. Where no shape
// function exists and the operator's output dims cannot depend on data, they are learnt by one evaluation on
// zeros. Errors: those of the evaluator (kUnsupported names the node), and kModel for inputs that do not fit
// each other.
#pragma once

#include <mts/error.h>
#include <mts/graph.h>
#include <mts/tensor.h>

#include <memory>
#include <span>
#include <vector>

namespace mts::exec {

struct Fact {
  enum class Kind : uint8_t {
    kUnknown,  // a value at run time without static dims (or not a tensor)
    kShaped,   // dtype and dims are known
    kContent,  // content is known; dtype and dims too when it is a tensor
  };
  Kind kind = Kind::kUnknown;
  DType dtype = DType::kUndefined;
  Dims dims;
  std::shared_ptr<const Datum> content;

  static Fact unknown() { return {}; }
  static Fact shaped(DType dtype, Dims dims) { return Fact{Kind::kShaped, dtype, std::move(dims), nullptr}; }
  static Fact of(Datum datum);

  bool is_shaped() const { return kind != Kind::kUnknown && dtype != DType::kUndefined; }
  bool is_content() const { return kind == Kind::kContent; }
  const Tensor* tensor() const { return content ? content->tensor() : nullptr; }
};

struct InputType {
  DType dtype = DType::kUndefined;  // kUndefined: not a tensor
  Dims dims;
  bool operator==(const InputType&) const = default;
};

struct Binding {
  std::vector<Fact> facts;  // by ValueId
};

Result<Binding> bind(const Model& model, std::span<const InputType> inputs);

// Shape function of one operator: fills `outputs` (one a declared output) and returns true, or returns false
// when it has none for this node (or needs content that is not known). Dims that do not fit are an error.
Result<bool> infer_dims(const Node& node, std::span<const Fact* const> inputs, std::vector<Fact>& outputs);

// Whether the dims of the node's outputs follow from the dims of its inputs and the content that is known.
bool has_static_dims(const Node& node, std::span<const Fact* const> inputs);

// Whether two evaluations may differ (random operators): never folded.
bool is_random(const Node& node);

}  // namespace mts::exec
