// eliminate-identity: nodes that hand on their input unchanged.
//
// before:  a = Identity(x); b = Transpose <perm = [0, 1]> (a); y = Relu(b)
// after:   y = Relu(x)
// Which ones: Identity, Dropout at inference, Cast and CastLike to the same type, Transpose, Reshape, Expand,
// Flatten, Squeeze, Unsqueeze, Slice, Pad, Tile, Split and Resize that change nothing,
// Concat/Sum/Max/Min/Mean of one, x * 1, x / 1, x - 0 (x + 0 only for integers: it turns -0 into 0), Clip
// without bounds; and inverse pairs: Squeeze(Unsqueeze(x)). Two Transposes become one. Preconditions: the
// types say so (provably, for every value of the symbols); further outputs are unused. Refusals: an Identity
// at the interface (an input or a constant echoed as an output, one value as two outputs) stays.
#include "canon/passes.h"
#include "canon/scope.h"

#include <algorithm>
#include <cstdint>
#include <limits>

namespace mts::canon {
namespace {

using Ints = std::vector<int64_t>;

bool all_are(const Ints& values, int64_t wanted) {
  return std::ranges::all_of(values, [wanted](int64_t v) { return v == wanted; });
}

const Type& type_of(const Scope& scope, ValueId id) { return scope.graph().value(id).type; }

bool transpose_changes_nothing(const Node& node, const Type& input) {
  const Ints permutation = node.ints_or("perm", {});
  if (permutation.empty()) return input.has_rank() && input.rank() <= 1;
  for (size_t i = 0; i < permutation.size(); ++i)
    if (permutation[i] != static_cast<int64_t>(i)) return false;
  return true;
}

// Same rank and all dimensions but one provably equal: the last one follows from the element count.
bool reshape_changes_nothing(const Scope& scope, const Node& node) {
  const Type &in = type_of(scope, node.inputs[0]), &out = type_of(scope, node.outputs[0]);
  if (!in.has_rank()) return false;
  if (const auto target = scope.ints(node.inputs[1]); target && node.int_or("allowzero", 0) == 0) {
    if (target->size() != in.rank()) return false;
    size_t open = 0;
    for (size_t i = 0; i < in.rank(); ++i) {
      const Dim& dim = (*in.shape)[i];
      if ((*target)[i] != 0 && !(dim.is_known() && dim.value == (*target)[i])) ++open;
    }
    if (open == 0 || (open == 1 && std::ranges::count(*target, -1) == 1)) return true;
  }
  if (!out.has_rank() || in.rank() != out.rank()) return false;
  return same_shape(in, out);
}

bool expand_changes_nothing(const Scope& scope, const Node& node) {
  const Type &in = type_of(scope, node.inputs[0]), &out = type_of(scope, node.outputs[0]);
  if (const auto target = scope.ints(node.inputs[1]);
      target && in.has_rank() && target->size() <= in.rank()) {
    bool same = true;
    for (size_t i = 0; i < target->size(); ++i) {
      const Dim& dim = (*in.shape)[in.rank() - target->size() + i];
      same &= (*target)[i] == 1 || (dim.is_known() && dim.value == (*target)[i]);
    }
    if (same) return true;
  }
  return same_shape(in, out);
}

bool slice_changes_nothing(const Scope& scope, const Node& node) {
  const auto starts = scope.ints(node.inputs[1]), ends = scope.ints(node.inputs[2]);
  if (!starts || !ends || !all_are(*starts, 0)) return false;
  if (has_input(node, 4)) {
    const auto steps = scope.ints(node.inputs[4]);
    if (!steps || !all_are(*steps, 1)) return false;
  }
  const Type& in = type_of(scope, node.inputs[0]);
  Ints axes(ends->size());
  for (size_t i = 0; i < axes.size(); ++i) axes[i] = static_cast<int64_t>(i);
  if (has_input(node, 3)) {
    const auto given = scope.ints(node.inputs[3]);
    if (!given) return false;
    axes = *given;
  }
  for (size_t i = 0; i < ends->size(); ++i) {
    if ((*ends)[i] >= std::numeric_limits<int32_t>::max()) continue;
    if (!in.has_rank() || i >= axes.size()) return false;
    const auto axis = normalise_axis(axes[i], in.rank());
    if (!axis || !(*in.shape)[*axis].is_known() || (*ends)[i] < (*in.shape)[*axis].value) return false;
  }
  return true;
}

bool resize_changes_nothing(const Scope& scope, const Node& node) {
  if (node.string_or("coordinate_transformation_mode", "") == "tf_crop_and_resize" ||
      node.int_or("antialias", 0) != 0 || node.find("axes") != nullptr)
    return false;
  const Type& in = type_of(scope, node.inputs[0]);
  if (has_input(node, 3)) {
    const auto sizes = scope.ints(node.inputs[3]);
    const auto dims = static_dims(in);
    return sizes && dims && *sizes == *dims;
  }
  const WeightPtr scales = has_input(node, 2) ? scope.weight(node.inputs[2]) : nullptr;
  return scales != nullptr && scales->element_count() > 0 &&
         std::ranges::all_of(scales->as_doubles(), [](double s) { return s == 1.0; });
}

// Whether the constant `id` has one element and does not change the rank of `other` by broadcasting.
bool is_neutral(const Scope& scope, ValueId id, ValueId other, double neutral) {
  const auto number = scope.number(id);
  if (!number || *number != neutral) return false;
  const size_t rank = scope.weight(id)->dims().size();
  const Type& type = type_of(scope, other);
  return rank == 0 || (type.has_rank() && rank <= type.rank());
}

bool same_dtype(const Scope& scope, ValueId a, ValueId b) {
  const Type &x = type_of(scope, a), &y = type_of(scope, b);
  return x.is_tensor() && y.is_tensor() && x.dtype == y.dtype && x.dtype != DType::kUndefined;
}

// The input that the node's first output is equal to; kNoValue when there is none.
ValueId source_of(const Scope& scope, const Node& node) {
  if (!node.domain.empty() || !has_input(node, 0) || node.outputs.empty() || node.outputs[0] == kNoValue)
    return kNoValue;
  for (size_t i = 1; i < node.outputs.size(); ++i)
    if (uses_output(scope.graph(), node, i)) return kNoValue;
  const ValueId x = node.inputs[0];
  const Type &in = type_of(scope, x), &out = type_of(scope, node.outputs[0]);
  const std::string& op = node.op_type;
  const auto when = [x](bool same) { return same ? x : kNoValue; };

  if (op == "Identity") return x;
  if (op == "Dropout") {
    if (!has_input(node, 2)) return x;
    const auto training = scope.ints(node.inputs[2]);
    return when(training && all_are(*training, 0));
  }
  if (op == "Cast")
    return when(in.is_tensor() && in.dtype != DType::kUndefined &&
                in.dtype == static_cast<DType>(node.int_or("to", 0)));
  if (op == "CastLike") return when(has_input(node, 1) && same_dtype(scope, x, node.inputs[1]));
  if (op == "Transpose") return when(transpose_changes_nothing(node, in));
  if (op == "Reshape") return when(has_input(node, 1) && reshape_changes_nothing(scope, node));
  if (op == "Expand") return when(has_input(node, 1) && expand_changes_nothing(scope, node));
  if (op == "Flatten")
    return when(in.has_rank() && in.rank() == 2 && normalise_axis(node.int_or("axis", 1), 2) == 1);
  if (op == "Squeeze") {
    if (!has_input(node, 1)) return when(in.has_rank() && out.has_rank() && in.rank() == out.rank());
    const auto axes = scope.ints(node.inputs[1]);
    if (axes && axes->empty()) return x;
    // The axes that an Unsqueeze has just added.
    const Node* unsqueeze = producer_of(scope.graph(), x, "Unsqueeze");
    if (axes && unsqueeze != nullptr && has_input(*unsqueeze, 1)) {
      const auto added = scope.ints(unsqueeze->inputs[1]);
      if (added && *added == *axes && std::ranges::all_of(*added, [](int64_t a) { return a >= 0; }))
        return unsqueeze->inputs[0];
      if (added && *added == *axes && added->size() == 1) return unsqueeze->inputs[0];
    }
    return kNoValue;
  }
  if (op == "Unsqueeze") {
    const auto axes = has_input(node, 1) ? scope.ints(node.inputs[1]) : std::nullopt;
    return when(axes && axes->empty());
  }
  if (op == "Slice")
    return when(has_input(node, 1) && has_input(node, 2) && slice_changes_nothing(scope, node));
  if (op == "Pad") {
    const auto pads = has_input(node, 1) ? scope.ints(node.inputs[1]) : std::nullopt;
    return when(pads && all_are(*pads, 0));
  }
  if (op == "Tile") {
    const auto repeats = has_input(node, 1) ? scope.ints(node.inputs[1]) : std::nullopt;
    return when(repeats && all_are(*repeats, 1));
  }
  if (op == "Split") return when(node.outputs.size() == 1);
  if (op == "Resize") return when(resize_changes_nothing(scope, node));
  if (op == "Concat" || op == "Sum" || op == "Max" || op == "Min" || op == "Mean")
    return when(node.inputs.size() == 1);
  if (op == "Clip")
    return when(!has_input(node, 1) && !has_input(node, 2) && !node.find("min") && !node.find("max"));
  if (op == "Mul" || op == "Div") {
    if (is_neutral(scope, node.inputs[1], x, 1)) return x;
    if (op == "Mul" && is_neutral(scope, x, node.inputs[1], 1)) return node.inputs[1];
    return kNoValue;
  }
  if (op == "Sub") return when(is_neutral(scope, node.inputs[1], x, 0));
  if (op == "Add" && in.is_tensor() && is_integer(in.dtype)) {
    if (is_neutral(scope, node.inputs[1], x, 0)) return x;
    if (is_neutral(scope, x, node.inputs[1], 0)) return node.inputs[1];
  }
  return kNoValue;
}

// Transpose(Transpose(x)) reads x.
bool merge_transposes(const Scope& scope, NodeId id) {
  Graph& graph = scope.graph();
  Node& node = graph.node(id);
  if (!node.is("Transpose")) return false;
  const Node* inner = producer_of(graph, node.inputs[0], "Transpose");
  if (inner == nullptr) return false;
  const Ints outer_permutation = node.ints_or("perm", {}), inner_permutation = inner->ints_or("perm", {});
  if (outer_permutation.empty() || outer_permutation.size() != inner_permutation.size()) return false;
  Ints composed;
  for (const int64_t axis : outer_permutation)
    composed.push_back(inner_permutation[static_cast<size_t>(axis)]);
  const ValueId source = inner->inputs[0];
  node.set("perm", composed);
  graph.set_input(id, 0, source);
  return true;
}

}  // namespace

Result<bool> eliminate_identity(Model& model) {
  return for_each_graph(model, [](Scope& scope) -> Result<bool> {
    Graph& graph = scope.graph();
    bool changed = false;
    const std::vector<NodeId> order = graph.order();
    for (const NodeId id : order) {
      if (!graph.is_alive(id)) continue;
      changed |= merge_transposes(scope, id);
      const ValueId source = source_of(scope, graph.node(id));
      if (source != kNoValue) changed |= scope.forward(graph.node(id).outputs[0], source);
    }
    return changed;
  });
}

}  // namespace mts::canon
