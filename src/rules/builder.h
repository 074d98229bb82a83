// Adds nodes to the fused graph. Knows shapes as Extents, so that reshapes with symbolic sizes come out as
// constants wherever that is possible.
#pragma once

#include "rules/placement.h"

#include <mts/graph.h>

#include <initializer_list>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mts {

class Builder {
 public:
  Builder(Graph& graph, int64_t opset) : graph_(graph), opset_(opset) {}

  Graph& graph() { return graph_; }
  int64_t opset() const { return opset_; }
  // Written as `mts.origin` to every node made from here on; `stem` starts the names of new nodes and values.
  void set_origin(std::string origin, std::string stem);

  ValueId constant(WeightPtr weight);  // one value per content, dtype and dims
  ValueId ints(std::vector<int64_t> values) { return constant(Weight::int64s(values)); }

  std::vector<ValueId> nodes(Node prototype, std::vector<ValueId> inputs, const std::vector<Type>& outputs);
  ValueId node(std::string op_type, std::vector<ValueId> inputs, std::vector<Attribute> attributes,
               Type output);
  // A node like `original`: operator, domain and attributes, not its operands, names or metadata.
  static Node like(const Node& original);

  // `value` has sizes `from`; requires can_reshape(from, to). Nothing is added when they are equal. Constants
  // are reshaped offline.
  ValueId reshape(ValueId value, const Extents& from, const Extents& to);
  ValueId transpose(ValueId value, const std::vector<int64_t>& permutation, Type output);
  // Inserts axes of size 1 at `axes` (positions in the output, ascending).
  ValueId unsqueeze(ValueId value, std::vector<int64_t> axes);
  ValueId squeeze(ValueId value, std::vector<int64_t> axes);
  // Constants are put together offline unless `at_run_time`.
  ValueId concat(std::vector<ValueId> values, int64_t axis, Type output, bool at_run_time = false);
  ValueId slice(ValueId value, int64_t axis, int64_t start, int64_t end, Type output);
  std::vector<ValueId> split(ValueId value, int64_t axis, const std::vector<int64_t>& sizes,
                             const std::vector<Type>& outputs);
  // Sizes given by a tensor.
  std::vector<ValueId> split(ValueId value, int64_t axis, ValueId sizes, const std::vector<Type>& outputs);
  // [1]: a dimension of a graph input by its symbol; kNoValue when no input has it.
  ValueId size_of(const std::string& symbol);
  // Parts of equal, possibly unknown size.
  std::vector<ValueId> split_equally(ValueId value, int64_t axis, const std::vector<Type>& outputs);

 private:
  std::string fresh_name(std::string_view what);
  ValueId computed_shape(ValueId value, const Extents& from, const Extents& to);

  Graph& graph_;
  int64_t opset_;
  std::string origin_, stem_;
  std::map<std::string, ValueId> sizes_;
  uint64_t next_name_ = 0;
  std::map<std::pair<Digest, Dims>, ValueId> constants_;
};

}  // namespace mts
