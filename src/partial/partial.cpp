#include "partial/partial.h"

#include "partial/fine.h"
#include "partial/layer_splits.h"
#include "partial/parameters.h"
#include "partial/rewrite.h"
#include "partial/tables.h"

#include <mts/align.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace mts::partial {
namespace {

constexpr double kLargePart = 0.25;
constexpr std::array<std::string_view, 4> kDepthNames = {"full", "by_sharers", "large",
                                                         "layers"};  // of Depth

// A convolution of each channel by itself.
bool is_depthwise(const Model& model, const Node& node) {
  if (!node.is("Conv")) return false;
  const WeightPtr& weight = model.graph.value(node.inputs[1]).weight;
  return weight != nullptr && weight->dims().size() > 2 && weight->dims()[1] == 1 &&
         node.int_or("group", 1) == weight->dims()[0];
}

// Which nodes correspond when models may have other numbers of channels. That number is an attribute of
// depthwise convolutions, which would keep them apart.
Alignment align_widths(const std::vector<Model>& models, const WeightClasses& classes,
                       const std::vector<SharedInput>& shared_inputs) {
  const bool any = std::ranges::any_of(models, [](const Model& model) {
    return std::ranges::any_of(model.graph.order(),
                               [&](NodeId id) { return is_depthwise(model, model.graph.node(id)); });
  });
  if (!any) return align(models, classes, number_values(models, classes, shared_inputs));
  std::vector<Model> views;
  for (const Model& model : models) {
    Model& view = views.emplace_back(model.clone());
    for (const NodeId id : view.graph.order())
      if (is_depthwise(view, view.graph.node(id))) view.graph.node(id).set("group", int64_t{0});
  }
  const WeightClasses of_views = classify_weights(views);
  return align(views, of_views, number_values(views, of_views, shared_inputs));
}

// Aligned sets in which some model reads rows, or columns, apart from others.
void count_splits(const Alignment& alignment, const std::vector<ModelSharing>& sharing, Report& report) {
  for (const AlignedSet& set : alignment.sets) {
    bool rows = false, blocks = false;
    for (uint32_t m = 0; m < sharing.size(); ++m) {
      const auto found = sharing[m].layers.find(set.nodes[m]);
      if (found == sharing[m].layers.end()) continue;
      rows |= found->second.groups.size() > 1;
      for (const auto& line : found->second.blocks)
        blocks |= std::ranges::any_of(line, [&](SharerId id) { return id != line.front(); });
    }
    report.block_splits += blocks ? 1 : 0;
    report.row_splits += rows && !blocks ? 1 : 0;
  }
}

}  // namespace

std::string name_of(const Splitting& splitting) {
  std::string name(kDepthNames[static_cast<size_t>(splitting.depth)]);
  for (const uint32_t layer : splitting.layers) name += " " + std::to_string(layer);
  return name;
}

std::optional<Splitting> splitting_of(std::string_view name) {
  Splitting splitting;
  const std::string_view depth = name.substr(0, name.find(' '));
  const auto found = std::ranges::find(kDepthNames, depth);
  if (found == kDepthNames.end()) return std::nullopt;
  splitting.depth = static_cast<Depth>(found - kDepthNames.begin());
  for (name.remove_prefix(depth.size()); !name.empty();) {
    uint32_t layer = 0;
    const auto [end, error] = std::from_chars(name.data() + 1, name.data() + name.size(), layer);
    if (error != std::errc() || splitting.depth != Depth::kLayers) return std::nullopt;
    splitting.layers.push_back(layer);
    name.remove_prefix(static_cast<size_t>(end - name.data()));
    if (!name.empty() && name.front() != ' ') return std::nullopt;
  }
  return splitting;
}

std::vector<LayerSplit> possible_splits(const std::vector<Model>& models,
                                        const std::vector<SharedInput>& shared_inputs) {
  if (models.size() < 2) return {};
  const WeightClasses classes = classify_weights(models);
  const Alignment alignment = align_widths(models, classes, shared_inputs);
  const std::vector<Channels> channels = find_channels(models, alignment);
  const Neurons neurons = find_neurons(models, channels, alignment, classes);
  const Segments segments(channels, neurons, {.by_pattern = false});
  return describe_splits(models, channels, find_shared_blocks(models, channels, segments, alignment),
                         alignment);
}

Result<Report> split_shared_parts(std::vector<Model>& models, const std::vector<SharedInput>& shared_inputs,
                                  const Splitting& splitting) {
  const Depth depth = splitting.depth;
  Report report;
  if (models.size() < 2) return report;
  WeightClasses classes = classify_weights(models);
  Alignment alignment = align_widths(models, classes, shared_inputs);
  std::vector<Channels> channels = find_channels(models, alignment);
  Neurons neurons = find_neurons(models, channels, alignment, classes);
  if (depth == Depth::kFull && !neurons.fine.empty()) {
    MTS_TRY(split_fine_rows(models, channels, neurons.fine, alignment));
    report.changed = true;
    report.row_splits += static_cast<int64_t>(neurons.fine.size());
    classes = classify_weights(models);
    channels = find_channels(models, alignment);
    neurons = find_neurons(models, channels, alignment, classes);
  }
  const Segments segments(
      channels, neurons,
      {.by_pattern = depth == Depth::kFull, .least_part = depth == Depth::kLarge ? kLargePart : 0.0});
  std::vector<ModelSharing> sharing = find_shared_blocks(models, channels, segments, alignment);
  if (depth == Depth::kLayers) keep_other_layers_whole(sharing, alignment, splitting.layers);
  for (uint32_t m = 0; m < models.size(); ++m) {
    MTS_ASSIGN(const bool rewritten, rewrite(models[m], m, channels[m], segments, sharing[m]));
    report.changed |= rewritten;
  }
  count_splits(alignment, sharing, report);
  report.tables = merge_tables(models);
  report.changed |= report.tables > 0 || (depth == Depth::kFull && merge_parameters(models) > 0);
  return report;
}

}  // namespace mts::partial
