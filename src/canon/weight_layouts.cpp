#include "canon/weight_layouts.h"

#include "canon/scope.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <string>
#include <tuple>

namespace mts::canon {
namespace {

constexpr size_t kDiagonal = 16;  // elements that a transposition leaves in place

struct Stored {
  size_t model;
  ValueId value;
  WeightPtr weight;
};

// dtype, the two dims in ascending order, the first elements of the diagonal: equal for a matrix and its
// transpose.
using Key = std::tuple<DType, int64_t, int64_t, std::string>;

std::string diagonal_of(const Weight& weight) {
  const auto element = static_cast<size_t>(bit_width(weight.dtype())) / 8;
  const auto rows = static_cast<size_t>(weight.dims()[0]), columns = static_cast<size_t>(weight.dims()[1]);
  std::string buffer;
  auto bytes = weight.bytes();
  if (bytes.empty()) {
    buffer.resize(weight.byte_size());
    weight.read(std::span(reinterpret_cast<std::byte*>(buffer.data()), buffer.size()));
    bytes = std::as_bytes(std::span(buffer));
  }
  std::string diagonal;
  for (size_t i = 0; i < std::min({rows, columns, kDiagonal}); ++i)
    diagonal.append(reinterpret_cast<const char*>(bytes.data()) + (i * columns + i) * element, element);
  return diagonal;
}

bool is_flexible(const Graph& graph, const Use& use) {
  return use.input == 1 && graph.node(use.node).is("Gemm");
}

struct Demand {
  size_t pinned = 0;   // uses that need this layout
  size_t matmuls = 0;  // of those, MatMuls, which could read a Transpose
  size_t flexible = 0;
};

Demand demand_of(const Graph& graph, ValueId id) {
  Demand demand;
  for (const Use& use : graph.uses(id)) {
    if (is_flexible(graph, use)) {
      ++demand.flexible;
      continue;
    }
    ++demand.pinned;
    if (use.input == 1 && graph.node(use.node).is("MatMul")) ++demand.matmuls;
  }
  if (graph.is_output(id)) ++demand.pinned;
  return demand;
}

// Stores `from` transposed and adapts its uses. Precondition: they are Gemms and MatMuls.
void turn(const Scope& scope, ValueId from, const WeightPtr& weight) {
  Graph& graph = scope.graph();
  const Type old_type = graph.value(from).type;
  transpose_in_place(graph, from);
  graph.value(from).weight = weight;  // the same content: one object for all models
  ValueId back = kNoValue;
  const std::vector<Use> uses = graph.uses(from);
  for (const Use& use : uses) {
    Node& node = graph.node(use.node);
    if (!is_flexible(graph, use)) {
      if (back == kNoValue)
        back = scope.insert(graph.order().front(),
                            make_node("Transpose", {from}, {}, {{"perm", std::vector<int64_t>{1, 0}, {}}}),
                            graph.value(from).name + "_back", old_type);
      graph.set_input(use.node, static_cast<size_t>(use.input), back);
    } else if (node.int_or("transB", 0) == 0) {
      node.set("transB", int64_t{1});
    } else {
      node.remove("transB");
    }
  }
}

// One content in two layouts: `one` and `other` hold the values of each.
bool settle(std::vector<Model>& models, const std::vector<Stored>& one, const std::vector<Stored>& other) {
  const auto total = [&](const std::vector<Stored>& side) {
    Demand sum;
    for (const Stored& s : side) {
      const Demand d = demand_of(models[s.model].graph, s.value);
      sum.pinned += d.pinned;
      sum.matmuls += d.matmuls;
      sum.flexible += d.flexible;
    }
    return sum;
  };
  const Demand a = total(one), b = total(other);
  // The side that is turned must consist of Gemms and MatMuls; rather of Gemms alone; rather the smaller one.
  const bool one_can = a.pinned == a.matmuls, other_can = b.pinned == b.matmuls;
  if (!one_can && !other_can) return false;
  bool turn_other = other_can;
  if (one_can && other_can) turn_other = std::tuple(b.pinned, b.flexible) <= std::tuple(a.pinned, a.flexible);
  const auto& turned = turn_other ? other : one;
  const WeightPtr kept = (turn_other ? one : other).front().weight;
  for (const Stored& s : turned) {
    Graph& graph = models[s.model].graph;
    Names names(graph);
    turn(Scope(graph, nullptr, kNoNode, names), s.value, kept);
  }
  return true;
}

}  // namespace

Result<bool> unify_weight_layouts(std::vector<Model>& models) {
  std::map<Key, std::vector<Stored>> groups;
  for (size_t m = 0; m < models.size(); ++m) {
    const Graph& graph = models[m].graph;
    for (size_t i = 0; i < graph.value_count(); ++i) {
      const auto id = static_cast<ValueId>(i);
      const WeightPtr& weight = graph.value(id).weight;
      if (weight == nullptr || weight->dims().size() != 2 || bit_width(weight->dtype()) < 16 ||
          !is_float(weight->dtype()) || weight->dims()[0] < 2 || weight->dims()[1] < 2)
        continue;
      const auto [least, most] = std::minmax(weight->dims()[0], weight->dims()[1]);
      groups[{weight->dtype(), least, most, diagonal_of(*weight)}].push_back({m, id, weight});
    }
  }
  bool changed = false;
  for (const auto& [key, members] : groups) {
    if (members.size() < 2) continue;
    // By content as it is stored; dims tell apart what has the same bytes in another shape.
    std::map<std::pair<Dims, Digest>, std::vector<Stored>> layouts;
    for (const Stored& s : members) layouts[{s.weight->dims(), s.weight->digest()}].push_back(s);
    while (layouts.size() >= 2) {
      const auto first = layouts.begin();
      const WeightPtr sample = first->second.front().weight;
      const WeightPtr turned = Weight::transpose(sample, {1, 0});
      const auto other = layouts.find({turned->dims(), turned->digest()});
      if (other != layouts.end() && other != first && turned->same_content(*other->second.front().weight)) {
        changed |= settle(models, first->second, other->second);
        layouts.erase(other);
      }
      layouts.erase(first);
    }
  }
  if (changed)
    for (Model& model : models) MTS_TRY(model.graph.sort());
  return changed;
}

}  // namespace mts::canon
