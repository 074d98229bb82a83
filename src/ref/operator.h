// What an operator of the reference evaluator looks like, and the table row that makes it known.
//
// How to add an operator:
//   1. Find the file of its family (unary.cpp, pool.cpp, ...).
//   2. Write `Outputs my_op(const Call& c)` in it: read inputs with c.in(i) / c.opt(i), attributes with
//   c.node, refuse
//      with `return c.bad("...")` (the model is wrong) or `return c.unsupported("...")` (we cannot do that).
//   3. Add one row to the constexpr table at the end of that file. `since` is the first opset in which this
//   function
//      is right, `until` the last (kLatest: still); `required` inputs are present and are tensors before the
//      function is called, unless kAny is among the traits. kWiden lets the function see float32 where the
//      model has float16 or bfloat16; kPacked lets it see one byte an element where the model has 4- or 2-bit
//      elements.
//   4. A new family also gets one line in operators.h and one in families() of evaluate.cpp.
#pragma once

#include "ref/evaluate.h"

#include <mts/error.h>
#include <mts/graph.h>
#include <mts/tensor.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mts::ref {

using Outputs = Result<std::vector<Datum>>;

// One evaluation of one node.
struct Call {
  const Node& node;
  std::span<const Datum* const> inputs;
  const Env& env;
  int64_t version;  // of the node's domain

  bool has(size_t i) const { return i < inputs.size() && inputs[i] != nullptr; }
  const Datum& datum(size_t i) const { return *inputs[i]; }          // requires has(i)
  const Tensor& in(size_t i) const { return *inputs[i]->tensor(); }  // requires has(i); a tensor
  const Tensor* opt(size_t i) const { return has(i) ? inputs[i]->tensor() : nullptr; }
  bool wants(size_t output) const { return output < node.outputs.size() && node.outputs[output] != kNoValue; }

  tl::unexpected<Error> bad(std::string message) const;          // kModel, names the node
  tl::unexpected<Error> unsupported(std::string message) const;  // kUnsupported, names the node
  tl::unexpected<Error> bad_dtype(const Tensor& tensor) const;   // kUnsupported, names the element type

  // An axis made non-negative; kModel when it is out of range.
  Result<size_t> axis(int64_t value, size_t rank) const;
  Result<std::vector<size_t>> axes(std::span<const int64_t> values,
                                   size_t rank) const;  // each, no duplicates
  // The content of an integer tensor.
  Result<std::vector<int64_t>> ints(const Tensor& tensor) const;
  Result<int64_t> scalar_int(const Tensor& tensor) const;  // exactly one element
  Result<double> scalar(const Tensor& tensor) const;       // exactly one numeric element
  // Attribute `name`, or from `since` on the input at `position`; nullopt when absent.
  Result<std::optional<std::vector<int64_t>>> ints_attribute_or_input(std::string_view name, size_t position,
                                                                      int64_t since) const;
  // Attributes of other kinds; empty when absent or of another kind.
  std::vector<float> floats(std::string_view name) const;
  std::vector<std::string> strings(std::string_view name) const;
  std::optional<Tensor> tensor_attribute(std::string_view name) const;
  // A tensor whose size the content of the model decides: refuses negative dimensions and absurd sizes.
  Result<Tensor> make(DType dtype, Dims dims) const;
  Result<void> check_dims(const Dims& dims) const;  // what make refuses
};

using Function = Outputs (*)(const Call&);

enum Trait : unsigned {
  kPlain = 0,
  kAny = 1,         // inputs may be sequences, maps and optionals
  kWiden = 2,       // float16 and bfloat16 inputs come as float32; float32 outputs go back
  kWidenFirst = 4,  // as kWiden, but only the first output goes back
  kPacked = 8,      // sub-byte inputs come as uint8, one element a byte; uint8 outputs go back
};

inline constexpr int64_t kLatest = 1 << 20;

struct Operator {
  std::string_view op_type;
  std::string_view domain;
  int64_t since;
  int64_t until;
  unsigned required;  // inputs
  unsigned traits;
  Function function;
};

inline std::vector<Datum> one(Tensor tensor) {
  std::vector<Datum> result;
  result.emplace_back(std::move(tensor));
  return result;
}

std::string to_string(const Dims& dims);  // "[2,3]"

}  // namespace mts::ref
