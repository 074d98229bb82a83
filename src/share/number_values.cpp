// Global value numbering: see share.h. Constants that nothing reads have no number, like other dead values.
#include "share/encode.h"
#include "share/purity.h"

#include <mts/share.h>

#include <functional>
#include <map>
#include <unordered_map>
#include <utility>

namespace mts {
namespace {

using share::Key;

// The class of weights that are no top-level constants.
class ContentCodes {
 public:
  explicit ContentCodes(const WeightClasses& classes) : classes_(classes) {}

  uint32_t operator()(const WeightPtr& weight) {
    if (by_form_.empty())
      for (size_t i = 0; i < classes_.classes.size(); ++i)
        by_form_[form(*classes_.classes[i].weight)].push_back(static_cast<uint32_t>(i));
    const auto [known, is_new] = codes_.emplace(weight.get(), 0);
    if (!is_new) return known->second;
    for (const uint32_t id : by_form_[form(*weight)])
      if (classes_.classes[id].weight->same_content(*weight)) return known->second = id;
    // Not among the weights that were classified: equal to nothing else.
    return known->second = static_cast<uint32_t>(classes_.classes.size() + codes_.size());
  }

 private:
  using Form = std::pair<DType, size_t>;
  static Form form(const Weight& weight) { return {weight.dtype(), weight.byte_size()}; }

  const WeightClasses& classes_;
  std::map<Form, std::vector<uint32_t>> by_form_;
  std::unordered_map<const Weight*, uint32_t> codes_;
};

// Terms are what values are; numbers are given to the terms that top-level values have, in order of first
// occurrence.
class ValueNumbering {
 public:
  ValueNumbering(const std::vector<Model>& models, const WeightClasses& classes,
                 const NumberingOptions& options)
      : models_(models),
        classes_(classes),
        options_(options),
        content_(classes),
        encoder_(terms_,
                 [this](const WeightPtr& weight) { return constant(content_(weight), weight->dims()); }) {
    for (const Model& model : models) result_.of.emplace_back(model.graph.value_count(), Numbering::kNone);
  }

  Numbering run(const std::vector<SharedInput>& shared_inputs) && {
    std::map<ValueRef, size_t> shared;
    for (size_t i = 0; i < shared_inputs.size(); ++i)
      for (const ValueRef& member : shared_inputs[i].members) shared.emplace(member, i);
    for (uint32_t m = 0; m < models_.size(); ++m) {
      model_ = m;
      const Graph& graph = models_[m].graph;
      for (const ValueId id : graph.inputs()) {
        const auto it = shared.find({m, id});
        set(id, it == shared.end() ? fresh() : terms_.id(Key('S').number(it->second)));
      }
      for (size_t i = 0; i < graph.value_count(); ++i) {
        const auto id = static_cast<ValueId>(i);
        if (const int32_t content = classes_.class_of[m][i]; content >= 0)
          set(id, constant(static_cast<uint32_t>(content), graph.value(id).weight->dims()));
      }
      for (const NodeId id : graph.order()) number_node(graph.node(id));
    }
    return std::move(result_);
  }

 private:
  uint32_t fresh() { return terms_.id(Key('U').number(unique_++)); }

  uint32_t constant(uint32_t content, const Dims& dims) {
    Key key('W');
    key.number(options_.merge_constants ? 0 : model_ + uint64_t{1}).number(content);
    for (const int64_t dim : dims) key.number(static_cast<uint64_t>(dim));
    return terms_.id(key);
  }

  void number_node(const Node& node) {
    const bool merge = options_.merge_nodes && share::is_deterministic(models_[model_].graph, node);
    uint32_t term = 0;
    if (merge) {
      operands_.clear();
      const auto term_of = [this](ValueId id) { return term_of_number_[result_.of[model_][index(id)]]; };
      for (const ValueId id : node.inputs) operands_.push_back(id == kNoValue ? share::kAbsent : term_of(id));
      term = encoder_.encode(models_[model_], node, operands_, term_of);
    }
    for (size_t i = 0; i < node.outputs.size(); ++i)
      if (node.outputs[i] != kNoValue)
        set(node.outputs[i], merge ? terms_.id(Key('V').number(term).number(i)) : fresh());
  }

  void set(ValueId id, uint32_t term) {
    if (term >= number_of_term_.size()) number_of_term_.resize(term + size_t{1}, Numbering::kNone);
    uint32_t& number = number_of_term_[term];
    if (number == Numbering::kNone) {
      number = static_cast<uint32_t>(result_.first.size());
      result_.first.push_back({model_, id});
      term_of_number_.push_back(term);
    }
    result_.of[model_][index(id)] = number;
  }

  const std::vector<Model>& models_;
  const WeightClasses& classes_;
  const NumberingOptions& options_;
  ContentCodes content_;
  share::Interner terms_;
  share::OperatorEncoder encoder_;
  uint64_t unique_ = 0;
  std::vector<uint32_t> operands_;
  std::vector<uint32_t> number_of_term_, term_of_number_;
  uint32_t model_ = 0;  // being numbered
  Numbering result_;
};

}  // namespace

Numbering number_values(const std::vector<Model>& models, const WeightClasses& classes,
                        const std::vector<SharedInput>& shared_inputs, const NumberingOptions& options) {
  return ValueNumbering(models, classes, options).run(shared_inputs);
}

}  // namespace mts
