// rebuild-shapes: what is left of shape arithmetic reads the graph's inputs, in one form for all exporters.
//
// before:  s = Shape(h); n = Gather(s, 0); u = Unsqueeze(n, 0); t = Concat(u, {1}, {-1}); e = Equal(t, {-1,
// -1, -1});
//          r = Where(e, {1, 1, 1}, t); y = Expand(token, r)          h computed from the graph input x:
//          float[N, 3, 8, 8]
// after:   n = Shape <end = 1> (x); r = Concat(n, {1, 1}); y = Expand(token, r)
//
// before:  y = Expand(x, t), t = {N, 2, 2, S}            x: [N, 2, 1, S]
// after:   y = Expand(x, {1, 1, 2, 1})                  what broadcasting keeps is 1
//
// before:  y = Reshape <allowzero = 1> (x, t), t = {4 * N, S, 8}          x: [N, 4, S, 8]
// after:   y = Reshape(x, {-1, S, 8})                   one dimension is inferred
// For the shape operands of Expand, Reshape, ConstantOfShape, Slice (bounds), Resize (sizes) and Range, in
// the top graph. Preconditions: every element is known to be a number or one named dimension of a graph
// input; opset 15 (Shape with start and end) where a dimension is read. Refusals: expressions ("2*S+1") keep
// their arithmetic.
#include "canon/passes.h"
#include "canon/scope.h"
#include "canon/shape_values.h"

#include <algorithm>
#include <map>

namespace mts::canon {
namespace {

using Sizes = std::vector<Size>;

// Where a named dimension can be read.
struct Source {
  ValueId input;
  int64_t axis;
};

class Rebuilder {
 public:
  Rebuilder(Scope& scope, int64_t opset)
      : scope_(scope), graph_(scope.graph()), values_(scope), opset_(opset) {
    for (const ValueId id : graph_.inputs()) {
      const auto dims = values_.dims(id);
      if (!dims) continue;
      for (size_t axis = 0; axis < dims->size(); ++axis)
        if (!(*dims)[axis].constant() && (*dims)[axis].expression())
          sources_.try_emplace((*dims)[axis].to_string(), Source{id, static_cast<int64_t>(axis)});
    }
  }

  bool run() {
    bool changed = false;
    const std::vector<NodeId> order = graph_.order();
    for (const NodeId id : order) {
      if (!graph_.node(id).domain.empty()) continue;
      const std::string op_type = graph_.node(id).op_type;  // a copy: rebuilding adds nodes, which moves them
      if (op_type == "Expand") changed |= rebuild(id, 1);
      if (op_type == "Reshape" && has_input(graph_.node(id), 1)) {
        changed |= drop_allowzero(id);
        changed |= rebuild(id, 1);
      }
      if (op_type == "ConstantOfShape") changed |= rebuild(id, 0);
      if (op_type == "Resize") changed |= rebuild(id, 3);
      if (op_type == "Slice" || op_type == "Range") {
        changed |= rebuild(id, 1);
        if (op_type == "Slice") changed |= rebuild(id, 2);
      }
    }
    return changed;
  }

 private:
  bool rebuild(NodeId id, size_t position) {
    const Node& node = graph_.node(id);
    if (!has_input(node, position)) return false;
    const ValueId operand = node.inputs[position];
    if (scope_.weight(operand) != nullptr && !node.is("Expand")) return false;
    const DType dtype = graph_.value(operand).type.dtype;
    auto wanted = values_.content(operand);
    if (!wanted || dtype != DType::kInt64 || wanted->elements.empty()) return false;
    if (node.is("Expand")) keep_by_broadcasting(node, wanted->elements);
    if (node.is("Reshape")) {
      if (node.find("allowzero") != nullptr) return false;
      infer_by_reshaping(node, wanted->elements);
    }
    const bool is_constant =
        std::ranges::all_of(wanted->elements, [](const Size& s) { return s.constant().has_value(); });
    if (!is_constant && opset_ < 15) return false;
    for (const Size& element : wanted->elements)
      if (!element.constant() && !sources_.contains(element.to_string())) return false;
    if (has_form(operand, *wanted)) return false;
    graph_.set_input(id, position, build(id, *wanted));
    return true;
  }

  // Zeros mean the same to both kinds of Reshape where there are none.
  bool drop_allowzero(NodeId id) {
    Node& node = graph_.node(id);
    if (node.find("allowzero") == nullptr) return false;
    const auto target = values_.content(node.inputs[1]);
    if (!target || std::ranges::any_of(target->elements, [](const Size& s) { return s.is(0); })) return false;
    node.remove("allowzero");
    return true;
  }

  // Elements that equal the data's dimension at the same place become 0; one of the others, rather one that
  // no input names, becomes -1.
  void infer_by_reshaping(const Node& node, Sizes& target) const {
    const auto from = values_.dims(node.inputs[0]);
    if (!from) return;
    for (size_t i = 0; i < std::min(from->size(), target.size()); ++i)
      if (target[i] == (*from)[i]) target[i] = Size::known(0);
    if (std::ranges::any_of(target, [](const Size& s) { return s.is(-1); })) return;
    const auto is_open = [](const Size& s) { return !s.constant(); };
    auto inferred = std::ranges::find_if(
        target, [&](const Size& s) { return is_open(s) && !sources_.contains(s.to_string()); });
    if (inferred == target.end()) inferred = std::ranges::find_if(target, is_open);
    if (inferred != target.end()) *inferred = Size::known(-1);
  }

  // Elements that equal the input's own dimension become 1.
  void keep_by_broadcasting(const Node& node, Sizes& target) const {
    const auto from = values_.dims(node.inputs[0]);
    if (!from) return;
    for (size_t i = 0; i < std::min(from->size(), target.size()); ++i) {
      Size& element = target[target.size() - 1 - i];
      if (element == (*from)[from->size() - 1 - i]) element = Size::known(1);
    }
  }

  // The elements in runs: one dimension, or all numbers up to the next one.
  static std::vector<Sizes> runs_of(const Sizes& elements) {
    std::vector<Sizes> runs;
    for (const Size& element : elements) {
      const bool number = element.constant().has_value();
      if (!number || runs.empty() || !runs.back().back().constant()) runs.emplace_back();
      runs.back().push_back(element);
    }
    return runs;
  }

  bool is_run(ValueId id, const Sizes& run) const {
    if (run.front().constant()) {
      const auto numbers = scope_.ints(id);
      return numbers && ShapeTensor{run, false}.constants() == *numbers;
    }
    const Node* shape = producer_of(graph_, id, "Shape");
    const Source& source = sources_.at(run.front().to_string());
    return shape != nullptr && shape->inputs[0] == source.input && shape->int_or("start", 0) == source.axis &&
           shape->int_or("end", -1) == source.axis + 1;
  }

  // Whether `id` is built as build() would.
  bool has_form(ValueId id, const ShapeTensor& wanted) const {
    if (wanted.scalar) {
      const Node* squeeze = producer_of(graph_, id, "Squeeze");
      return squeeze != nullptr && is_run(squeeze->inputs[0], wanted.elements);
    }
    const auto runs = runs_of(wanted.elements);
    if (runs.size() == 1) return is_run(id, runs[0]);
    const Node* concat = producer_of(graph_, id, "Concat");
    return concat != nullptr && concat->inputs.size() == runs.size() &&
           std::equal(runs.begin(), runs.end(), concat->inputs.begin(),
                      [this](const Sizes& run, ValueId part) { return is_run(part, run); });
  }

  static Type vector_type(size_t count) {
    return Type::tensor(DType::kInt64, {Dim::known(static_cast<int64_t>(count))});
  }

  ValueId build_run(NodeId before, const Sizes& run) {
    if (run.front().constant()) return scope_.add_ints("shape", *ShapeTensor{run, false}.constants());
    const std::string name = run.front().to_string();
    const auto known = read_.find(name);
    if (known != read_.end()) return known->second;
    const Source& source = sources_.at(name);
    Node shape = make_node("Shape", {source.input});
    if (source.axis != 0) shape.set("start", source.axis);
    shape.set("end", source.axis + 1);
    // At the front, where all can read it.
    return read_[name] =
               scope_.insert(graph_.order().empty() ? before : graph_.order().front(), std::move(shape),
                             graph_.value(source.input).name + "_dim", vector_type(1));
  }

  ValueId build(NodeId before, const ShapeTensor& wanted) {
    if (wanted.scalar) {
      const ValueId one = build_run(before, wanted.elements);
      if (wanted.elements.front().constant())
        return scope_.add_constant("number", Weight::int64_scalar(*wanted.elements.front().constant()));
      return scope_.insert(before, make_node("Squeeze", {one, scope_.add_ints("axis", {0})}),
                           graph_.value(one).name + "_scalar", Type::tensor(DType::kInt64, Shape{}));
    }
    std::vector<ValueId> parts;
    for (const Sizes& run : runs_of(wanted.elements)) parts.push_back(build_run(before, run));
    if (parts.size() == 1) return parts[0];
    return scope_.insert(before, make_node("Concat", parts, {}, {{"axis", int64_t{0}, {}}}), "shape",
                         vector_type(wanted.elements.size()));
  }

  Scope& scope_;
  Graph& graph_;
  ShapeValues values_;
  int64_t opset_;
  std::map<std::string, Source> sources_;
  std::map<std::string, ValueId> read_;  // by dimension, in this run
};

}  // namespace

Result<bool> rebuild_shapes(Model& model) {
  const int64_t opset = model.opset();
  return for_each_graph(model, [opset](Scope& scope) -> Result<bool> {
    return scope.is_top() && Rebuilder(scope, opset).run();
  });
}

}  // namespace mts::canon
