// fold-constants: what is computed from constants alone becomes a constant, where the file does not grow.
//
// before:  wt = Transpose(w); y = MatMul(x, wt)            half = Div(one, two); z = Mul(x, half)
// after:   y = MatMul(x, wt') with wt' a lazy transpose    z = Mul(x, half') with half' = 0.5
// - Rearrangements of weights (Transpose, Reshape, Slice, Concat, Split, ...) fold into lazy weights if the
// large (> 1 KB)
//   results that are needed have no more bytes than the large constants that nothing else needs. So the
//   Transpose of a tied embedding, which a Gather reads too, stays at run time; the repacking of LSTM weights
//   folds.
// - Everything else is evaluated when its result is at most 1 KB. Larger results stay at run time: W + B A or
// W * g would
//   give other bytes than the W that other models share.
// Preconditions: static result types. Refusals: random operators, Quantize/DequantizeLinear (the quantised
// weight is what is stored), operators that the reference evaluator lacks, results that are graph outputs.
#include "canon/constant_value.h"
#include "canon/passes.h"
#include "canon/scope.h"

#include <algorithm>
#include <map>
#include <set>

namespace mts::canon {
namespace {

constexpr size_t kSmall = 1024;  // bytes; contract 3 of the design

bool is_small(const Type& type) {
  const auto dims = static_dims(type);
  if (!dims || type.dtype == DType::kUndefined) return false;
  if (type.dtype == DType::kString) return element_count(*dims) <= 16;
  return byte_size(type.dtype, element_count(*dims)) <= kSmall;
}

class Folding {
 public:
  Folding(Scope& scope, const Model& model) : scope_(scope), graph_(scope.graph()), model_(model) {}

  bool run() {
    for (const NodeId id : graph_.order()) compute(id);
    std::vector<ValueId> folded;
    for (const auto& [value, weight] : results_)
      if (is_needed(value) && (weight->byte_size() <= kSmall || pays(value))) folded.push_back(value);
    for (const ValueId value : folded)
      scope_.forward(value, scope_.add_constant(graph_.value(value).name + "_folded", results_.at(value)));
    return !folded.empty();
  }

 private:
  WeightPtr operand(ValueId id) const {
    const auto it = results_.find(id);
    return it != results_.end() ? it->second : scope_.weight(id);
  }

  void compute(NodeId id) {
    const Node& node = graph_.node(id);
    if (!is_pure(node) || !node.domain.empty() || node.inputs.empty() || node.is("QuantizeLinear") ||
        node.is("DequantizeLinear") || node.is("DynamicQuantizeLinear"))
      return;
    std::vector<WeightPtr> operands;
    for (const ValueId input : node.inputs) {
      operands.push_back(input == kNoValue ? nullptr : operand(input));
      if (input != kNoValue && operands.back() == nullptr) return;
    }
    auto values = rearranged(node, operands);
    if (!values) {
      for (const ValueId output : node.outputs)
        if (output != kNoValue && !is_small(graph_.value(output).type)) return;
      values = evaluated(node, operands, model_);
    }
    if (!values || values->size() < node.outputs.size()) return;
    for (size_t i = 0; i < node.outputs.size(); ++i)
      if (node.outputs[i] != kNoValue && (*values)[i] == nullptr) return;
    constant_nodes_.insert(id);
    for (size_t i = 0; i < node.outputs.size(); ++i)
      if (node.outputs[i] != kNoValue) results_[node.outputs[i]] = (*values)[i];
    // The bytes of a rearrangement are those of its data operands.
    if (!is_rearrangement(node)) return;
    const size_t data = node.is("Concat") ? node.inputs.size() : 1;
    for (size_t i = 0; i < data; ++i) join(node.inputs[i], id);
  }

  // Read by something that is not folded itself. What only is a graph output stays.
  bool is_needed(ValueId value) const {
    return std::ranges::any_of(graph_.uses(value), [&](const Use& use) {
      return use.input < 0 || !constant_nodes_.contains(use.node);
    });
  }

  // Values that hang together through rearrangements are one group: folded together or not at all.
  ValueId root(ValueId id) const {
    for (auto it = leader_.find(id); it != leader_.end() && it->second != id; it = leader_.find(id))
      id = it->second;
    return id;
  }
  void join(ValueId input, NodeId node) {
    leader_.try_emplace(input, input);
    for (const ValueId output : graph_.node(node).outputs) {
      if (output == kNoValue) continue;
      leader_.try_emplace(output, output);
      leader_[root(output)] = root(input);
    }
  }

  // No use outside of the folded nodes, seen from the graph that owns the constant.
  bool is_released(const Scope& scope, ValueId id) const {
    const Graph& graph = scope.graph();
    if (graph.is_output(id)) return false;
    const bool here = &graph == &graph_;
    if (here) {
      if (is_needed(id)) return false;
    } else if (graph.uses(id).size() != 1) {
      return false;
    }
    if (graph.value(id).weight != nullptr) return true;
    const auto capture = std::ranges::find(graph.captures(), id, &Capture::inner);
    return capture != graph.captures().end() && scope.parent() != nullptr &&
           is_released(*scope.parent(), capture->outer);
  }

  bool pays(ValueId value) {
    const ValueId group = root(value);
    const auto known = pays_.find(group);
    if (known != pays_.end()) return known->second;
    size_t before = 0, after = 0;
    for (const auto& [member, leader] : leader_) {
      if (root(member) != group) continue;
      const auto result = results_.find(member);
      if (result == results_.end()) {
        if (is_released(scope_, member)) before += scope_.weight(member)->byte_size();
      } else if (result->second->byte_size() > kSmall && (is_needed(member) || graph_.is_output(member))) {
        after += result->second->byte_size();
      }
    }
    return pays_[group] = after <= before;
  }

  Scope& scope_;
  Graph& graph_;
  const Model& model_;
  std::map<ValueId, WeightPtr> results_;
  std::set<NodeId> constant_nodes_;
  std::map<ValueId, ValueId> leader_;
  std::map<ValueId, bool> pays_;
};

}  // namespace

Result<bool> fold_constants(Model& model) {
  return for_each_graph(model,
                        [&model](Scope& scope) -> Result<bool> { return Folding(scope, model).run(); });
}

}  // namespace mts::canon
