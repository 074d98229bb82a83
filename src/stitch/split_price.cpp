#include "stitch/split_price.h"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

namespace mts {
namespace {

// The layer of one model; the channels of its activations are tracked apart.
struct Whole {
  Work work;
  double input_bytes = 0, output_bytes = 0;
};

Whole whole_layer(const Model& model, const Node& node) {
  std::vector<const Type*> operands, outputs;
  std::vector<char> constant;
  Whole whole;
  for (const ValueId input : node.inputs) {
    if (input == kNoValue) continue;
    const Value& value = model.graph.value(input);
    operands.push_back(&value.type);
    constant.push_back(value.weight != nullptr ? 1 : 0);
    if (value.weight == nullptr) whole.input_bytes += CostModel::bytes(value.type);
  }
  for (const ValueId output : node.outputs) {
    if (output == kNoValue) continue;
    outputs.push_back(&model.graph.value(output).type);
    whole.output_bytes += CostModel::bytes(*outputs.back());
  }
  const std::unique_ptr<bool[]> flags(new bool[constant.size() + 1]);
  std::ranges::copy(constant, flags.get());
  whole.work = CostModel::work_of(node, operands, {flags.get(), constant.size()}, outputs);
  return whole;
}

Work part_of(const Whole& whole, double rows, double columns) {
  Work work = whole.work;
  work.flops *= rows * columns;
  work.weight_bytes *= rows * columns;
  work.activation_bytes = whole.input_bytes * columns + whole.output_bytes * rows;
  work.output_elements *= rows;
  work.inputs *= columns;
  work.outputs *= rows;
  return work;
}

// So many of them with one weight, or each with its own.
Nanoseconds together(Work work, double models, bool shared, const CostModel& cost) {
  work.flops *= models;
  work.activation_bytes *= models;
  work.output_elements *= models;
  if (shared || models == 1) return cost.node(work);
  work.weight_bytes *= models;
  return cost.group(work);
}

}  // namespace

bool pays(const partial::LayerSplit& split, const std::vector<Model>& models, const CostModel& cost) {
  const Model& model = models[split.model];
  const Whole whole = whole_layer(model, model.graph.node(split.node));
  const double layers = split.layers;
  const Nanoseconds as_it_is = std::min(together(whole.work, layers, false, cost),
                                        static_cast<Nanoseconds>(split.layers) * cost.node(whole.work));
  Nanoseconds in_parts = 0;
  std::map<std::pair<double, double>, double> own;  // equal sizes run as one
  double sums = 0;                                  // bytes that several parts add to
  for (const partial::LayerPart& part : split.parts) {
    if (part.models == 1)
      ++own[{part.rows, part.columns}];
    else
      in_parts += together(part_of(whole, part.rows, part.columns), part.models, true, cost);
    sums += part.rows * part.models * whole.output_bytes;
  }
  for (const auto& [size, count] : own)
    in_parts += together(part_of(whole, size.first, size.second), count, false, cost);
  sums -= layers * whole.output_bytes;
  if (sums > 0) in_parts += cost.fusion() != Fusion::kNone ? cost.inside(sums, 0) : cost.copy(sums, 1);
  if (split.row_groups > 1) in_parts += cost.copy(layers * whole.output_bytes, 1);
  if (split.column_groups > 1) in_parts += cost.copy(layers * whole.input_bytes, 1);
  return in_parts < as_it_is;
}

}  // namespace mts
