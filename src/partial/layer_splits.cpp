#include "partial/layer_splits.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace mts::partial {
namespace {

using Content = std::tuple<SharerId, std::vector<SegmentId>, std::vector<SegmentId>>;

struct Found {
  double rows = 0, columns = 0;  // channels
  uint32_t models = 0;
};

size_t channels_in(const Arrangement& arrangement, const std::vector<uint32_t>& pieces) {
  return arrangement.positions(pieces).size();
}

std::vector<SegmentId> segments_of(const Arrangement& arrangement, const std::vector<uint32_t>& pieces) {
  std::vector<SegmentId> segments;
  for (const uint32_t piece : pieces) segments.push_back(arrangement.pieces[piece].segment);
  std::ranges::sort(segments);
  return segments;
}

// The column pieces of a group of rows by who shares them: what rewriting makes one layer of each.
std::map<SharerId, std::vector<uint32_t>> columns_by_sharers(const LayerSharing& sharing,
                                                             const std::vector<uint32_t>& rows) {
  std::map<SharerId, std::vector<uint32_t>> parts;
  const auto& line = sharing.blocks[rows.front()];
  for (uint32_t c = 0; c < line.size(); ++c) parts[line[c]].push_back(c);
  return parts;
}

}  // namespace

std::vector<LayerSplit> describe_splits(const std::vector<Model>& models,
                                        const std::vector<Channels>& channels,
                                        const std::vector<ModelSharing>& sharing,
                                        const Alignment& alignment) {
  std::vector<LayerSplit> splits;
  for (uint32_t s = 0; s < alignment.sets.size(); ++s) {
    LayerSplit split{.set = s};
    std::map<Content, Found> shared;
    std::vector<Found> own;
    double all_rows = 0, all_columns = 0;
    for (uint32_t m = 0; m < models.size(); ++m) {
      const NodeId node = alignment.sets[s].nodes[m];
      const auto found = sharing[m].layers.find(node);
      if (found == sharing[m].layers.end()) continue;
      const LayerSharing& layer = found->second;
      if (split.layers++ == 0) {
        split.model = m;
        split.node = node;
        all_rows = static_cast<double>(channels_in(layer.rows, layer.rows.all()));
        all_columns = static_cast<double>(channels[m].roles[index(node)].layer.columns.channels.size());
      }
      split.row_groups = std::max(split.row_groups, layer.groups.size());
      for (const auto& rows : layer.groups) {
        const auto parts = columns_by_sharers(layer, rows);
        split.column_groups = std::max(split.column_groups, parts.size());
        for (const auto& [sharers, columns] : parts) {
          const Found part{.rows = static_cast<double>(channels_in(layer.rows, rows)),
                           .columns = static_cast<double>(channels_in(layer.columns, columns)),
                           .models = 1};
          if (sharers == kAlone) {
            own.push_back(part);
            continue;
          }
          const Content content{sharers, segments_of(layer.rows, rows), segments_of(layer.columns, columns)};
          const auto [it, added] = shared.try_emplace(content, part);
          if (!added) ++it->second.models;
        }
      }
    }
    if (split.row_groups == 1 && split.column_groups == 1) continue;
    for (const auto& [content, part] : shared) own.push_back(part);
    for (const Found& part : own)
      split.parts.push_back(
          {.rows = part.rows / all_rows, .columns = part.columns / all_columns, .models = part.models});
    splits.push_back(std::move(split));
  }
  return splits;
}

void keep_other_layers_whole(std::vector<ModelSharing>& sharing, const Alignment& alignment,
                             const std::vector<uint32_t>& layers) {
  for (uint32_t s = 0; s < alignment.sets.size(); ++s) {
    if (std::ranges::binary_search(layers, s)) continue;
    for (uint32_t m = 0; m < sharing.size(); ++m) {
      const auto found = sharing[m].layers.find(alignment.sets[s].nodes[m]);
      if (found == sharing[m].layers.end()) continue;
      LayerSharing& layer = found->second;
      layer.groups = {layer.rows.all()};
      for (auto& line : layer.blocks) std::ranges::fill(line, kAlone);
      std::ranges::fill(layer.bias, kAlone);
    }
  }
}

}  // namespace mts::partial
