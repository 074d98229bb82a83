// BatchNormalization, GroupNormalization, Dropout, Softmax and its relatives, Attention.
#include "canon/adapters.h"

#include <algorithm>
#include <array>

namespace mts::canon::adapt {
namespace {

Result<void> only_first_output(const Scope& scope, NodeId id, const char* why) {
  Graph& graph = scope.graph();
  for (size_t i = 1; i < graph.node(id).outputs.size(); ++i)
    if (uses_output(graph, graph.node(id), i)) return fail(ErrorCode::kModel, why);
  graph.resize_outputs(id, 1);
  return {};
}

}  // namespace

Result<void> accept_plain_batch_normalization_9(const Scope& scope, NodeId id) {
  Node& node = scope.graph().node(id);
  if (node.int_or("spatial", 1) == 0)
    return fail(ErrorCode::kModel, "statistics per position (spatial = 0) are gone");
  node.remove("spatial");
  return {};
}

namespace {
bool names_output(const Node& node, size_t position) {
  return position < node.outputs.size() && node.outputs[position] != kNoValue;
}
}  // namespace

// Before version 14 more than one output means training: the batch's own statistics are used, and the second
// and third output are the running ones. Version 14 says so by an attribute, and has no more than these
// three.
Result<void> batch_normalization_14(const Scope& scope, NodeId id) {
  Graph& graph = scope.graph();
  if (!names_output(graph.node(id), 1))
    return only_first_output(scope, id, "its first statistics are left out");
  for (const size_t saved : {size_t{3}, size_t{4}}) {
    if (uses_output(graph, graph.node(id), saved))
      return fail(ErrorCode::kModel, "its saved statistics, as in training, are used");
  }
  if (!names_output(graph.node(id), 2)) return fail(ErrorCode::kModel, "its running variance is left out");
  graph.resize_outputs(id, 3);
  graph.node(id).set("training_mode", int64_t{1});
  return {};
}

Result<void> dropout_12(const Scope& scope, NodeId id) {
  MTS_TRY(only_first_output(scope, id, "its mask is used"));
  Graph& graph = scope.graph();
  Node& node = graph.node(id);
  if (node.find("ratio") == nullptr) return {};
  const float ratio = node.float_or("ratio", 0.5f);
  node.remove("ratio");
  graph.append_input(id, scope.add_constant(graph.value(node.outputs.at(0)).name + "_ratio",
                                            Weight::floats(std::array{ratio}, {})));
  return {};
}

// Version 18 scales each group, version 21 each channel: every number is repeated for the channels of its
// group.
Result<void> group_normalization_21(const Scope& scope, NodeId id) {
  Graph& graph = scope.graph();
  const int64_t groups = graph.node(id).int_or("num_groups", 0);
  const Type& type = graph.value(graph.node(id).inputs.at(0)).type;
  if (!type.has_rank() || type.rank() < 2 || !(*type.shape)[1].is_known() || groups < 1 ||
      (*type.shape)[1].value % groups != 0)
    return fail(ErrorCode::kModel, "its number of channels is not known");
  const int64_t repeats = (*type.shape)[1].value / groups;
  if (repeats == 1) return {};
  for (const size_t position : {size_t{1}, size_t{2}}) {
    const ValueId old = graph.node(id).inputs.at(position);
    const std::string base = graph.value(old).name;
    const DType dtype = graph.value(old).type.dtype;
    if (const WeightPtr constant = scope.weight(old)) {
      const WeightPtr column = Weight::reshape(constant, {groups, 1});
      const WeightPtr wide = Weight::concat(std::vector<WeightPtr>(static_cast<size_t>(repeats), column), 1);
      graph.set_input(id, position,
                      scope.add_constant(base + "_by_channel", Weight::reshape(wide, {groups * repeats})));
      continue;
    }
    const auto known = [](std::initializer_list<int64_t> dims) {
      Shape shape;
      for (const int64_t d : dims) shape.push_back(Dim::known(d));
      return shape;
    };
    const ValueId column =
        scope.insert(id, make_node("Reshape", {old, scope.add_ints(base + "_column", {groups, 1})}),
                     base + "_column", Type::tensor(dtype, known({groups, 1})));
    const ValueId wide =
        scope.insert(id, make_node("Expand", {column, scope.add_ints(base + "_channels", {groups, repeats})}),
                     base + "_channels", Type::tensor(dtype, known({groups, repeats})));
    graph.set_input(id, position,
                    scope.insert(id, make_node("Reshape", {wide, scope.add_ints(base + "_flat", {-1})}),
                                 base + "_by_channel", Type::tensor(dtype, known({groups * repeats}))));
  }
  return {};
}

// Before version 13 the input is flattened to 2-D at `axis` (default 1) and the second dimension is
// normalised.
Result<void> softmax_13(const Scope& scope, NodeId id) {
  Graph& graph = scope.graph();
  const ValueId x = graph.node(id).inputs.at(0);
  const Type type = graph.value(x).type;
  int64_t axis = graph.node(id).int_or("axis", 1);
  if (type.has_rank()) {
    const auto rank = static_cast<int64_t>(type.rank());
    if (axis < 0) axis += rank;
    if (axis < 0 || axis > rank) return fail(ErrorCode::kModel, "its axis is out of range");
    const auto is_one = [](const Dim& dim) { return dim.is_known() && dim.value == 1; };
    // One dimension is left to normalise: the same in both versions.
    if (axis < rank && std::all_of(type.shape->begin() + axis + 1, type.shape->end(), is_one)) {
      graph.node(id).set("axis", axis == rank - 1 ? int64_t{-1} : axis);
      return {};
    }
  }
  const std::string base = graph.value(graph.node(id).outputs.at(0)).name;
  const ValueId shape =
      scope.insert(id, make_node("Shape", {x}), base + "_shape", Type::tensor(DType::kInt64));
  const ValueId flat = scope.insert(id, make_node("Flatten", {x}, {}, {{"axis", axis, {}}}), base + "_flat",
                                    Type::tensor(type.dtype, {Dim::unknown(), Dim::unknown()}));
  const ValueId result = graph.node(id).outputs.at(0);
  const ValueId normalised = scope.add_value(base + "_normalised", graph.value(flat).type);
  graph.set_input(id, 0, flat);
  graph.node(id).set("axis", int64_t{-1});
  graph.set_output_of(id, 0, normalised);
  graph.add_node(make_node("Reshape", {normalised, shape}, {result}));  // sorted by the caller
  return {};
}

Result<void> attention_24(const Scope& scope, NodeId id) {
  const Node& node = scope.graph().node(id);
  if (node.float_or("softcap", 0) != 0 || uses_output(scope.graph(), node, 3))
    return fail(ErrorCode::kModel, "the order of softcap and mask differs between the versions");
  return {};
}

}  // namespace mts::canon::adapt
