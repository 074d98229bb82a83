// Operators whose constant mixes channels: convolutions, fully connected layers, embedding tables.
#include "partial/track.h"

namespace mts::partial {
namespace {

// Content of whole bytes that no other place of the model reads.
bool is_splittable(const Tracker& tracker, ValueId id) {
  const WeightPtr weight = tracker.weight(id);
  return weight != nullptr && is_float(weight->dtype()) && bit_width(weight->dtype()) >= 8 &&
         weight->element_count() > 0 && tracker.graph().uses(id).size() == 1 &&
         !tracker.graph().is_output(id);
}

// The columns of a layer that reads `x` along `axis`.
void read_columns(Tracker& tracker, ValueId x, size_t axis, Layer& layer) {
  const int64_t width = tracker.weight(layer.weight)->dims()[layer.column_axis];
  if (tracker.dim(x, axis) == width) {
    const Tracked* tracked = tracker.pin(x, axis);
    if (tracked != nullptr && tracked->axis == axis) {
      layer.columns = *tracked;
      layer.splits_columns = true;
      return;
    }
  }
  layer.columns = tracker.make(kNoNode, 0, width, true);
}

std::optional<Effect> finish(Tracker& tracker, NodeId id, Layer layer, size_t out_axis) {
  const Node& node = tracker.graph().node(id);
  const int64_t rows = tracker.weight(layer.weight)->dims()[layer.row_axis];
  if (tracker.dim(node.outputs[0], out_axis) != rows) return std::nullopt;
  Effect effect;
  effect.role.kind = NodeRole::Kind::kLayer;
  effect.role.operands.resize(node.inputs.size());
  effect.role.layer = std::move(layer);
  effect.out = tracker.make(id, out_axis, rows, false);
  return effect;
}

}  // namespace

std::optional<Effect> layer_effect(Tracker& tracker, NodeId id) {
  const Node& node = tracker.graph().node(id);
  const auto input = [&](size_t i) { return i < node.inputs.size() ? node.inputs[i] : kNoValue; };
  Layer layer;
  if (node.is("Gather")) {  // of a table
    layer.weight_input = 0;
    layer.weight = input(0);
    if (!is_splittable(tracker, layer.weight) || tracker.weight(layer.weight)->dims().size() != 2 ||
        node.int_or("axis", 0) != 0 || !tracker.type(node.outputs[0]).has_rank())
      return std::nullopt;
    layer.row_axis = 1;
    layer.column_axis = 0;
    layer.columns = tracker.make(kNoNode, 0, tracker.weight(layer.weight)->dims()[0], true);
    return finish(tracker, id, std::move(layer), tracker.type(node.outputs[0]).rank() - 1);
  }
  const bool conv = node.is("Conv"), transposed = node.is("ConvTranspose"), gemm = node.is("Gemm");
  if (!conv && !transposed && !gemm && !node.is("MatMul")) return std::nullopt;
  const ValueId x = input(0);
  layer.weight = input(1);
  if (x == layer.weight || !is_splittable(tracker, layer.weight) || !tracker.type(x).has_rank())
    return std::nullopt;
  const size_t rank = tracker.type(x).rank(), weight_rank = tracker.weight(layer.weight)->dims().size();
  size_t axis = 1;
  if (conv || transposed) {
    if (node.int_or("group", 1) != 1 || weight_rank != rank || tracker.is_known_depthwise(id))
      return std::nullopt;
    if (transposed) std::swap(layer.row_axis, layer.column_axis);
  } else {
    if (weight_rank != 2 || rank < 2) return std::nullopt;
    const bool turned = gemm && node.int_or("transB", 0) != 0;
    layer.row_axis = turned ? 0 : 1;
    layer.column_axis = turned ? 1 : 0;
    axis = rank - 1;
    if (gemm &&
        (node.int_or("transA", 0) != 0 || node.float_or("alpha", 1) != 1 || node.float_or("beta", 1) != 1))
      return std::nullopt;
  }
  layer.bias = node.is("MatMul") ? kNoValue : input(2);
  if (layer.bias != kNoValue) {
    const WeightPtr bias = tracker.weight(layer.bias);
    if (bias == nullptr || bias->dims().empty() ||
        bias->element_count() != tracker.weight(layer.weight)->dims()[layer.row_axis] ||
        bias->dims().back() != bias->element_count())
      return std::nullopt;
    layer.bias_axis = bias->dims().size() - 1;
  }
  read_columns(tracker, x, axis, layer);
  return finish(tracker, id, std::move(layer), axis);
}

}  // namespace mts::partial
