// merge-equal-constants: constants of the same dtype, dims and bytes become one.
//
// before:  w1 = {1, 2}, w2 = {1, 2}; y = Add(x, w1); z = Mul(y, w2)
// after:   w1 = {1, 2};              y = Add(x, w1); z = Mul(y, w1)
// Preconditions: constants are in the top graph (constants-to-initializers). Equal digests are confirmed
// bytewise. A constant that is itself a graph output keeps its name. Cost: the bytes of constants of equal
// type are read once.
#include "canon/passes.h"
#include "canon/scope.h"

#include <map>
#include <tuple>
#include <vector>

namespace mts::canon {

Result<bool> merge_equal_constants(Model& model) {
  Graph& graph = model.graph;
  std::map<std::pair<DType, Dims>, std::vector<ValueId>> by_type;
  for (size_t i = 0; i < graph.value_count(); ++i) {
    const Value& value = graph.value(static_cast<ValueId>(i));
    if (value.is_constant())
      by_type[{value.weight->dtype(), value.weight->dims()}].push_back(static_cast<ValueId>(i));
  }
  bool changed = false;
  for (const auto& [type, values] : by_type) {
    if (values.size() < 2) continue;
    std::map<Digest, std::vector<ValueId>> by_digest;
    for (const ValueId id : values) {
      auto& same = by_digest[graph.value(id).weight->digest()];
      bool merged = false;
      for (const ValueId kept : same) {
        if (graph.is_output(id) || !graph.value(id).weight->same_content(*graph.value(kept).weight)) continue;
        graph.replace_uses(id, kept);
        graph.value(id).weight = nullptr;
        merged = changed = true;
        break;
      }
      if (!merged) same.push_back(id);
    }
  }
  return changed;
}

}  // namespace mts::canon
