// What is known of shapes and of shape tensors, as polynomials over the model's symbols.
//
// In: a graph whose values have the types that shape inference could give (pass "infer-types").
// Out: the sizes of a value's dimensions, and the elements of integer tensors computed from them (chains of
// Shape, Gather, Slice, Concat, arithmetic, ...). Unknown dimensions are atoms of their own, so that a
// value's shape is equal to itself. Facts stay true while passes replace values by equal ones. Cost: one walk
// over the graph.
#pragma once

#include "canon/scope.h"
#include "canon/size.h"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace mts::canon {

// An integer or bool tensor of rank 0 or 1.
struct ShapeTensor {
  std::vector<Size> elements;
  bool scalar = false;

  // All elements known.
  std::optional<std::vector<int64_t>> constants() const;
};

class ShapeValues {
 public:
  static constexpr size_t kMaxElements = 128;

  explicit ShapeValues(const Scope& scope);

  // Sizes of the dimensions; nullopt when the rank is not known.
  std::optional<std::vector<Size>> dims(ValueId id) const;
  // Elements of an integer tensor; nullopt when nothing is known of them.
  std::optional<ShapeTensor> content(ValueId id) const;
  // Whether a size is a polynomial over the symbols of the graph's inputs: known for every call, whatever the
  // file declares.
  bool follows_inputs(const Size& size) const { return size.is_over(input_symbols_); }

 private:
  void visit(const Node& node);
  std::optional<ShapeTensor> evaluate(const Node& node) const;
  std::optional<ShapeTensor> input(const Node& node, size_t position) const;
  std::optional<std::vector<Size>> infer_dims(const Node& node) const;
  std::optional<std::vector<Size>> sliced_dims(const Node& node, std::vector<Size> data) const;
  std::optional<std::vector<int64_t>> axes_of(const Node& node, size_t position) const;

  const Scope& scope_;
  std::set<std::string> input_symbols_;
  std::vector<std::optional<ShapeTensor>> contents_;    // by value, made by nodes
  std::map<std::string, Size> expressions_;             // sizes that infer-types wrote into the types
  std::vector<std::optional<std::vector<Size>>> dims_;  // by value, where more is known than the type says
};

// The sizes that `Reshape(data, target)` gives, target's 0 and -1 resolved; nullopt when the target is not
// known.
std::optional<std::vector<Size>> reshaped_dims(const ShapeTensor& target,
                                               const std::optional<std::vector<Size>>& data, bool allow_zero);
// The constant Reshape target that turns `from` into `to`: copied (0), known and at most one inferred (-1)
// dimensions; nullopt when two dimensions would have to be inferred.
std::optional<std::vector<int64_t>> reshape_target(const std::vector<Size>& from,
                                                   const std::vector<Size>& to);
Size product_of(const std::vector<Size>& sizes);

}  // namespace mts::canon
