#include "share/layer_sharing.h"

#include "share/common_rows.h"

#include <algorithm>
#include <map>
#include <utility>

namespace mts::share {
namespace {

struct Axes {
  int64_t rows = 0, columns = -1;
};

// Which axes of a constant operand are output and input channels; for what mts has no name for, the first
// axis that is not 1: the entries of a vector, the gates of a recurrent layer, the positions of an embedding.
Axes axes_of(const Node& node, size_t slot, const Dims& dims) {
  const auto rank = static_cast<int64_t>(dims.size());
  if (slot == 1 && rank >= 2) {
    if (node.is("Conv")) return {0, 1};
    if (node.is("ConvTranspose")) return {1, 0};
    if (node.is("Gemm")) return node.int_or("transB", 0) != 0 ? Axes{0, 1} : Axes{1, 0};
    if (node.is("MatMul")) return {rank - 1, rank - 2};
  }
  if (slot == 0 && rank == 2 && node.is("Gather"))
    return node.int_or("axis", 0) == 0 ? Axes{0, 1} : Axes{1, 0};
  const auto wide = std::ranges::find_if(dims, [](int64_t d) { return d != 1; });
  return {wide == dims.end() ? 0 : wide - dims.begin(), -1};
}

bool is_weight(const Value& value) {
  return value.is_constant() && (is_float(value.weight->dtype()) || is_quantised(value.weight->dtype())) &&
         value.weight->element_count() > 1;
}

struct Operand {
  Matrix matrix;
  int32_t content = -1;  // weight class
};

// The weights of a set, by slot.
std::map<size_t, std::vector<Operand>> operands_of(const std::vector<Model>& models,
                                                   const WeightClasses& classes,
                                                   const std::vector<NodeId>& set) {
  std::map<size_t, std::vector<Operand>> slots;
  for (uint32_t m = 0; m < models.size(); ++m) {
    if (set[m] == kNoNode) continue;
    const Node& node = models[m].graph.node(set[m]);
    for (size_t slot = 0; slot < node.inputs.size(); ++slot) {
      const ValueId id = node.inputs[slot];
      if (id == kNoValue || !is_weight(models[m].graph.value(id))) continue;
      const WeightPtr& weight = models[m].graph.value(id).weight;
      const Axes axes = axes_of(node, slot, weight->dims());
      slots[slot].push_back({{weight, m, axes.rows, axes.columns}, classes.class_of[m][index(id)]});
    }
  }
  return slots;
}

// Another model has the whole tensor, here or elsewhere.
bool is_common(const WeightClasses& classes, const Operand& operand) {
  return std::ranges::any_of(classes.classes[static_cast<size_t>(operand.content)].members,
                             [&](const ValueRef& member) { return member.model != operand.matrix.model; });
}

void add_slot(const WeightClasses& classes, const std::vector<Operand>& operands, LayerSharing& layer) {
  std::vector<Matrix> matrices;
  bool whole = true;
  for (const Operand& operand : operands) {
    matrices.push_back(operand.matrix);
    whole = whole && is_common(classes, operand);
  }
  // What is common or alone as a whole is not read.
  std::vector<uint64_t> common(operands.size(), 0);
  if (!whole && operands.size() > 1) common = common_bytes(matrices);
  for (size_t i = 0; i < operands.size(); ++i) {
    LayerSharing::Cell& cell = layer.cells[operands[i].matrix.model];
    const uint64_t bytes = operands[i].matrix.weight->byte_size();
    cell.bytes += bytes;
    cell.shared += is_common(classes, operands[i]) ? bytes : common[i];
  }
}

}  // namespace

std::vector<LayerSharing> layer_sharing(const std::vector<Model>& models, const WeightClasses& classes,
                                        std::span<const std::vector<NodeId>> sets) {
  std::vector<LayerSharing> layers;
  for (const std::vector<NodeId>& set : sets) {
    const auto slots = operands_of(models, classes, set);
    if (slots.empty()) continue;
    LayerSharing& layer = layers.emplace_back();
    layer.cells.resize(models.size());
    const size_t first = slots.begin()->second.front().matrix.model;
    const Node& node = models[first].graph.node(set[first]);
    layer.op_type = node.op_type;
    layer.name = node.name.empty() ? node.op_type : node.name;
    layer.weight = models[first].graph.value(node.inputs[slots.begin()->first]).name;
    for (const auto& [slot, operands] : slots) add_slot(classes, operands, layer);
  }
  return layers;
}

}  // namespace mts::share
